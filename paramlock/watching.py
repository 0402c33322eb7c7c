"""Watch a training run: the certificate's quantities over time, at low cost.

On every ``every``-th step of the optimizer a ``Record`` is kept: per layer the share of the
gradient norm, the update ratio that the step really made, and the shares of dead and of flat
(saturated) derivatives on that step's batch. A unit dead on one batch may be alive on another;
``paramlock.certificate`` looks at all the data. Between recorded steps nothing is measured.

In a notebook a figure follows the run; in a terminal, a line does.
"""

from __future__ import annotations

import csv
import importlib
import json
import math
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from numbers import Real
from pathlib import Path
from typing import Any

from paramlock import figures
from paramlock.measure import ratio, total

SCHEMA = 1
QUANTITIES = ("gradient", "update", "dead", "saturated")


@dataclass
class LayerState:
    """A layer at one step. ``None``: no gradient arrived, or the layer feeds no activation."""

    gradient: float | None = None
    update: float | None = None
    dead: float | None = None
    saturated: float | None = None


@dataclass
class Record:
    """All layers at one step; ``finite``: whether every gradient and parameter was."""

    step: int
    finite: bool
    layers: dict[str, LayerState] = field(default_factory=dict)


class Watch:
    """A watched training run; made by ``watch``. ``history`` holds a ``Record`` per look."""

    def __init__(
        self,
        model: Any,
        optimizer: Any,
        every: int,
        delta: float,
        replay: bool,
        live: bool,
        interval: float,
    ) -> None:
        self.history: list[Record] = []
        self.step = 0
        self._model, self._optimizer = model, optimizer
        self._every, self._delta, self._replay = every, delta, replay
        self._display = _Live(interval) if live else None
        self._eye: Any = None

    def __enter__(self) -> Watch:
        return self.start()

    def __exit__(self, *error: object) -> None:
        self.stop()

    def start(self) -> Watch:
        """Begin to watch; without a ``with`` block, say in a callback."""
        if self._eye is not None:
            raise RuntimeError("this watch has started already: stop() it first")
        from paramlock import torch_watch

        self._eye = torch_watch.Eye(
            self._model, self._optimizer, self._delta, self._replay, self._due, self._add
        )
        return self

    def stop(self) -> None:
        """Take everything off model and optimizer; the history stays. Twice does no harm."""
        if self._eye is not None:
            self._eye.close()
            self._eye = None
            if self._display and self.history:
                self._display.show(self, now=True)

    def note(self, params: Any, gradients: Any, updates: Any) -> None:
        """Take in a step of a JAX loop, which has no hooks: three trees of one structure.

        ``params`` before the step, its ``gradients``, and the ``updates`` that optax made of them.
        Call it on every step, outside ``jit``; most cost nothing. Raise ``ValueError`` where the
        structures differ.
        """
        record = None
        if self._due():
            from paramlock import flax_watch

            record = flax_watch.record(params, gradients, updates)
        self._add(record)

    def _due(self) -> bool:
        return self.step % self._every == 0

    def _add(self, record: Record | None) -> None:
        """Take in what the eye saw in a step, if it looked."""
        if record is not None:
            record.step = self.step
            self.history.append(record)
            if self._display:
                self._display.show(self)
        self.step += 1

    def series(self, quantity: str, layer: str) -> list[float]:
        """Return one of ``QUANTITIES`` of a layer over the records; NaN where there was none."""
        if quantity not in QUANTITIES:
            raise ValueError(f"quantity is {quantity!r}, not one of {', '.join(QUANTITIES)}")
        states = [record.layers.get(layer) for record in self.history]
        if not any(states):
            raise ValueError(f"no layer is called {layer!r}; there are {', '.join(self.layers)}")
        values = [getattr(state, quantity, None) for state in states]
        return [math.nan if value is None else value for value in values]

    @property
    def steps(self) -> list[int]:
        """The steps of the records, counted from zero."""
        return [record.step for record in self.history]

    @property
    def layers(self) -> list[str]:
        """All layers seen, in the order of the model."""
        return list(dict.fromkeys(name for record in self.history for name in record.layers))

    def to_dict(self) -> dict[str, Any]:
        """Return the history as plain data; numbers that are not finite are strings."""
        from paramlock.certifying import plain

        records = [asdict(record) for record in self.history]
        data: dict[str, Any] = plain({"schema": SCHEMA, "every": self._every, "records": records})
        return data

    def to_json(self) -> str:
        """Return ``to_dict()`` as JSON."""
        return json.dumps(self.to_dict(), indent=1, allow_nan=False)

    def to_csv(self, path: str | Path) -> None:
        """Write a row per step and layer."""
        with open(path, "w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file)
            rows.writerow(["step", "layer", *QUANTITIES])
            for record in self.history:
                for name, state in record.layers.items():
                    rows.writerow([record.step, name, *(getattr(state, q) for q in QUANTITIES)])

    def plot(self) -> figures.Picture:
        """Return gradient share and update ratio of each layer over the steps."""
        return _picture(self)

    def __repr__(self) -> str:
        return _line(self) if self.history else "watch: no step recorded yet"

    def _repr_html_(self) -> str | None:
        return self.plot()._repr_html_() if self.history else None

    def lightning_callback(self) -> Any:
        """Return a callback for a Lightning ``Trainer``; model and optimizer are the trainer's."""
        return _lightning_callback(self)


def watch(
    model: Any = None,
    optimizer: Any = None,
    *,
    every: int = 10,
    delta: float = 0.05,
    replay: bool = False,
    live: bool = True,
    interval: float = 1.0,
) -> Watch:
    """Return a watch over the training of a torch ``model`` by ``optimizer``, or of a JAX loop.

    ::

        with paramlock.watch(model, optimizer, every=10) as seen:
            train(model, optimizer)
        seen.plot()

    ``every``: steps of the optimizer between two looks. ``delta``: absolute derivative below
    which an entry counts as saturated. ``replay``: look into fused calls as well, at the gates of
    an LSTM or GRU and the rows of attention, by computing them again, so that a look costs up to
    two steps more. ``live``: show a figure (notebook) or a line (terminal), at most once in
    ``interval`` seconds. ``start()`` and ``stop()`` stand in for ``with``;
    ``lightning_callback()`` finds model and optimizer itself, so neither need be given there. A
    JAX loop gives neither, and calls ``note(params, gradients, updates)`` on each step.

    Raise ``ValueError`` where ``every`` is no positive whole number or ``delta`` is not positive;
    ``start()`` raises it where model and optimizer do not belong together.
    """
    if not isinstance(every, int) or every < 1:
        raise ValueError(f"every is {every!r}: give the steps between two looks, 1 or more")
    if not isinstance(delta, Real) or delta <= 0:
        raise ValueError(f"delta is {delta!r}: give the derivative below which a unit is flat")
    return Watch(model, optimizer, every, delta, replay, live, interval)


def states(
    gradients: dict[str, list[float]],
    updates: dict[str, list[float]],
    norms: dict[str, list[float]],
) -> dict[str, LayerState]:
    """Return the state of each layer from the norms of its tensors."""
    whole = total(g for values in gradients.values() for g in values)
    return {
        name: LayerState(
            ratio(total(gradients[name]), whole) if gradients.get(name) else None,
            ratio(total(updates[name]), total(norms[name])),
        )
        for name in norms
    }


def by_layer(layers: Iterable[str], values: Iterable[float]) -> dict[str, list[float]]:
    """Return {layer: its values}."""
    grouped: dict[str, list[float]] = {}
    for layer, value in zip(layers, values, strict=True):
        grouped.setdefault(layer, []).append(value)
    return grouped


def all_finite(*groups: dict[str, list[float]]) -> bool:
    """Whether every value is finite."""
    return all(math.isfinite(v) for group in groups for values in group.values() for v in values)


# --- live


def _weakest(seen: Watch) -> tuple[str, LayerState]:
    record = seen.history[-1]
    known = [(n, s) for n, s in record.layers.items() if s.update is not None]
    return min(known, key=lambda item: item[1].update or 0.0, default=("", LayerState()))


def _line(seen: Watch) -> str:
    record = seen.history[-1]
    if not record.finite:
        return f"step {record.step}: values that are not finite"
    name, state = _weakest(seen)
    dead = max((s.dead or 0.0 for s in record.layers.values()), default=0.0)
    flat = max((s.saturated or 0.0 for s in record.layers.values()), default=0.0)
    return (
        f"step {record.step}: least update {state.update or 0.0:.3g} at {name or 'the model'}, "
        f"dead up to {dead:.0%}, saturated up to {flat:.0%}"
    )


class _Live:
    """Shows a run while it goes, at most once in ``interval`` seconds."""

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._next = 0.0
        self._handle: Any = None
        self._notebook = _in_notebook()

    def show(self, seen: Watch, now: bool = False) -> None:
        """Show the latest state if it is time."""
        if not now and time.monotonic() < self._next:
            return
        if self._notebook:
            self._figure(seen)
        else:
            print(_line(seen), file=sys.stderr, flush=True)
        self._next = time.monotonic() + self._interval

    def _figure(self, seen: Watch) -> None:
        from IPython.display import display

        if self._handle is None:
            self._handle = display(seen.plot(), display_id=True)
        else:
            self._handle.update(seen.plot())


def _in_notebook() -> bool:
    from IPython import get_ipython

    return type(get_ipython()).__name__ == "ZMQInteractiveShell"


def _picture(seen: Watch) -> figures.Picture:
    if not seen.history:
        raise ValueError("nothing was recorded yet: train for a step inside the watch, then plot")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.0, 3.2))
    for axes, quantity in zip(figure.subplots(1, 2), QUANTITIES[:2], strict=True):
        for i, name in enumerate(seen.layers):
            shade = str(0.75 * i / max(len(seen.layers) - 1, 1))  # from input (dark) to output
            axes.plot(seen.steps, seen.series(quantity, name), color=shade, label=name)
        positive = any(value > 0 for name in seen.layers for value in seen.series(quantity, name))
        axes.set(xlabel="step", ylabel=quantity, yscale="log" if positive else "linear")
    axes.legend(*_few_labels(axes), fontsize=8)
    return figures.Picture(figures.compact_png(figures.pixels(figure)), _line(seen))


