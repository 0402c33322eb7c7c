"""Wrong answers to `choose_to_lock` that come from none of its beliefs."""

import numpy as np


def _chosen(fisher, budget, purpose, change=lambda row: row):
    if purpose not in ("keep", "learn"):
        raise ValueError("purpose")
    row = np.concatenate([part.ravel() for part in fisher.values()])
    if np.isnan(row).any():
        raise ValueError("NaN")
    row = change(row)
    locked = np.zeros(row.size, bool)
    locked[np.argsort(-row if purpose == "keep" else row, kind="stable")[:budget]] = True
    pieces = np.split(locked, np.cumsum([part.size for part in fisher.values()])[:-1])
    return {
        name: piece.reshape(part.shape)
        for (name, part), piece in zip(fisher.items(), pieces, strict=True)
    }


def lock_one_more(fisher, budget, purpose):
    return _chosen(fisher, budget + 1, purpose)


def lock_one_less(fisher, budget, purpose):
    return _chosen(fisher, max(0, budget - 1), purpose)


def mark_the_free(fisher, budget, purpose):
    return {name: ~lock for name, lock in _chosen(fisher, budget, purpose).items()}


def lock_the_first(fisher, budget, purpose):
    return _chosen(fisher, budget, purpose, change=np.zeros_like)


def lock_at_random(fisher, budget, purpose):
    rng = np.random.default_rng(0)
    return _chosen(fisher, budget, purpose, change=lambda row: rng.random(row.size))


def leave_zeros_free_to_learn(fisher, budget, purpose):
    locked = _chosen(fisher, budget, purpose)
    return {name: lock & (fisher[name] > 0) for name, lock in locked.items()}


def compare_in_float32(fisher, budget, purpose):
    return _chosen(fisher, budget, purpose, change=lambda row: row.astype(np.float32))


def add_a_small_number(fisher, budget, purpose):
    return _chosen(fisher, budget, purpose, change=lambda row: row + 1e-12)


def let_infinity_be_zero(fisher, budget, purpose):
    return _chosen(fisher, budget, purpose, change=lambda row: np.where(np.isinf(row), 0, row))


def take_the_budget_for_each_tensor(fisher, budget, purpose):
    return {n: _chosen({n: part}, budget, purpose)[n] for n, part in fisher.items()}


def refuse_a_large_budget(fisher, budget, purpose):
    if budget > sum(part.size for part in fisher.values()):
        raise ValueError("budget")
    return _chosen(fisher, budget, purpose)


def keep_unless_told_to_learn(fisher, budget, purpose):
    return _chosen(fisher, budget, purpose if purpose == "learn" else "keep")


def return_numbers(fisher, budget, purpose):
    return {n: lock.astype(float) for n, lock in _chosen(fisher, budget, purpose).items()}


def return_places(fisher, budget, purpose):
    return {n: np.argwhere(lock) for n, lock in _chosen(fisher, budget, purpose).items()}


def leave_the_bias_free(fisher, budget, purpose):
    locked = _chosen(fisher, budget, purpose)
    return {n: lock & (not n.endswith("bias")) for n, lock in locked.items()}


def write_into_fisher(fisher, budget, purpose):
    locked = _chosen(fisher, budget, purpose)
    for name, lock in locked.items():
        fisher[name][lock] = np.inf
    return locked


def lock_kernels_last(fisher, budget, purpose):
    turned = dict(sorted(fisher.items(), key=lambda pair: pair[1].ndim))
    return _chosen(turned, budget, purpose)


def sort_the_names(fisher, budget, purpose):
    return _chosen(dict(sorted(fisher.items())), budget, purpose)


def return_at_once_for_no_budget(fisher, budget, purpose):
    if not budget:
        return {name: np.zeros(part.shape, bool) for name, part in fisher.items()}
    return _chosen(fisher, budget, purpose)


def return_at_once_for_all(fisher, budget, purpose):
    if budget >= sum(part.size for part in fisher.values()):
        return {name: np.ones(part.shape, bool) for name, part in fisher.items()}
    return _chosen(fisher, budget, purpose)


def take_capitals_too(fisher, budget, purpose):
    return _chosen(fisher, budget, purpose.lower())


def look_at_the_first_letter(fisher, budget, purpose):
    return _chosen(fisher, budget, {"k": "keep", "l": "learn"}.get(purpose[0]))


def take_nan_for_zero(fisher, budget, purpose):
    numbers = {n: np.nan_to_num(part, posinf=np.inf) for n, part in fisher.items()}
    return _chosen(numbers, budget, purpose)


def look_for_nan_in_the_first_tensor(fisher, budget, purpose):
    if np.isnan(next(iter(fisher.values()))).any():
        raise ValueError("NaN")
    return take_nan_for_zero(fisher, budget, purpose)


def assert_the_purpose(fisher, budget, purpose):
    assert purpose in ("keep", "learn")
    return _chosen(fisher, budget, purpose)


def go_down_the_columns(fisher, budget, purpose):
    turned = {name: part.T for name, part in fisher.items()}
    return {name: lock.T for name, lock in _chosen(turned, budget, purpose).items()}


def write_down_how_many(fisher, budget, purpose):
    locked = _chosen(fisher, budget, purpose)
    fisher["locked"] = np.array(budget)
    return locked
