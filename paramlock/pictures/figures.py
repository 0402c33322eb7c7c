"""Pictures for the lessons: colours with one meaning each, and text for who cannot see them.

The colours are those of Okabe and Ito (2008, https://jfly.uni-koeln.de/color/), chosen so that
people with any common colour blindness can tell them apart. A picture is an HTML `<img>` with
alternative text on a white card: that text survives in JupyterLab and in exported pages, and the
card stays readable in a dark theme. The same figure always gives the same bytes.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray
from PIL import Image

from paramlock.pictures.palette import COLOURS
from paramlock.pictures.picture import Picture

DPI = 100
PALETTE_SIZE = 48  # enough for a chart with smooth edges, a third of the bytes of full colour

STYLE: dict[str, Any] = {
    "figure.figsize": (7.0, 3.2),
    "figure.dpi": DPI,
    "figure.constrained_layout.use": True,
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "0.92",
    "legend.frameon": False,
    "font.family": "DejaVu Sans",  # ships with matplotlib, so text has the same shape everywhere
    "font.size": 10,
    "lines.linewidth": 2.0,
    "lines.markersize": 5,
}


def use_style() -> None:
    """Give every figure made from now on the course's look."""
    from matplotlib import style  # slow to load, and of use to lessons alone

    style.use(STYLE)


def chart(
    title: str, xlabel: str, ylabel: str, size: tuple[float, float] = (7.0, 2.9)
) -> tuple[Figure, Axes]:
    """A figure of `size` inches and its axes; the title states what is found.

    It is not made by pyplot, so a notebook displays it where `show` says and nowhere else.
    """
    figure = Figure(figsize=size)
    axes = figure.subplots()
    axes.set(title=title, xlabel=xlabel, ylabel=ylabel)
    return figure, axes


def show(figure: Figure, alt: str) -> None:
    """Display `figure` with `alt` as its alternative text, then close it."""
    import matplotlib.pyplot as plt
    from IPython.display import display

    display(Picture(compact_png(pixels(figure)), alt))
    plt.close(figure)  # else a figure made by pyplot would be displayed again


def show_table(
    title: str,
    rows: Sequence[str],
    columns: Sequence[str],
    texts: Sequence[Sequence[str]],
    meanings: Sequence[Sequence[str]],
    alt: str,
) -> None:
    """Print a table as text, then display it as coloured tiles.

    `texts` and `meanings` hold one list per row; a meaning is a key of `COLOURS`. Each tile
    bears its text, so that nothing is said by colour alone.
    """
    print(_aligned(rows, columns, texts))
    figure, axes = chart(title, "", "", size=(7.4, 0.7 + 0.36 * len(rows)))
    _draw_tiles(axes, texts, meanings)
    axes.set_xticks([x + 0.5 for x in range(len(columns))], columns)
    axes.set_yticks([y + 0.5 for y in range(len(rows))], rows)
    show(figure, alt)


def ink_on(colour: str) -> str:
    """The name of black or white, whichever is easier to read on `colour`."""
    red, green, blue = to_rgb(colour)
    return "black" if 0.299 * red + 0.587 * green + 0.114 * blue > 0.5 else "white"


def _draw_tiles(
    axes: Axes, texts: Sequence[Sequence[str]], meanings: Sequence[Sequence[str]]
) -> None:
    for y, (words, kinds) in enumerate(zip(texts, meanings, strict=True)):
        for x, (word, kind) in enumerate(zip(words, kinds, strict=True)):
            axes.add_patch(Rectangle((x + 0.02, y + 0.04), 0.96, 0.92, color=COLOURS[kind]))
            ink = "white" if kind in ("frozen", "dead") else "black"
            axes.text(x + 0.5, y + 0.5, word, color=ink, ha="center", va="center")
    axes.set(xlim=(0, len(texts[0])), ylim=(len(texts), 0))
    axes.tick_params(length=0)
    axes.grid(False)
    axes.spines[:].set_visible(False)


def _aligned(rows: Sequence[str], columns: Sequence[str], texts: Sequence[Sequence[str]]) -> str:
    """The table as lines of text with straight columns."""
    lines = [["", *columns], *([row, *words] for row, words in zip(rows, texts, strict=True))]
    first, *others = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return "\n".join(
        line[0].ljust(first)
        + "".join(word.rjust(width + 2) for word, width in zip(line[1:], others, strict=True))
        for line in lines
    )


def pixels(figure: Figure) -> NDArray[np.uint8]:
    """Draw `figure`, its animated artists included; (height, width, 4) bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="rgba", dpi=DPI)
    width, height = (int(inches * DPI) for inches in figure.get_size_inches())
    return np.frombuffer(buffer.getvalue(), np.uint8).reshape(height, width, 4)


def compact_png(image: NDArray[np.uint8], colours: int = PALETTE_SIZE) -> bytes:
    """Encode (height, width, 4) bytes small, for files: a palette of `colours`, no metadata."""
    palette = Image.fromarray(image).convert("RGB").quantize(colours, dither=Image.Dither.NONE)
    return _encoded(palette, optimize=True)


def quick_png(image: NDArray[np.uint8]) -> bytes:
    """Encode (height, width, 4) bytes in a few milliseconds, for pictures that follow a slider."""
    return _encoded(Image.fromarray(image).convert("RGB"), compress_level=1)


def _encoded(image: Image.Image, **options: int) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", **options)
    return buffer.getvalue()
