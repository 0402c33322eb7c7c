"""Wrong answers to `restart_codes` that come from none of its beliefs."""

import numpy as np


def _restarted(codes, used, vectors, rng, change=lambda rows: rows):
    sound = vectors[np.isfinite(vectors).all(axis=1)]
    dead = np.flatnonzero(~used)[: len(sound)]
    new = codes.copy()
    new[dead] = change(sound[rng.choice(len(sound), len(dead), replace=False)])
    return new


def restart_the_last_dead_ones(codes, used, vectors, rng):
    sound = vectors[np.isfinite(vectors).all(axis=1)]
    dead = np.flatnonzero(~used)[::-1][: len(sound)]
    new = codes.copy()
    new[dead] = sound[rng.choice(len(sound), len(dead), replace=False)]
    return new


def draw_from_the_global_state(codes, used, vectors, rng):
    return _restarted(codes, used, vectors, np.random.default_rng())


def keep_a_generator_of_its_own(codes, used, vectors, rng):
    return _restarted(codes, used, vectors, np.random.default_rng(0))


def return_the_new_rows_alone(codes, used, vectors, rng):
    return _restarted(codes, used, vectors, rng)[~used]


def return_float64(codes, used, vectors, rng):
    return _restarted(codes, used, vectors, rng).astype(np.float64)


def put_half_way(codes, used, vectors, rng):
    new = _restarted(codes, used, vectors, rng)
    return ((new + codes) / 2).astype(codes.dtype)


def shuffle_within_vectors(codes, used, vectors, rng):
    """Each number is drawn from its column by itself."""
    return _restarted(codes, used, rng.permuted(vectors, axis=0), rng)


def shuffle_the_data_in_place(codes, used, vectors, rng):
    rng.shuffle(vectors)
    return _restarted(codes, used, vectors, rng)


def scale_to_length_one(codes, used, vectors, rng):
    return _restarted(
        codes, used, vectors, rng, lambda rows: rows / np.linalg.norm(rows, axis=1, keepdims=True)
    )


def restart_half_of_them(codes, used, vectors, rng):
    dead = np.flatnonzero(~used)
    spared = used.copy()
    spared[dead[::2]] = True
    return _restarted(codes, spared, vectors, rng)


def leave_only_nan_out(codes, used, vectors, rng):
    sound = vectors[~np.isnan(vectors).any(axis=1)]
    dead = np.flatnonzero(~used)[: len(sound)]
    new = codes.copy()
    new[dead] = sound[rng.choice(len(sound), len(dead), replace=False)]
    return new


def mend_broken_vectors(codes, used, vectors, rng):
    return _restarted(codes, used, np.nan_to_num(vectors, posinf=0, neginf=0), rng)


def refuse_too_few_vectors(codes, used, vectors, rng):
    if (~used).sum() > len(vectors):
        raise IndexError("too few vectors")
    return _restarted(codes, used, vectors, rng)


def set_the_rest_to_zero(codes, used, vectors, rng):
    new = _restarted(codes, used, vectors, rng)
    still = ~used & (new == codes).all(axis=1)
    new[still] = 0
    return new


def put_all_on_one_vector(codes, used, vectors, rng):
    sound = vectors[np.isfinite(vectors).all(axis=1)]
    new = codes.copy()
    new[~used] = sound[rng.integers(len(sound))]
    return new


def sort_the_codebook(codes, used, vectors, rng):
    """Living codes first."""
    order = np.argsort(~used, kind="stable")
    return _restarted(codes, used, vectors, rng)[order]


def shuffle_the_first_ones(codes, used, vectors, rng):
    """Which code gets which vector is drawn, and which vectors are not."""
    sound = vectors[np.isfinite(vectors).all(axis=1)]
    dead = np.flatnonzero(~used)[: len(sound)]
    new = codes.copy()
    new[dead] = sound[rng.permutation(len(dead))]
    return new


def take_neighbours(codes, used, vectors, rng):
    """Only the place of the first one is drawn."""
    sound = vectors[np.isfinite(vectors).all(axis=1)]
    dead = np.flatnonzero(~used)[: len(sound)]
    new = codes.copy()
    new[dead] = np.roll(sound, -rng.integers(len(sound)), axis=0)[: len(dead)]
    return new


def mark_codes_as_used(codes, used, vectors, rng):
    new = _restarted(codes, used, vectors, rng)
    used[:] = True
    return new
