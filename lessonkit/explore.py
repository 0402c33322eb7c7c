"""Slider experiments: move a control, see the picture and its finding change at once.

An `Experiment` joins a matplotlib figure, native range controls and a function `update` that
puts new data into artists of that figure and says in one sentence what they show. Only the
artists made with `animated=True` are drawn again; all else is a background kept from the first
drawing (*blitting*), which is what makes an answer fast enough to follow a hand.

The controls have names and visible values, answer to the keyboard, and report in text: the
sentence is announced by screen readers, and it is part of the picture's alternative text. Where
no kernel answers, the picture stays and says that its cell wants to be run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import anywidget
import matplotlib.pyplot as plt
import numpy as np
import traitlets
from IPython.display import display
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from lessonkit.sliders import LogSlider, Slider, Steps
from paramlock.pictures import figures
from paramlock.pictures.picture import Picture

__all__ = ["Experiment", "LogSlider", "Slider", "Steps"]

AGAIN = "Run this cell to move it."


class Answer(NamedTuple):
    """What an experiment replies to one setting of its sliders."""

    finding: str
    png: bytes


class Experiment(anywidget.AnyWidget):
    """A figure that follows its sliders.

    `update(**values)` is called with one number per slider, sets the data of artists made with
    `animated=True` and returns the finding, a sentence with numbers. Where it raises, the
    reader sees which setting failed and why, and the picture stays at the last one that worked.
    """

    _esm = Path(__file__).with_name("explore.js")
    _css = Path(__file__).with_name("explore.css")

    controls: traitlets.List[dict[str, Any]] = traitlets.List().tag(sync=True)
    description = traitlets.Unicode().tag(sync=True)
    finding = traitlets.Unicode().tag(sync=True)
    failed = traitlets.Bool().tag(sync=True)
    picture = traitlets.Bytes().tag(sync=True)
    width = traitlets.Int().tag(sync=True)
    again = traitlets.Unicode().tag(sync=True)

    def __init__(
        self,
        figure: Figure,
        update: Callable[..., str],
        sliders: Mapping[str, Steps],
        *,
        alt: str,
    ) -> None:
        """Draw the starting setting; errors of `update` at that setting are raised here."""
        self.sliders = dict(sliders)
        self._update = update
        self._canvas = _canvas_of(figure)
        self._background: Any = None
        answer = self.try_values()
        width = round(figure.get_figwidth() * figures.DPI)
        self._static = Picture(figures.compact(self._pixels()), f"{alt} {answer.finding}", width)
        super().__init__(
            controls=[control(name, slider) for name, slider in self.sliders.items()],
            description=alt,
            finding=answer.finding,
            picture=answer.png,
            width=width,
            again=AGAIN,
        )
        self.on_msg(self._receive)

    def try_values(self, **values: Any) -> Answer:
        """Run `update` at `values` (the start where none is given) and redraw.

        Raises:
            TypeError: a name without a slider. Errors of `update` pass.
        """
        if unknown := values.keys() - self.sliders.keys():
            raise TypeError(f"no slider is called {', '.join(sorted(unknown))}")
        wanted = {name: s.read(values.get(name, s.start)) for name, s in self.sliders.items()}
        finding = self._update(**wanted)
        self._redraw()
        return Answer(finding, figures.quick(self._pixels()))

    def settings(self) -> Iterator[dict[str, Any]]:
        """Settings to try it by: the middle of all sliders, then both ends of each."""
        middle = {name: slider.middle for name, slider in self.sliders.items()}
        yield middle
        for name, slider in self.sliders.items():
            yield {**middle, name: slider.values[0]}
            yield {**middle, name: slider.values[-1]}

    def show(self) -> None:
        """Display the experiment; a page without a kernel shows its starting picture."""
        display(self)

    def _receive(self, _widget: object, message: dict[str, Any], _buffers: object) -> None:
        """Answer a browser's `{"steps": {name: index}}`."""
        steps = message["steps"]
        values = {name: self.sliders[name].values[step] for name, step in steps.items()}
        try:
            finding, png = self.try_values(**values)
            failed = False
        except Exception as error:  # a reader must see it: the kernel's log is out of sight
            texts = (f"{name} = {self.sliders[name].texts[step]}" for name, step in steps.items())
            finding = f"No answer at {', '.join(texts)}: {str(error) or type(error).__name__}"
            png, failed = self.picture, True
        with self.hold_sync():
            self.controls = [{**c, "at": steps.get(c["name"], c["at"])} for c in self.controls]
            self.finding, self.picture, self.failed = finding, png, failed
        self.send({"answered": True})

    def _redraw(self) -> None:
        figure = self._canvas.figure
        if self._background is None:
            self._canvas.draw()
            self._background = self._canvas.copy_from_bbox(figure.bbox)
        self._canvas.restore_region(self._background)
        for artist in _moving_artists(figure):
            figure.draw_artist(artist)

    def _pixels(self) -> Any:
        return np.asarray(self._canvas.buffer_rgba())

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        data, metadata = super()._repr_mimebundle_(**kwargs) or ({}, {})
        return {
            **data,
            "text/html": f"{self._static._repr_html_()}<p><em>{AGAIN}</em></p>",
            "text/plain": repr(self._static),
        }, metadata

    def __repr__(self) -> str:
        return repr(self._static)


def control(name: str, slider: Steps) -> dict[str, Any]:
    """A slider as the browser gets it."""
    at = slider.index(slider.start)
    return {"name": name, "label": slider.label, "texts": list(slider.texts), "at": at}


def _canvas_of(figure: Figure) -> FigureCanvasAgg:
    plt.close(figure)  # else a notebook shows the bare figure as well
    figure.set_dpi(figures.DPI * figures.DENSITY)
    return FigureCanvasAgg(figure)


def _moving_artists(figure: Figure) -> list[Artist]:
    moving = figure.findobj(lambda artist: artist.get_animated())
    return sorted(moving, key=lambda artist: artist.get_zorder())
