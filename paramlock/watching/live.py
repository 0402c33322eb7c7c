"""Show a watched run while it goes: a figure in a notebook, a line in a terminal, else nothing."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Any

from paramlock.pictures.picture import Picture
from paramlock.watching.record import QUANTITIES, Record, layers_in, line, series


def display_for(live: bool | None, interval: float) -> Live | None:
    """What shows a run, if anything does; `None` leaves it to where the words would go."""
    shown = _in_notebook() or _in_terminal() if live is None else live
    return Live(interval) if shown else None


class Live:
    """Shows a run while it goes, at most once in `interval` seconds."""

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._next = 0.0
        self._handle: Any = None
        self._notebook = _in_notebook()

    def show(self, history: Sequence[Record], now: bool = False) -> None:
        """Show the latest state if it is time."""
        if not now and time.monotonic() < self._next:
            return
        if self._notebook:
            self._figure(history)
        else:
            print(line(history[-1]), file=sys.stderr, flush=True)
        self._next = time.monotonic() + self._interval

    def _figure(self, history: Sequence[Record]) -> None:
        from IPython.display import display

        if self._handle is None:
            self._handle = display(picture(history), display_id=True)
        else:
            self._handle.update(picture(history))


def _in_notebook() -> bool:
    ipython = sys.modules.get("IPython")  # a notebook has loaded it
    return ipython is not None and type(ipython.get_ipython()).__name__ == "ZMQInteractiveShell"


def _in_terminal() -> bool:
    return sys.stderr is not None and sys.stderr.isatty()  # None under pythonw


def picture(history: Sequence[Record]) -> Picture:
    """Gradient share and update ratio of each layer over the steps.

    Raises:
        ValueError: nothing was recorded yet.
    """
    if not history:
        raise ValueError("nothing was recorded yet: train for a step inside the watch, then plot")
    from matplotlib.figure import Figure

    from paramlock.pictures import figures

    figure, layers = Figure(figsize=(8.0, 3.2), layout="constrained"), layers_in(history)
    steps = [record.step for record in history]
    for axes, quantity in zip(figure.subplots(1, 2), QUANTITIES[:2], strict=True):
        for i, name in enumerate(layers):
            shade = str(0.75 * i / max(len(layers) - 1, 1))  # from input (dark) to output
            axes.plot(steps, series(history, quantity, name), color=shade, label=name)
        positive = any(value > 0 for name in layers for value in series(history, quantity, name))
        axes.set(xlabel="step", ylabel=quantity, yscale="log" if positive else "linear")
    axes.legend(*_few_labels(axes), fontsize=8)
    return figures.picture(figure, line(history[-1]))


def _few_labels(axes: Any) -> tuple[list[Any], list[str]]:
    """The first and last entries of a legend: a deep net has too many for all."""
    handles, labels = axes.get_legend_handles_labels()
    keep = range(len(labels)) if len(labels) <= 8 else (0, len(labels) - 1)
    return [handles[i] for i in keep], [labels[i] for i in keep]