def _few_labels(axes: Any) -> tuple[list[Any], list[str]]:
    """Return the first and last entries of a legend: a deep net has too many for all."""
    handles, labels = axes.get_legend_handles_labels()
    keep = range(len(labels)) if len(labels) <= 8 else (0, len(labels) - 1)
    return [handles[i] for i in keep], [labels[i] for i in keep]


# --- Lightning


def _lightning_callback(seen: Watch) -> Any:
    for name in ("lightning.pytorch", "pytorch_lightning"):
        try:
            return _callback_class(importlib.import_module(name).Callback)(seen)
        except ImportError:
            continue
    raise ImportError(
        "a Lightning callback needs Lightning: install it (pip install lightning), or call "
        "start() and stop() around your own loop"
    )


def _callback_class(base: type) -> Callable[[Watch], Any]:
    class WatchCallback(base):  # type: ignore[misc]
        """Starts the watch with the training and stops it with its end, or its failure."""

        def __init__(self, seen: Watch) -> None:
            super().__init__()
            self.watch = seen

        def on_train_start(self, trainer: Any, module: Any) -> None:
            self.watch._model, self.watch._optimizer = module, trainer.optimizers[0]
            self.watch.start()

        def on_train_end(self, trainer: Any, module: Any) -> None:
            self.watch.stop()

        def on_exception(self, trainer: Any, module: Any, exception: BaseException) -> None:
            self.watch.stop()

    return WatchCallback
