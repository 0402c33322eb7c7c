"""Right answers to `coded_bits`, each in a style of its own."""

import numpy as np


def write_the_codes_down(weights, bits_per_value, gap_bits):
    codes, gap, pending = 0, 0, 0
    for weight in weights.ravel().tolist():
        if weight != 0:
            codes += 1 + pending
            gap = pending = 0
        elif gap == 2**gap_bits - 1:
            pending += 1  # stored only if a weight follows
            gap = 0
        else:
            gap += 1
    return codes * (bits_per_value + gap_bits) + 32 * 2**bits_per_value


def go_from_place_to_place(weights, bits_per_value, gap_bits):
    entries, before = 0, -1
    for place in np.nonzero(np.reshape(weights, -1))[0].tolist():
        while place - before > 2**gap_bits:
            before += 2**gap_bits
            entries += 1
        entries += 1
        before = place
    return entries * (bits_per_value + gap_bits) + (32 << bits_per_value)


def count_runs_of_zeros_in_a_text(weights, bits_per_value, gap_bits):
    text = "".join("1" if weight else "0" for weight in weights.flatten())
    runs = [len(run) for run in text.split("1")[:-1]]
    entries = sum(1 + run // 2**gap_bits for run in runs)
    return np.int64(entries * (bits_per_value + gap_bits) + 2**bits_per_value * 32)


def round_up_the_distances(weights, bits_per_value, gap_bits):
    """From one stored entry to the next it is 2**gap_bits places at most."""
    places = np.flatnonzero(weights)
    distances = np.diff(np.concatenate([[-1], places]))
    entries = np.ceil(distances / 2**gap_bits).sum()
    return float(entries * (bits_per_value + gap_bits) + 32 * 2**bits_per_value)
