"""Prove a freeze by what training does: nothing that is meant to stay may move, not by one bit.

A flag, one norm, or a look at the weights alone proves little: a rotation keeps every norm, and
running statistics change a network whose parameters stand still. So real training steps are taken,
and parameters, buffers and outputs of the frozen parts are compared before and after. What moved
is named, with how far and why, as far as it can be told from what the optimizer was given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from paramlock.freezing.moved import CAUSES, Moved
from paramlock.models.frameworks import framework_of

SHOWN = 8  # lines for one cause


def assert_frozen(
    model: Any,
    names: str | Iterable[str],
    step: Callable[..., Any],
    steps: int = 5,
    *,
    except_: str | Iterable[str] = (),
) -> None:
    """Take training steps and raise `AssertionError` if anything in the named parts moved.

    ::

        paramlock.torch.freeze(model, "encoder")
        paramlock.assert_frozen(model, ["encoder"], lambda: train_step(model, next(batches)))
        paramlock.assert_frozen(adapted, "", train, except_="**.lora_*")    # all but the adapters

    The steps are real, so the rest of the model learns by them. The parameters and buffers below
    the names are compared bit by bit. In torch, each module must also give the output of its first
    call again for the same input, in training as in evaluation mode. This is left out where it is
    compiled, copied to several devices, or called with objects that a second use might change.

    Args:
        model: a torch module, an `nnx.Module`, or (nested) dicts of arrays such as linen's
            variables.
        names: paths or globs of modules and parameters, as `paramlock.torch.freeze` takes them. In
            linen's variables they begin below the collection: `Dense_0`.
        step: does all that one round of training does, `model.train()` included. For dicts it
            takes them and returns them changed; else it takes nothing and trains `model`.
        steps: how often. With fewer than two, momentum may go unseen.
        except_: paths or globs below the names that may move. Modules that hold such a part are
            not called again: their output is meant to change.

    Raises:
        AssertionError: something moved. The message names it, how far, and the likely cause.
        ValueError: an unknown name, or steps that leave all else as it was too: those prove
            nothing.
    """
    patterns = [names] if isinstance(names, str) else list(names)
    if steps < 1:
        raise ValueError(f"steps is {steps}: without a step nothing is proved")
    others = [except_] if isinstance(except_, str) else list(except_)
    moved = _prover(model)(model, patterns, step, steps, others)
    if moved:
        raise AssertionError(_message(moved, steps))


def _message(moved: list[Moved], steps: int) -> str:
    """Say what moved, grouped by cause."""
    lines = [f"{len(moved)} that should be frozen moved in {steps} step{'s' * (steps != 1)}:"]
    for causes in dict.fromkeys(change.causes for change in moved):
        alike = [change for change in moved if change.causes == causes]
        lines.append("- likely cause: " + "; ".join(CAUSES[cause] for cause in causes))
        lines += [f"    {change}" for change in alike[:SHOWN]]
        if len(alike) > SHOWN:
            lines.append(f"    and {len(alike) - SHOWN} more")
    return "\n".join([*lines, "(distances are shares of the norm of what was there before)"])


def _prover(model: Any) -> Callable[..., list[Moved]]:
    """What compares this kind of model; no framework is imported that it does not use."""
    if framework_of(model, "torch", "nnx", "tree") == "torch":
        from paramlock.freezing import proof_in_torch

        return proof_in_torch.moved
    from paramlock.freezing import proof_in_flax

    return proof_in_flax.moved
