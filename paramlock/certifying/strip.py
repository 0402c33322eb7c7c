"""The network as a strip of layers, from input to loss, coloured by lock.

A full tile is a lock's origin, with its capital letter; a hatched one is affected by a lock
elsewhere, with that lock's small letter.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from paramlock.certifying.locks import KINDS, Lock
from paramlock.certifying.records import place_name
from paramlock.pictures import figures, palette

LEARNS = palette.COLOURS["trainable"]
LONGEST_NAME = 24
MOST_NAMES = 40  # more layers than that get a strip without names


def picture(rows: Sequence[dict[str, Any]], locks: Sequence[Lock]) -> figures.Picture:
    """The strip with a sentence that says what it shows, from `Certificate.layers()` and locks."""
    width = min(max(4.0, 0.55 * len(rows) + 1.5), 14.0)
    figure, axes = figures.chart(_title(locks), "", "", size=(width, 2.4))
    for x, row in enumerate(rows):
        _tile(axes, x, row, named=len(rows) <= MOST_NAMES)
    axes.set(xlim=(0, max(len(rows), 1)), ylim=(0, 1), yticks=[])
    names = [_short(row["layer"]) for row in rows] if len(rows) <= MOST_NAMES else []
    axes.set_xticks([x + 0.5 for x in range(len(names))], names, rotation=45, ha="right")
    axes.grid(False)
    axes.spines[:].set_visible(False)
    return figures.picture(figure, _alt(rows, locks))


def _tile(axes: Axes, x: int, row: dict[str, Any], named: bool) -> None:
    kind = KINDS.get(row["lock"] or row["origin"])
    colour = kind.colour if kind and row["lock"] else LEARNS if not kind else "#FFFFFF"
    hatch = "////" if kind and not row["lock"] else None
    style: dict[str, Any] = {"facecolor": colour, "edgecolor": "0.4", "hatch": hatch}
    axes.add_patch(Rectangle((x + 0.04, 0), 0.92, 1, **style))
    if named and kind:
        letter = kind.letter if row["lock"] else kind.letter.lower()
        back = {"facecolor": colour, "edgecolor": "none", "pad": 2}
        place: dict[str, Any] = {"ha": "center", "va": "center", "bbox": back}
        axes.text(x + 0.5, 0.5, letter, color=palette.ink_on(colour), **place)


def _title(locks: Sequence[Lock]) -> str:
    kinds = dict.fromkeys(lock.kind for lock in locks)
    words = ", ".join(f"{KINDS[kind].letter} {kind}" for kind in kinds)
    return f"From input to loss: {words}" if words else "From input to loss: no locks"


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else "…" + name[1 - LONGEST_NAME :]


def _alt(rows: Sequence[dict[str, Any]], locks: Sequence[Lock]) -> str:
    found = "; ".join(_words(lock) for lock in locks)
    return f"A strip of {len(rows)} layers from input to loss. {found or 'No layer is locked'}."


def _words(lock: Lock) -> str:
    affected = len(lock.backward + lock.forward)
    more = f", which affects {affected} more" if affected else ""
    return f"{lock.kind} at {place_name(lock.place)}{more}"
