"""Right answers to `restart_codes`, each in a style of its own."""

import numpy as np


def shuffle_and_walk(codes, used, vectors, rng):
    rows = [row for row in rng.permutation(len(vectors)) if np.isfinite(vectors[row]).all()]
    new = codes.copy()
    for place, is_used in enumerate(used):
        if not is_used and rows:
            new[place] = vectors[rows.pop()]
    return new


def choose_with_where(codes, used, vectors, rng):
    sound = vectors[~(np.isnan(vectors) | np.isinf(vectors)).any(1)]
    drawn = rng.permutation(sound)
    rank = np.cumsum(~used) - 1
    restart = ~used & (rank < len(drawn))
    picked = drawn[np.where(restart, rank, 0)] if len(drawn) else codes
    return np.where(restart[:, None], picked, codes).astype(codes.dtype)


def sort_by_random_keys(codes, used, vectors, rng):
    sound = np.flatnonzero(np.isfinite(vectors.sum(1)))
    sound = sound[np.argsort(rng.random(len(sound)))]
    dead = [k for k in range(len(codes)) if not used[k]]
    new = np.array(codes)
    for code, row in zip(dead, sound, strict=False):
        new[code] = vectors[row]
    return new


def draw_without_order(codes, used, vectors, rng):
    ok = np.where(np.all(np.abs(vectors) < np.inf, axis=-1))[0]
    dead = np.nonzero(used == 0)[0]
    n = min(ok.size, dead.size)
    out = codes.copy()
    out[dead[:n]] = vectors[np.sort(rng.choice(ok, n, replace=False, shuffle=False))]
    return out
