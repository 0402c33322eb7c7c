"""Right answers to `sparsity_at`, each in a style of its own."""

import numpy as np
import torch


def weigh_the_two_ends(step, begin, end, first, final):
    """0 * final + 1 * first is exact, and so is the other end."""
    if begin > end:
        raise ValueError("begin > end")
    if begin == end:
        return final if step >= end else first
    left = min(max((end - step) / (end - begin), 0.0), 1.0) ** 3
    return left * first + (1 - left) * final


def clip_with_numpy(step, begin, end, first, final):
    if end < begin:
        raise ValueError(f"{end} < {begin}")
    if not begin < step < end:
        return [first, final][step >= end]
    gone = np.clip((step - begin) / (end - begin), 0, 1)
    return first + (final - first) * (1 - (1 - gone) ** 3)


def multiply_out(step, begin, end, first, final):
    match (step >= end, step <= begin, end < begin):
        case (_, _, True):
            raise ValueError("the schedule ends before it begins")
        case (True, _, _):
            return final
        case (_, True, _):
            return first
    t = (step - begin) / (end - begin)
    return first + (final - first) * (3 * t - 3 * t * t + t * t * t)


def return_a_tensor(step, begin, end, first, final):
    return torch.tensor(weigh_the_two_ends(step, begin, end, first, final), dtype=torch.float64)
