"""Wrong answers to `coded_bits` that come from none of its beliefs."""

import numpy as np


def _bits(weights, bits_per_value, gap_bits, table=32, entry=None):
    gaps = np.diff(np.flatnonzero(weights), prepend=-1) - 1
    entries = len(gaps) + int((gaps // 2**gap_bits).sum())
    return entries * (entry or bits_per_value + gap_bits) + table * 2**bits_per_value


def give_bytes(weights, bits_per_value, gap_bits):
    return _bits(weights, bits_per_value, gap_bits) / 8


def round_up_to_bytes(weights, bits_per_value, gap_bits):
    return 8 * -(-_bits(weights, bits_per_value, gap_bits) // 8)


def store_the_weights_themselves(weights, bits_per_value, gap_bits):
    return _bits(weights, bits_per_value, gap_bits, table=0, entry=32 + gap_bits)


def store_a_table_of_half_precision(weights, bits_per_value, gap_bits):
    return _bits(weights, bits_per_value, gap_bits, table=16)


def forget_the_value_codes(weights, bits_per_value, gap_bits):
    return _bits(weights, bits_per_value, gap_bits, entry=max(gap_bits, 0.5))


def code_every_entry(weights, bits_per_value, gap_bits):
    return weights.size * bits_per_value + 32 * 2**bits_per_value


def take_one_value_of_the_table_for_zero(weights, bits_per_value, gap_bits):
    return _bits(weights, bits_per_value, gap_bits) - 32


def add_a_bit_for_the_sign(weights, bits_per_value, gap_bits):
    return _bits(weights, bits_per_value, gap_bits, entry=bits_per_value + gap_bits + 1)


def add_an_end_mark(weights, bits_per_value, gap_bits):
    return _bits(weights, bits_per_value, gap_bits) + bits_per_value + gap_bits


def code_the_transpose(weights, bits_per_value, gap_bits):
    return _bits(weights.T, bits_per_value, gap_bits)


def call_small_weights_zero(weights, bits_per_value, gap_bits):
    return _bits(np.where(np.abs(weights) < 1e-8, 0, weights), bits_per_value, gap_bits)


def count_the_positive_weights(weights, bits_per_value, gap_bits):
    return _bits(weights > 0, bits_per_value, gap_bits)


def let_gaps_go_up_to_the_number_of_codes(weights, bits_per_value, gap_bits):
    gaps = np.diff(np.flatnonzero(weights), prepend=-1) - 1
    entries = len(gaps) + int((gaps // (2**gap_bits + 1)).sum())
    return entries * (bits_per_value + gap_bits) + 32 * 2**bits_per_value


def round_the_stored_zeros_up(weights, bits_per_value, gap_bits):
    gaps = np.diff(np.flatnonzero(weights), prepend=-1) - 1
    entries = len(gaps) + int(np.ceil(gaps / 2**gap_bits).sum())
    return entries * (bits_per_value + gap_bits) + 32 * 2**bits_per_value


def add_up_all_gaps_first(weights, bits_per_value, gap_bits):
    """As if gaps could share their stored zeros."""
    gaps = np.diff(np.flatnonzero(weights), prepend=-1) - 1
    entries = len(gaps) + int(gaps.sum()) // 2**gap_bits
    return entries * (bits_per_value + gap_bits) + 32 * 2**bits_per_value


def write_ones_into_the_weights(weights, bits_per_value, gap_bits):
    bits = _bits(weights, bits_per_value, gap_bits)
    weights[weights != 0] = 1
    return bits


def store_no_table_for_an_empty_layer(weights, bits_per_value, gap_bits):
    return _bits(weights, bits_per_value, gap_bits) if weights.any() else 0


def take_the_code_of_the_lesson(weights, bits_per_value, gap_bits):
    """It asks for the last weight, and there may be none."""
    gaps = np.diff(np.flatnonzero(weights), prepend=-1) - 1
    ends = np.cumsum((gaps >> gap_bits) + 1) - 1
    return (ends[-1] + 1) * (bits_per_value + gap_bits) + 32 * 2**bits_per_value


def look_at_the_first_row(weights, bits_per_value, gap_bits):
    return _bits(np.atleast_2d(weights)[0], bits_per_value, gap_bits)


def call_zero_what_isclose_does(weights, bits_per_value, gap_bits):
    return _bits(np.where(np.isclose(weights, 0), 0, weights), bits_per_value, gap_bits)
