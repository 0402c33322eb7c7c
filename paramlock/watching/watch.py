"""Watch a training run: the certificate's quantities over time, at low cost.

On every `every`-th step of the optimizer a `Record` is kept: per layer the share of the
gradient norm, the update ratio that the step really made, and the shares of dead and of flat
(saturated) derivatives on that step's batch. A unit dead on one batch may be alive on another;
`paramlock.certificate` looks at all the data. Between recorded steps nothing is measured.

In a notebook a figure follows the run; in a terminal, a line does; a log is left alone. Listeners
(`paramlock.loggers`) are told of each record.
"""

from __future__ import annotations

import csv
import importlib
import json
import warnings
from collections.abc import Callable, Iterable
from dataclasses import asdict
from numbers import Real
from pathlib import Path
from typing import Any

from paramlock.models.frameworks import form_of
from paramlock.models.numbers import plain
from paramlock.pictures.picture import Picture
from paramlock.watching.listeners import Listener
from paramlock.watching.live import display_for, picture
from paramlock.watching.record import QUANTITIES, Record, layers_in, line, series

SCHEMA = 1


class Watch:
    """A watched training run; made by `watch`. `history` holds a `Record` per look."""

    def __init__(
        self,
        model: Any,
        optimizer: Any,
        every: int,
        delta: float,
        replay: bool,
        live: bool | None,
        interval: float,
        listeners: tuple[Listener, ...] = (),
    ) -> None:
        self.history: list[Record] = []
        self.step = 0
        self._model, self._optimizer = model, optimizer
        self._every, self._delta, self._replay = every, delta, replay
        self._display = display_for(live, interval)
        self._listeners = listeners
        self._eye: Any = None
        self._going = False
        self._in_program = False  # a compiled program reports to this watch

    def __enter__(self) -> Watch:
        return self.start()

    def __exit__(self, *error: object) -> None:
        self.stop()
        if not self.step and self._model is None:
            warnings.warn(
                "this watch saw no step: watch(model, optimizer) sees those of torch, and a JAX "
                "loop calls note(params, gradients, updates) on each of its own",
                stacklevel=2,
            )

    def start(self) -> Watch:
        """Begin to watch; without a `with` block, say in a callback.

        Where neither model nor optimizer was given, a JAX loop is to `note` its steps.
        """
        if self._going:
            raise RuntimeError("this watch has started already: stop() it first")
        if self._model is not None or self._optimizer is not None:
            if form_of(self._model) != "torch":
                raise ValueError(
                    f"watch needs a torch model and its optimizer, not "
                    f"{type(self._model).__name__}: of a JAX loop give neither, and note each step"
                )
            from paramlock.watching import in_torch as torch_watch

            self._eye = torch_watch.Eye(
                self._model, self._optimizer, self._delta, self._replay, self._due, self._add
            )
        self._going = True
        return self

    def stop(self) -> None:
        """Show the last state and take everything off model and optimizer; the history stays.

        Twice does no harm.
        """
        if self._eye is not None:
            self._eye.close()
            self._eye = None
        if self._in_program:
            from paramlock.watching import in_flax as flax_watch

            flax_watch.wait()
        if self._going and self._display and self.history:
            self._display.show(self.history, now=True)
        self._going = False

    def note(self, params: Any, gradients: Any, updates: Any, step: Any = None) -> None:
        """Take in a step of a JAX loop, which has no hooks: three trees of one structure.

        `params` before the step, its `gradients`, and the `updates` that optax made of them.
        Call it on every step; most cost nothing. The first begins the watch, where neither `with`
        nor `start()` did; then end it by `stop()`, which shows the last state.

        Inside `jax.jit` and `lax.scan` it becomes a part of the program, which then tells of its
        steps for as long as it is used. There give the number of the `step` if it is at hand: the
        norms are taken on every `every`-th alone then, and the program may run on several devices.
        Without it they are taken on each, and the host counts.

        Raises:
            ValueError: the structures differ.
        """
        from paramlock.watching import in_flax as flax_watch

        self._going = True
        if flax_watch.is_traced(gradients):
            self._in_program = True
            told = self._told_by_program
            flax_watch.record_when_run(params, gradients, updates, step, self._every, told)
            return
        self.step = self.step if step is None else int(step)
        self._add(flax_watch.record(params, gradients, updates) if self._due() else None)

    def _told_by_program(self, make: Callable[[], Record], step: int | None) -> None:
        self.step = self.step if step is None else step
        self._add(make() if self._due() else None)

    def _due(self) -> bool:
        return self.step % self._every == 0

    def _add(self, record: Record | None) -> None:
        """Take in what the eye saw in a step, if it looked."""
        if record is not None:
            record.step = self.step
            self.history.append(record)
            if self._display:
                self._display.show(self.history)
            for listener in self._listeners:
                _tell(listener, record)
        self.step += 1

    def series(self, quantity: str, layer: str) -> list[float]:
        """One of `QUANTITIES` of a layer over the records; NaN where there was none."""
        return series(self.history, quantity, layer)

    @property
    def steps(self) -> list[int]:
        """The steps of the records, counted from zero."""
        return [record.step for record in self.history]

    @property
    def layers(self) -> list[str]:
        """All layers seen, in the order of the model."""
        return layers_in(self.history)

    def to_dict(self) -> dict[str, Any]:
        """The history as plain data; numbers that are not finite are strings."""
        records = [asdict(record) for record in self.history]
        data: dict[str, Any] = plain({"schema": SCHEMA, "every": self._every, "records": records})
        return data

    def to_json(self) -> str:
        """`to_dict()` as JSON."""
        return json.dumps(self.to_dict(), indent=1, allow_nan=False)

    def to_csv(self, path: str | Path) -> None:
        """Write a row per step and layer."""
        with open(path, "w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file)
            rows.writerow(["step", "layer", *QUANTITIES])
            for record in self.history:
                for name, state in record.layers.items():
                    rows.writerow([record.step, name, *(getattr(state, q) for q in QUANTITIES)])

    def plot(self) -> Picture:
        """Gradient share and update ratio of each layer over the steps."""
        return picture(self.history)

    def __repr__(self) -> str:
        return line(self.history[-1]) if self.history else "watch: no step recorded yet"

    def _repr_html_(self) -> str | None:
        return self.plot()._repr_html_() if self.history else None

    def lightning_callback(self) -> Any:
        """A callback for a Lightning `Trainer`; model and optimizer are the trainer's."""
        return _lightning_callback(self)


def watch(
    model: Any = None,
    optimizer: Any = None,
    *,
    every: int = 10,
    delta: float = 0.05,
    replay: bool = False,
    live: bool | None = None,
    interval: float = 1.0,
    on_record: Listener | Iterable[Listener] = (),
) -> Watch:
    """A watch over the training of a torch `model` by `optimizer`, or of a JAX loop.

    ::

        with paramlock.watch(model, optimizer, every=10) as seen:
            train(model, optimizer)
        seen.plot()

        with paramlock.watch(every=10) as seen:    # a JAX loop has no hooks
            for batch in batches:
                updates, state = optimizer.update(gradients, state, params)
                seen.note(params, gradients, updates)
                params = optax.apply_updates(params, updates)

    `every`: steps of the optimizer between two looks. `delta`: absolute derivative below
    which an entry counts as saturated. `replay`: look into fused calls as well, at the gates of
    an LSTM or GRU and the rows of attention, by computing them again, so that a look costs up to
    two steps more. `live`: show a figure (notebook) or a line (terminal), at most once in
    `interval` seconds, and the last state at the end; where standard error is neither, but a file
    or a pipe, nothing unless `live=True`. `on_record`: a function, or several, called with each
    `Record` as it is kept; `paramlock.loggers` has some. One that fails is warned of, and training
    goes on. `start()` and `stop()` stand in for `with`;
    `lightning_callback()` finds model and optimizer itself, so neither need be given there. A
    JAX loop gives neither, and calls `note(params, gradients, updates)` on each step.

    Raises:
        ValueError: `every` is no positive whole number, or `delta` is not positive; from `start()`,
            a model and an optimizer that do not belong together.
    """
    if not isinstance(every, int) or every < 1:
        raise ValueError(f"every is {every!r}: give the steps between two looks, 1 or more")
    if not isinstance(delta, Real) or delta <= 0:
        raise ValueError(f"delta is {delta!r}: give the derivative below which a unit is flat")
    listeners = (on_record,) if callable(on_record) else tuple(on_record)
    if not all(map(callable, listeners)):
        raise ValueError("on_record is a function of a Record, or several: see paramlock.loggers")
    return Watch(model, optimizer, every, delta, replay, live, interval, listeners)


def _tell(listener: Listener, record: Record) -> None:
    """Tell a listener; a run of days must not end because a logger lost its network."""
    try:
        listener(record)
    except Exception as error:
        name = getattr(listener, "__qualname__", type(listener).__name__)
        words = f"{type(error).__name__}: {error}"
        warnings.warn(f"on_record {name} failed at step {record.step}: {words}", stacklevel=2)


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
