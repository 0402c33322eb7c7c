"""Elastic weight consolidation: a spring on each parameter, as stiff as its Fisher information.

After a task is learned, keep its parameters θ* (the *anchor*) and their Fisher diagonal F. While
another task is learned, add ½ · strength · Σ F (θ - θ*)² to its loss: parameters that the first
task hangs on are held, the rest stay free (Kirkpatrick et al. 2017, "Overcoming catastrophic
forgetting in neural networks", eq. 3). A lock of the same family is hard: freeze the parameters
of highest Fisher information. Freezing the lowest keeps no old task.

The functions work on torch and on JAX arrays alike: they use nothing but arithmetic.
"""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real
from typing import Any

from paramlock.models.names import parameters_by_name


def anchor(source: Any) -> dict[str, Any]:
    """A copy of the parameters of `source` that later training does not touch.

    Args:
        source: as `parameters_by_name` takes it.

    Raises:
        ValueError: parameters on the meta device, which have no values.
    """
    arrays = parameters_by_name(source)
    for name, array in arrays.items():
        if getattr(array, "is_meta", False):
            raise ValueError(f"parameter {name!r} is on the meta device: load its values first")
    return {
        name: array.detach().clone() if hasattr(array, "detach") else array + 0
        for name, array in arrays.items()
    }


def ewc_penalty(
    source: Any,
    fisher: Mapping[str, Any],
    anchored: Mapping[str, Any],
    *,
    strength: float,
) -> Any:
    """½ · strength · Σ F (θ - θ*)², a scalar to add to a loss.

    For several old tasks with one anchor (the parameters after the latest) add their Fishers;
    with an anchor each, add their penalties.

    Args:
        source: what is being trained, as `parameters_by_name` takes it.
        fisher: F by name, from `fisher_diagonal`; parameters without an entry are free.
        anchored: θ* by name, from `anchor`.
        strength: λ, 0 or more; the scale of F differs between networks, so search it by powers
            of ten.

    Raises:
        ValueError: a strength below 0, no `fisher`, a name of `fisher` that is not among the
            parameters or the anchor, or whose shapes differ, for such a penalty would silently
            hold nothing.
    """
    if not isinstance(strength, Real) or not strength >= 0:
        raise ValueError(
            f"strength is {strength!r}: give a number, 0 or more (a negative spring pushes "
            "parameters away)"
        )
    if not fisher:
        raise ValueError("fisher is empty: such a penalty holds nothing; pass fisher_diagonal(...)")
    current = parameters_by_name(source)
    for name, weight in fisher.items():
        shapes = [weight.shape, *(d[name].shape for d in (current, anchored) if name in d)]
        if len(shapes) < 3 or len(set(shapes)) > 1:
            raise ValueError(_mismatch(name, current, anchored, weight.shape))
    return (
        sum((weight * (current[n] - anchored[n]) ** 2).sum() for n, weight in fisher.items())
        * strength
        / 2
    )


def _mismatch(
    name: str, current: Mapping[str, Any], anchored: Mapping[str, Any], shape: Any
) -> str:
    def seen(arrays: Mapping[str, Any]) -> Any:
        return tuple(arrays[name].shape) if name in arrays else "missing"

    return (
        f"{name!r} has the Fisher shape {tuple(shape)}, but in the model it is {seen(current)} and "
        f"in the anchor {seen(anchored)}: measure and anchor the same model"
    )
