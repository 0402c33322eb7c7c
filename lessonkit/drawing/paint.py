"""Paint a drawing with matplotlib; lengths are inches, and so are the axes' units.

Up to seven layers show their units, as nodes where there are few and as a bar where there are many;
between the columns lie the weights, with a tag in the colour of their state. More layers become
tiles. Forward and backward signals are rivers over and under the chain, as wide as they are strong.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch, Polygon, Rectangle

from lessonkit.drawing.network import Layer, Network
from lessonkit.drawing.room import FEW, Room, Scale, lanes, step, wrapped
from paramlock.pictures.palette import COLOURS, MEANINGS, ink_on, look

NODES = 8  # units that are drawn one by one
INK, LINE, FLOW = "0.15", "0.45", "#5D6D7E"
COLUMN, TILE = 1.1, 0.5  # heights of a bar of units, and of a layer that is a tile
LONGEST = 14  # letters of a name under a tile
LANE = 0.52  # height of a river with its numbers
TAG, BAR = 0.27, 0.26  # widths of the state of weights, and of a column of many units
THICK = 0.2  # of the widest river
EDGE: dict[str, Any] = {"edgecolor": LINE, "linewidth": 0.8}

Drawn = dict[tuple[str, str], float | tuple[int, ...]]


def letters_of(kind: str) -> tuple[str, str]:
    """Letter and colour of a lock."""
    return look("moved" if kind == "leaking" else kind)


def painted(network: Network, room: Room) -> tuple[Figure, Drawn]:
    """The figure of a network, and what is drawn locked in it."""
    return _Painter(network, room).paint()


class _Painter:
    def __init__(self, network: Network, room: Room) -> None:
        self.network, self.room, self.drawn = network, room, Drawn()
        self.layers: Sequence[Layer] = network.layers
        self.detailed = len(self.layers) <= FEW
        self._measure()
        self.figure = Figure(figsize=(room.width, self.height), facecolor="white")
        self.figure.set_layout_engine("none")
        self.axes: Axes = self.figure.add_axes((0, 0, 1, 1))
        self.axes.set(xlim=(0, room.width), ylim=(0, self.height))
        self.axes.axis("off")

    def _measure(self) -> None:
        """Heights from the bottom, and the places of columns and weights."""
        room, count = self.room, len(self.layers)
        body = self._body()
        self.low = 0.08 + 0.22 * room.legend
        names = 0.56 if self.detailed else self._names_height()
        self.floor = self.low + LANE * bool(room.backward) + names
        self.middle, self.roof = self.floor + body / 2, self.floor + body
        self.noted = self.roof + 0.1 + 0.17 * room.skips + 0.1 * bool(room.notes)
        self.above = self.noted + 0.15 * room.notes + 0.04
        self.height = self.above + LANE * bool(room.forward) + 0.38
        self.dx = step(count) if self.detailed else (room.width - 1.2) / count
        start = 0.45 if self.detailed else 0.6
        self.columns = [start + self.dx * i for i in range(count + 1)]
        self.weights = [x + self.dx / 2 for x in self.columns[:-1]]

    def _body(self) -> float:
        """The height of the chain: that of its highest column, or of a tile."""
        if not self.detailed:
            return TILE
        counts = [self.layers[0].inputs, *(layer.units for layer in self.layers)]
        return max(COLUMN if n > NODES else max(_spacing(n) * n, 0.4) for n in counts)

    def _names_height(self) -> float:
        longest = max(len(layer.name) for layer in self.layers)
        return 0.24 if longest <= 4 else 0.24 + 0.05 * min(longest, LONGEST)

    def paint(self) -> tuple[Figure, Drawn]:
        title: dict[str, Any] = {"fontsize": 11, "va": "top", "color": "black"}
        self.axes.text(0.12, self.height - 0.1, self.network.title, **title)
        self._skips()
        if self.detailed:
            self._columns()
        else:
            self._tiles()
        self._ends()
        self._notes()
        network, room = self.network, self.room
        self._river(network.forward, Scale.of(room.forward), self.above, "signal", forward=True)
        self._river(
            network.backward,
            Scale.of(room.backward),
            self.low,
            network.backward_name,
            forward=False,
        )
        return self.figure, self.drawn

    # --- few layers: columns of units, and weights between them

    def _columns(self) -> None:
        for i, layer in enumerate(self.layers):
            self._weights(i, layer)
        first = self.layers[0]
        self._units(0, first.inputs)
        self._say(self.columns[0], ["input", str(first.inputs)])
        for i, layer in enumerate(self.layers, start=1):
            self._units(i, layer.units, layer)
            share = [_amount(layer, kind) for kind in layer.on_units]
            word = f" unit{'s' * (layer.units > 1)}" if self.dx > 1.25 else ""
            self._say(self.columns[i], [f"{layer.units}{word}", *share])

    def _weights(self, i: int, layer: Layer) -> None:
        whole = [kind for kind in layer.on_weights if layer.share(kind) == 1]
        colour = letters_of(whole[0])[1] if whole else COLOURS["trainable"]
        if layer.joined:
            links = self._links if max(layer.inputs, layer.units) <= NODES else self._band
            links(i, layer, FLOW if layer.afar else colour)
        self._boxes(layer, self.weights[i] - TAG / 2, self.middle - TAG / 2, TAG, TAG)
        words = [_amount(layer, kind) for kind in layer.on_weights]
        words += ["affected"] if layer.afar and not layer.locks else []
        self._say(self.weights[i], [_short(layer.name, self.dx), *words], bold=True)

    def _links(self, i: int, layer: Layer, colour: str) -> None:
        """One line per weight; those that are locked one by one, or by a dead unit, are broken."""
        style: dict[tuple[int, int], dict[str, Any]] = {
            (u, v): {"color": colour, "alpha": 0.7} for u, v in _pairs(layer)
        }
        for kind in layer.on_units:
            units = layer.locked_units(kind)
            style |= {pair: _broken(kind) for pair in _pairs(layer) if pair[0] in units}
        for kind in layer.on_weights:
            style |= {pair: _broken(kind) for pair in layer.locked_weights(kind)}
        for (unit, source), look_of in style.items():
            ys = [self._heights(layer.inputs)[source], self._heights(layer.units)[unit]]
            self.axes.plot(self.columns[i : i + 2], ys, linewidth=0.9, zorder=1, **look_of)

    def _band(self, i: int, layer: Layer, colour: str) -> None:
        left, right = self._extent(layer.inputs), self._extent(layer.units)
        x0, x1 = self.columns[i], self.columns[i + 1]
        corners = [(x0, left[0]), (x0, left[1]), (x1, right[1]), (x1, right[0])]
        self.axes.add_patch(Polygon(corners, facecolor=colour, alpha=0.22, zorder=1))

    def _units(self, i: int, count: int, layer: Layer | None = None) -> None:
        draw = self._nodes if count <= NODES else self._bar
        draw(self.columns[i], count)
        if layer:
            lock = self._locked_nodes if count <= NODES else self._locked_bar
            lock(self.columns[i], layer)

    def _nodes(self, x: float, count: int) -> None:
        for y in self._heights(count):
            frame = {"facecolor": "white", "zorder": 3, **EDGE}
            self.axes.add_patch(Circle((x, y), _radius(count), **frame))

    def _locked_nodes(self, x: float, layer: Layer) -> None:
        heights, radius = self._heights(layer.units), _radius(layer.units)
        for kind in layer.on_units:
            letter, colour = letters_of(kind)
            units = layer.locked_units(kind)
            for unit in units:
                frame = {"facecolor": colour, "zorder": 4, **EDGE}
                self.axes.add_patch(Circle((x, heights[unit]), radius, **frame))
                self._letter(x, heights[unit], letter, colour, 95 * radius)
            self.drawn[layer.name, kind] = units

    def _bar(self, x: float, _count: int) -> None:
        frame = {"facecolor": "white", "zorder": 3, **EDGE}
        place = (x - BAR / 2, self.floor)
        self.axes.add_patch(Rectangle(place, BAR, self.roof - self.floor, **frame))

    def _locked_bar(self, x: float, layer: Layer) -> None:
        bottom, whole = self.floor, self.roof - self.floor
        for kind in layer.on_units:
            height = min(layer.share(kind) * whole, self.roof - bottom)
            self._fill(layer.name, kind, (x - BAR / 2, bottom, BAR, height), layer.share(kind))
            bottom += height

    # --- many layers: tiles

    def _tiles(self) -> None:
        self.axes.plot(
            [self.columns[0], self.columns[-1]], [self.middle] * 2, color=LINE, zorder=1, lw=1
        )
        width = 0.86 * self.dx
        for x, layer in zip(self.weights, self.layers, strict=True):
            self._boxes(layer, x - width / 2, self.floor, width, TILE)
        self._names()
        self._legend()

    def _names(self) -> None:
        names = [layer.name for layer in self.layers]
        slanted = max(map(len, names)) > 4
        every = max(1, round((0.16 if slanted else 0.42) / self.dx + 0.49))
        chosen = {i for i in range(0, len(names) - every + 1, every)} | {len(names) - 1}
        style: dict[str, Any] = {"fontsize": 8, "color": INK, "va": "top", "ha": "center"}
        if slanted:
            style |= {"rotation": 40, "ha": "right", "rotation_mode": "anchor"}
        for i in chosen:
            self.axes.text(self.weights[i], self.floor - 0.07, _tail(names[i], LONGEST), **style)

    def _legend(self) -> None:
        """What the colours and letters stand for, under everything."""
        kinds = dict.fromkeys(kind for layer in self.layers for kind in layer.locks)
        words = ["trainable", *kinds]
        words += ["affected from afar"] if any(layer.afar for layer in self.layers) else []
        x, y, size = 0.6, 0.1, 0.15
        for word in words:
            face = "white" if word.startswith("affected") else _colour(word)
            hatch = "////" if word.startswith("affected") else None
            self.axes.add_patch(Rectangle((x, y), size, size, facecolor=face, hatch=hatch, **EDGE))
            if word in kinds:
                self._letter(x + size / 2, y + size / 2, letters_of(word)[0], face, 7.5)
            self.axes.text(x + 0.22, y + size / 2, word, va="center", fontsize=8, color=INK)
            x += 0.48 + 0.068 * len(word)

    # --- boxes that hold the state of weights

    def _boxes(self, layer: Layer, x: float, y: float, width: float, height: float) -> None:
        """One box per lock side by side, each filled as far as the lock holds."""
        kinds = list(layer.locks)
        base = {"facecolor": COLOURS["trainable"], "zorder": 3, **EDGE}
        if layer.afar and not kinds:
            base |= {"facecolor": "white", "hatch": "////"}
        self.axes.add_patch(Rectangle((x, y), width, height, **base))
        if layer.afar and not kinds:
            letter, size = letters_of(layer.afar)[0].lower(), _size(width)
            self._letter(x + width / 2, y + height / 2, letter, "#FFFFFF", size, back=True)
        part = width / max(len(kinds), 1)
        for k, kind in enumerate(kinds):
            share = layer.share(kind)
            self._fill(layer.name, kind, (x + k * part, y, part, height * share), share)

    def _fill(
        self, name: str, kind: str, box: tuple[float, float, float, float], share: float
    ) -> None:
        """A filled part with its letter, over it where the part is too low."""
        letter, colour = letters_of(kind)
        x, y, width, height = box
        self.axes.add_patch(Rectangle((x, y), width, height, facecolor=colour, zorder=3.5, **EDGE))
        size = _size(width)
        inside = height > size / 72
        place = y + height / 2 if inside else y + height + size / 120
        self._letter(x + width / 2, place, letter, colour if inside else "#FFFFFF", size)
        self.drawn[name, kind] = share

    def _letter(
        self, x: float, y: float, letter: str, colour: str, size: float, *, back: bool = False
    ) -> None:
        style: dict[str, Any] = {"ha": "center", "va": "center_baseline", "zorder": 5}
        if back:
            style["bbox"] = {"facecolor": "white", "edgecolor": "none", "pad": 1}
        ink = ink_on(colour)
        self.axes.text(x, y, letter, color=ink, fontsize=size, fontweight="bold", **style)

    # --- what lies beside the chain

    def _ends(self) -> None:
        """The loss at the end, the input of tiles at the start, and the locks of both."""
        y, x = self.middle, self.columns[-1]
        link: dict[str, Any] = {"color": LINE, "linewidth": 1, "zorder": 1}
        self.axes.plot([x, x + 0.25], [y, y], **link)
        self._end(x + 0.3, "loss", self.network.at_loss, to="left")
        if not self.detailed:
            self.axes.plot([self.columns[0] - 0.1, self.columns[0]], [y, y], **link)
        at = (self.columns[0] - 0.12, "" if self.detailed else "input")
        self._end(*at, self.network.at_input, to="right")

    def _end(self, x: float, word: str, kinds: Sequence[str], to: str) -> None:
        self.axes.text(x, self.middle, word, ha=to, va="center", fontsize=8.5, color=INK)
        for k, kind in enumerate(kinds):
            letter, colour = letters_of(kind)
            left = x + 0.02 if to == "left" else x - 0.24
            y = self.middle + 0.12 + 0.25 * k
            self.axes.add_patch(
                Rectangle((left, y), 0.22, 0.22, facecolor=colour, zorder=4, **EDGE)
            )
            self._letter(left + 0.11, y + 0.11, letter, colour, 9)
            self.drawn["loss" if to == "left" else "input", kind] = 1.0

    def _skips(self) -> None:
        where = {"input": self.columns[0]} | {
            layer.name: x for layer, x in zip(self.layers, self.columns[1:], strict=True)
        }
        into = {layer.name: x for layer, x in zip(self.layers, self.columns, strict=False)}
        spans = [(where[a], into[b]) for a, b in self.network.skips]
        for (x0, x1), lane in zip(spans, lanes(spans), strict=True):
            y = self.roof + 0.14 + 0.17 * lane
            left, right = x0 + 0.04, x1 - 0.04
            path = [self.roof, y, y]
            self.axes.plot([left, left, right], path, color=LINE, linewidth=1, zorder=1)
            arrow: dict[str, Any] = {"arrowstyle": "-|>", "mutation_scale": 8, "color": LINE}
            ends = ((right, y), (right, self.roof - 0.02))
            self.axes.add_patch(FancyArrowPatch(*ends, shrinkA=0, shrinkB=0, **arrow))

    def _notes(self) -> None:
        for layer, x, column in zip(self.layers, self.weights, self.columns[1:], strict=True):
            if layer.note:
                at_units = self.detailed and layer.on_units and not layer.on_weights
                self._note(
                    "\n".join(wrapped(layer.note)), column if at_units else x, bool(at_units)
                )

    def _note(self, text: str, x: float, at_units: bool) -> None:
        y = self.noted
        inside = min(max(x, 0.85), self.room.width - 0.85)
        style: dict[str, Any] = {"fontsize": 8.5, "color": INK, "ha": "center", "va": "bottom"}
        self.axes.text(inside, y, text, linespacing=1.15, **style)
        foot = self.roof if at_units or not self.detailed else self.middle + TAG / 2
        line: dict[str, Any] = {"arrowstyle": "-|>", "mutation_scale": 7, "color": INK, "zorder": 6}
        self.axes.add_patch(FancyArrowPatch((x, y), (x, foot), shrinkA=0, shrinkB=1, **line))

    def _river(
        self, values: Sequence[float], scale: Scale, y: float, name: str, *, forward: bool
    ) -> None:
        """A band along the chain, as wide as the signal is strong; dotted where it is nothing."""
        if not values:
            return
        xs, centre = self.columns[1:] if forward else self.weights, y + 0.24
        halves = [THICK / 2 * scale(value) for value in values]
        self.axes.plot([xs[0], xs[-1]], [centre] * 2, color=FLOW, linestyle=":", linewidth=1)
        for i in range(len(xs) - 1):
            cut = not values[i] or not values[i + 1]
            self._piece(xs[i : i + 2], halves[i : i + 2], centre, cut)
        end, half = (xs[-1], halves[-1]) if forward else (xs[0], halves[0])
        self._head(end, half, centre, 1 if forward else -1)
        self._numbers(xs, values, centre)
        self.axes.text(
            xs[0] if forward else xs[-1],
            centre + THICK / 2 + 0.03,
            f"{name}, log scale →" if forward else f"← {name}, log scale",
            ha="left" if forward else "right",
            va="bottom",
            fontsize=8,
            color=INK,
        )

    def _piece(self, xs: Sequence[float], halves: Sequence[float], y: float, cut: bool) -> None:
        """The band between two layers; where one of them has none at all, it is cut halfway."""
        (x0, x1), (left, right) = xs, halves
        if not left and not right:
            return
        if cut:
            middle, half = (x0 + x1) / 2, max(left, right)
            x0, x1 = (x0, middle) if left else (middle, x1)
            left = right = half
            ends = [y - half - 0.05, y + half + 0.05]
            self.axes.plot([middle, middle], ends, color=INK, linewidth=1.5, zorder=3)
        corners = [(x0, y - left), (x0, y + left), (x1, y + right), (x1, y - right)]
        self.axes.add_patch(Polygon(corners, facecolor=FLOW, edgecolor=FLOW, linewidth=0.5))

    def _head(self, x: float, half: float, y: float, way: int) -> None:
        if half:
            wide, long = half + 0.04, 0.12
            corners = [(x, y - wide), (x, y + wide), (x + way * long, y)]
            self.axes.add_patch(Polygon(corners, facecolor=FLOW))

    def _numbers(self, xs: Sequence[float], values: Sequence[float], y: float) -> None:
        chosen = range(len(xs)) if self.detailed else (0, len(xs) - 1)
        style: dict[str, Any] = {"fontsize": 8, "color": INK, "ha": "center", "va": "top"}
        for i in chosen:
            self.axes.text(xs[i], y - 0.12, _number(values[i]), **style)

    def _say(self, x: float, lines: Sequence[str], *, bold: bool = False) -> None:
        """Words under a column: the first larger."""
        style: dict[str, Any] = {"color": INK, "ha": "center", "va": "top"}
        weight = "bold" if bold else "normal"
        self.axes.text(x, self.floor - 0.06, lines[0], fontsize=8.5, fontweight=weight, **style)
        self.axes.text(x, self.floor - 0.22, "\n".join(lines[1:]), fontsize=7.5, **style)

    # --- heights of units in a column

    def _heights(self, count: int) -> list[float]:
        """The heights of nodes, the first on top."""
        top = self.middle + _spacing(count) * (count - 1) / 2
        return [top - _spacing(count) * unit for unit in range(count)]

    def _extent(self, count: int) -> tuple[float, float]:
        if count > NODES:
            return self.floor, self.roof
        heights = self._heights(count)
        return heights[-1] - 0.1, heights[0] + 0.1


def _pairs(layer: Layer) -> list[tuple[int, int]]:
    return [(unit, source) for unit in range(layer.units) for source in range(layer.inputs)]


def _broken(kind: str) -> dict[str, Any]:
    return {"color": letters_of(kind)[1], "linestyle": (0, (1.5, 2)), "alpha": 1.0}


def _radius(count: int) -> float:
    return min(0.1, 0.42 * _spacing(count))


def _spacing(count: int) -> float:
    return min(0.3, COLUMN / count)


def _size(width: float) -> float:
    """The size of a letter in a box of a width."""
    return min(10.0, 72 * width * 0.72)


def _colour(word: str) -> str:
    return COLOURS[word] if word in MEANINGS else letters_of(word)[1]


def _amount(layer: Layer, kind: str) -> str:
    """A lock in words: its kind, and how much of the layer it holds."""
    share, extent = layer.share(kind), layer.locks[kind]
    if share == 1:
        return kind
    if isinstance(extent, tuple) and len(extent) < 100:
        return f"{len(extent)} {kind}"
    return f"{kind} {share:.0%}" if share >= 0.005 else f"{kind} {share:.1g}"


def _number(value: float) -> str:
    return "0" if value == 0 else f"{value:.2g}"


def _short(name: str, width: float) -> str:
    return _tail(name, max(5, int((width - 0.3) / 0.09)))


def _tail(name: str, longest: int) -> str:
    return name if len(name) <= longest else "…" + name[1 - longest :]
