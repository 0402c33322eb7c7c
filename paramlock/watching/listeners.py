"""Where the records of a watch go while it runs: to a logger, or into a warning.

Each function here makes a *listener* for `watch(..., on_record=)`: a function of one `Record`. None
of them imports what it writes to; they take the writer or the run that you have. Anything else that
takes numbers by name is one line: `on_record=lambda record: mine.log(scalars(record))`.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

from paramlock.watching.record import QUANTITIES, Record

Listener = Callable[[Record], None]

PREFIX = "paramlock"
UNKNOWN_TO_MLFLOW = re.compile(r"[^\w./ -]")
RULE = re.compile(r"\s*(\w+)\s*([<>])\s*([\d.]+(?:e[+-]?\d+)?)\s*(%?)\s*", re.IGNORECASE)


def scalars(record: Record) -> dict[str, float]:
    """A record as {name: number}, with names such as `paramlock/update/encoder.0`.

    What is unknown is left out. Parameters of the outermost module itself are `paramlock/update`.
    `paramlock/finite` is 1, or 0 where a gradient or an update was not finite.
    """
    named = {f"{PREFIX}/finite": float(record.finite)}
    for quantity in QUANTITIES:
        for layer, state in record.layers.items():
            value = getattr(state, quantity)
            if value is not None:
                named["/".join(filter(None, (PREFIX, quantity, layer)))] = value
    return named


def to_tensorboard(writer: Any) -> Listener:
    """Write to a `SummaryWriter`, of torch or tensorboardX: a scalar per layer and quantity."""

    def listen(record: Record) -> None:
        for name, value in scalars(record).items():
            writer.add_scalar(name, value, record.step)

    return listen


def to_wandb(run: Any) -> Listener:
    """Log to a run of Weights & Biases, what `wandb.init()` returned.

    The numbers are drawn over `paramlock/step`, the optimizer's, so that they fit beside whatever
    else the run logs at steps of its own.
    """
    run.define_metric(f"{PREFIX}/step")
    run.define_metric(f"{PREFIX}/*", step_metric=f"{PREFIX}/step")

    def listen(record: Record) -> None:
        run.log({**scalars(record), f"{PREFIX}/step": record.step})

    return listen


def to_logger(logger: Any) -> Listener:
    """Log to what has `log_metrics(metrics, step=)`: each logger of Lightning has."""

    def listen(record: Record) -> None:
        logger.log_metrics(scalars(record), step=record.step)

    return listen


def to_mlflow(mlflow: Any) -> Listener:
    """Log to the active run of the module `mlflow`.

    MLflow takes letters, digits and a few signs in names: what else a layer's name has is `_`.
    """

    def listen(record: Record) -> None:
        named = {UNKNOWN_TO_MLFLOW.sub("_", name): v for name, v in scalars(record).items()}
        mlflow.log_metrics(named, step=record.step)

    return listen


def warn_when(*rules: str, looks: int = 1) -> Listener:
    """Warn, by `warnings.warn`, of each layer that crosses a bound.

    ::

        paramlock.watch(model, optimizer, on_record=warn_when("dead > 20 %", "update < 1e-7"))

    Args:
        rules: a quantity (`gradient`, `update`, `dead`, `saturated`), `<` or `>`, and a number.
        looks: in how many looks in a row a bound must be crossed: a unit that is dead on one batch
            may live on the next. A layer is warned of once, and again after it was back.

    Raises:
        ValueError: a rule that cannot be read, or `looks` below 1.
    """
    if not rules or looks < 1:
        raise ValueError("give a rule such as 'dead > 20 %', and 1 or more looks")
    return _Warner([_rule(text) for text in rules], looks)


class _Rule(NamedTuple):
    text: str
    quantity: str
    above: bool
    bound: float
    percent: bool

    def crossed_by(self, value: float | None) -> bool:
        return value is not None and (value > self.bound if self.above else value < self.bound)

    def words(self, value: float) -> str:
        return f"{value:.0%}" if self.percent else f"{value:.3g}"


def _rule(text: str) -> _Rule:
    found = RULE.fullmatch(text)
    if not found or found[1] not in QUANTITIES:
        raise ValueError(
            f"{text!r} is no rule: write one of {', '.join(QUANTITIES)}, then < or >, then a "
            "number, such as 'dead > 20 %' or 'update < 1e-7'"
        )
    quantity, sign, number, percent = found.groups()
    bound = float(number) / (100 if percent else 1)
    return _Rule(" ".join(text.split()), quantity, sign == ">", bound, bool(percent))


class _Warner:
    """Counts for each rule and layer in how many looks in a row a bound was crossed."""

    def __init__(self, rules: list[_Rule], looks: int) -> None:
        self._rules, self._looks = rules, looks
        self._crossed: dict[tuple[_Rule, str], int] = {}

    def __call__(self, record: Record) -> None:
        for rule in self._rules:
            for layer, state in record.layers.items():
                self._judge(rule, layer, getattr(state, rule.quantity), record.step)

    def _judge(self, rule: _Rule, layer: str, value: float | None, step: int) -> None:
        if value is None or not rule.crossed_by(value):
            self._crossed.pop((rule, layer), None)
            return
        count = self._crossed[rule, layer] = self._crossed.get((rule, layer), 0) + 1
        if count == self._looks:
            place = layer or "the model's own parameters"
            words = f"{rule.quantity} is {rule.words(value)} at {place}"
            warnings.warn(f"step {step}: {words} (warn when {rule.text})", stacklevel=2)
