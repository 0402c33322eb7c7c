"""A sequence of drawings as a slider with a play button: a gradient that fades, units that die.

All pictures are made beforehand and go to the browser together, so a state is shown at once, and
still is when the kernel is gone. The button runs through the states; for readers who asked their
system for less motion it shows one more per press. A page without a kernel has a strip of states.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from functools import reduce
from pathlib import Path
from typing import Any

import anywidget
import traitlets
from IPython.display import display

from lessonkit import explore
from lessonkit.drawing.drawing import Drawing
from lessonkit.drawing.room import Room
from lessonkit.sliders import Steps

AGAIN = "Run this cell to play it."
STRIP = 4  # states that a page without a kernel can show


class Play(anywidget.AnyWidget):
    """A slider through pictures, with a play button."""

    _esm = Path(explore.__file__).with_name("explore.js")
    _css = Path(explore.__file__).with_name("explore.css")

    controls: traitlets.List[dict[str, Any]] = traitlets.List().tag(sync=True)
    frames: traitlets.List[dict[str, Any]] = traitlets.List().tag(sync=True)
    width = traitlets.Int().tag(sync=True)

    def __init__(
        self, states: Sequence[Drawing], captions: Sequence[str], slider: Steps, strip: int
    ) -> None:
        """Paint all states in one room."""
        room = reduce(Room.joined, (state.room for state in states))
        self.pictures = [state.picture_in(room) for state in states]
        self.captions = list(captions)
        self.strip = strip
        pairs = zip(self.pictures, captions, strict=True)
        super().__init__(
            controls=[explore.control("state", slider)],
            frames=[{"picture": p.webp, "alt": p.alt, "caption": words} for p, words in pairs],
            width=self.pictures[0].width,
        )

    def show(self) -> None:
        """Display it; a page without a kernel shows the first state, the last, and some between."""
        display(self)

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        data, metadata = super()._repr_mimebundle_(**kwargs) or ({}, {})
        return {**data, "text/html": self._strip(), "text/plain": repr(self)}, metadata

    def _strip(self) -> str:
        last = len(self.pictures) - 1
        chosen = sorted({round(i * last / (self.strip - 1)) for i in range(self.strip)})
        shown = "".join(
            f'<figure style="margin:0">{self.pictures[i]._repr_html_()}'
            f"<figcaption>{html.escape(self.captions[i])}</figcaption></figure>"
            for i in chosen
        )
        style = "display:flex;flex-wrap:wrap;gap:8px 16px"
        return f'<div style="{style}">{shown}</div><p><em>{AGAIN}</em></p>'

    def __repr__(self) -> str:
        first, last = self.captions[0], self.captions[-1]
        return f"[{len(self.captions)} pictures, from: {first} to: {last}]"


def play(
    states: Sequence[Drawing],
    captions: Sequence[str] = (),
    *,
    label: str = "State",
    values: Sequence[Any] = (),
    strip: int = 2,
) -> None:
    """Display `states` one after the other, under a slider and a play button.

    `captions` say what each shows, by default its title. `label` names the slider, `values` what it
    steps through (epochs, depths), by default 1, 2, 3. `strip`: how many states, two to four, a
    page without a kernel shows.

    Raises:
        ValueError: fewer than two states, or captions or values that are not one per state.
    """
    said = list(captions) or [state.title for state in states]
    steps = list(values) or list(range(1, len(states) + 1))
    if len(states) < 2 or not len(states) == len(said) == len(steps):
        raise ValueError(
            f"a play needs two states or more, with a caption and a value each, not {len(states)} "
            f"states, {len(said)} captions and {len(steps)} values"
        )
    if not 2 <= strip <= STRIP:
        raise ValueError(f"a strip shows two to {STRIP} states, not {strip}")
    Play(states, said, Steps(label, steps, steps[0]), strip).show()
