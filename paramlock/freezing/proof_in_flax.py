"""Compare the frozen parts of a Flax model before and after training steps, see `proof`.

Arrays in JAX do not change, so what is compared is what the model, or the dicts that `step`
returns, hold afterwards. The output of a frozen part is a pure function of those and of its mode.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from paramlock.freezing.moved import Moved, require_training
from paramlock.models.in_flax import leaf_names, norm
from paramlock.models.names import is_variables
from paramlock.models.numbers import ratio
from paramlock.models.paths import leaves_below

DIRECTLY = 0.99  # cosine from which on a change counts as straight towards zero


class _Array(NamedTuple):
    value: np.ndarray[Any, Any]
    parameter: bool
    statistic: bool


def moved(
    model: Any,
    patterns: list[str],
    step: Callable[..., Any],
    steps: int,
    may_move: Sequence[str] = (),
) -> list[Moved]:
    """Take the steps and return what moved; see `assert_frozen`."""
    before = _arrays(model)
    free = set(leaves_below(may_move, before, "the model")) if may_move else set()
    inside = [name for name in leaves_below(patterns, before, "the model") if name not in free]
    for _ in range(steps):
        model = _stepped(model, step)
    after = _arrays(model)
    found = [_change(name, before[name], after.get(name)) for name in inside]
    if not any(found):
        rest = [name for name, array in before.items() if array.parameter and name not in inside]
        changed = any(_change(name, before[name], after.get(name)) for name in rest)
        require_training(changed, len(rest), steps)
    return [change for change in found if change]


def _stepped(model: Any, step: Callable[..., Any]) -> Any:
    """Train for a step, in place where it is a module, else from dicts to dicts."""
    if not isinstance(model, Mapping):
        step()
        return model
    changed = step(model)
    if not isinstance(changed, Mapping):
        raise ValueError(
            f"step returned {type(changed).__name__}: for dicts it takes them and returns them"
        )
    return changed


def _change(name: str, before: _Array, after: _Array | None) -> Moved | None:
    old, kind = before.value, "parameter" if before.parameter else "buffer"
    if after is None or after.value.shape != old.shape or after.value.dtype != old.dtype:
        return Moved(name, kind, old.size, old.size, 1.0, ("replaced",))
    new = after.value
    entries = int(((old != new) & ((old == old) | (new == new))).sum())  # NaN equals NaN
    if not entries:
        return None
    wide = np.complex128 if np.iscomplexobj(old) else np.float64
    difference = np.abs(new.astype(wide) - old.astype(wide))
    distance = ratio(norm(difference) or 0.0, norm(np.abs(old)) or 0.0)
    return Moved(name, kind, entries, old.size, distance, (_cause(before, new),))


def _cause(before: _Array, new: np.ndarray[Any, Any]) -> str:
    if before.statistic:
        return "statistics jax"
    if not before.parameter:
        return "buffer"
    old, now = (np.abs(array).astype(np.float64).ravel() for array in (before.value, new))
    change = old - now
    cosine = float(old @ change) / ((norm(old) or 1.0) * (norm(change) or 1.0))
    return "updates decay" if cosine > DIRECTLY else "updates"


def _arrays(model: Any) -> dict[str, _Array]:
    """{dotted path: array}; random keys and counters are left out: they are to change."""
    if isinstance(model, Mapping):
        collections = dict(model) if is_variables(model) else {"params": model}
        collections.pop("intermediates", None)
    else:
        from flax import nnx

        passing = nnx.Any(nnx.RngState, nnx.Intermediate)  # these are to change
        kinds = (nnx.Param, nnx.BatchStat, passing, ...)
        params, statistics, _, rest = map(nnx.to_pure_dict, nnx.state(model, *kinds))
        collections = {"rest": rest, "batch_stats": statistics, "params": params}
    return {
        name: _Array(np.array(leaf), collection == "params", collection == "batch_stats")
        for collection, tree in collections.items()
        for name, leaf in zip(leaf_names(tree), jax.tree.leaves(tree), strict=True)
    }
