"""A network that can be shown: its picture, its words, and what is drawn locked in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property

from IPython.display import display

from lessonkit.drawing import certified, paint, words
from lessonkit.drawing.gathering import Gathered, gathered
from lessonkit.drawing.network import Layer, Network
from lessonkit.drawing.paint import Drawn
from lessonkit.drawing.room import Room, lanes, needed
from paramlock.certifying.certificate import Certificate
from paramlock.pictures import figures
from paramlock.pictures.picture import Picture


@dataclass(frozen=True)
class Drawing(Network):
    """A network as a picture. In a notebook it shows itself."""

    @property
    def alt(self) -> str:
        """What the picture shows, in words."""
        return words.alt(self)

    @cached_property
    def gathered(self) -> Gathered:
        """The layers as they are drawn: of a very deep network, runs of equal ones together."""
        return gathered(self)

    @property
    def room(self) -> Room:
        """The room it needs by itself."""
        shown = self.gathered.network
        places = {"input": 0, **{layer.name: i for i, layer in enumerate(shown.layers, start=1)}}
        spans = [(places[a], places[b] - 1) for a, b in shown.skips]
        rows = max(lanes(spans), default=-1) + 1
        return needed(shown.layers, shown.title, rows, shown.forward, shown.backward)

    @cached_property
    def picture(self) -> Picture:
        """The picture in the room it needs."""
        return self.picture_in(self.room)

    def picture_in(self, room: Room) -> Picture:
        """The picture in a given room."""
        figure, _ = paint.painted(self.gathered.network, room)
        return figures.picture(figure, self.alt)

    def show(self) -> None:
        """Display the picture."""
        display(self)

    def _repr_html_(self) -> str:
        return self.picture._repr_html_()

    def __repr__(self) -> str:
        return f"[Figure: {self.alt}]"


def draw(
    what: Sequence[Layer] | Certificate,
    title: str = "",
    *,
    forward: Sequence[float] = (),
    backward: Sequence[float] = (),
    skips: Sequence[tuple[str, str]] = (),
) -> Drawing:
    """A drawing of layers (see `chain` and `Layer`) or of a certificate.

    `title` states what is found; without one it lists the locks. `forward` and `backward` are
    strengths, one per layer, from the input up: of the signal that leaves it, of the gradient that
    reaches it. They are drawn on a logarithmic scale. A certificate brings its own layers, skip
    connections and shares of the gradient. `skips` are pairs of layers' names.

    Raises:
        ValueError: strengths that are not one per layer, or names that no layer has.
    """
    known = certified.network(what) if isinstance(what, Certificate) else Network(tuple(what))
    whole = replace(
        known,
        forward=tuple(map(float, forward)),
        backward=tuple(map(float, backward)) or known.backward,
        backward_name=Network.backward_name if len(backward) else known.backward_name,
        skips=tuple(skips) or known.skips,
    )
    values = {field.name: getattr(whole, field.name) for field in fields(whole)}
    return Drawing(**{**values, "title": title or words.title(whole)})


def locked_nodes(drawing: Drawing) -> Drawn:
    """What is drawn locked: {(layer, kind): the numbers of units drawn as nodes, or a share}.

    It is taken down while the picture is painted. Locks of the input and of the loss stand under
    the names `"input"` and `"loss"`.
    """
    _, drawn = paint.painted(drawing.gathered.network, drawing.room)
    members = drawing.gathered.members
    return {
        (name, kind): amount
        for (tile, kind), amount in drawn.items()
        for name in members.get(tile, [tile])
    }
