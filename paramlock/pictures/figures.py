"""Pictures for the lessons: sharp, small, and with text for who cannot see them.

The colours are those of `palette`. A picture is an HTML `<img>` with alternative text on a white
card: that text survives in JupyterLab and in exported pages, and the card stays readable in a dark
theme. It has twice the pixels of its size on the page, so that it is sharp on dense screens. The
same figure always gives the same bytes.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image, ImageColor

from paramlock.pictures.coloured import Cells, ColouredTable
from paramlock.pictures.palette import COLOURS
from paramlock.pictures.picture import Picture

DPI = 100  # pixels of the page to an inch of a figure
DENSITY = 2  # pixels of a picture to one of the page, along each side
PALETTE_SIZE = 48  # enough for a chart with smooth edges, a third of the bytes of full colour
CHANNELS = np.array([1 << 16, 1 << 8, 1])  # makes one number of red, green and blue
MEANT = np.array([ImageColor.getrgb(colour) for colour in ("#FFFFFF", *COLOURS.values())])

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
    figure = Figure(figsize=size, layout="constrained")  # with or without `use_style`
    axes = figure.subplots()
    axes.set(title=title, xlabel=xlabel, ylabel=ylabel)
    return figure, axes


def show(figure: Figure, alt: str) -> None:
    """Display `figure` with `alt` as its alternative text, then close it."""
    import matplotlib.pyplot as plt
    from IPython.display import display

    display(picture(figure, alt))
    plt.close(figure)  # else a figure made by pyplot would be displayed again


def show_table(
    title: str,
    rows: Sequence[str],
    columns: Sequence[str],
    texts: Cells,
    meanings: Cells,
    note: str = "",
) -> None:
    """Display a table of coloured cells: see `ColouredTable`."""
    from IPython.display import display

    display(ColouredTable(title, rows, columns, texts, meanings, note))


def picture(figure: Figure, alt: str) -> Picture:
    """`figure` as it is drawn now, with `alt` as its alternative text."""
    return Picture(compact(pixels(figure)), alt, width=round(figure.get_figwidth() * DPI))


def pixels(figure: Figure) -> NDArray[np.uint8]:
    """Draw `figure`, its animated artists included; (height, width, 4) bytes, `DENSITY` fold."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="rgba", dpi=DPI * DENSITY)
    sides = figure.get_size_inches() * DPI * DENSITY
    width, height = (int(side + 1e-8) for side in sides)  # as matplotlib cuts: 451.99999999 is 452
    return np.frombuffer(buffer.getvalue(), np.uint8).reshape(height, width, 4)


def compact(image: NDArray[np.uint8]) -> bytes:
    """Encode (height, width, 4) bytes small, for files: few colours, lossless WebP, no metadata.

    At twice the pixels that is a quarter less than the same colours in a PNG, in the same time.
    """
    few = Image.fromarray(_in_few_colours(image[..., :3]))
    return _encoded(few, format="WEBP", lossless=True, quality=75, method=4)


def quick(image: NDArray[np.uint8]) -> bytes:
    """Encode (height, width, 4) bytes in some 20 ms, for pictures that follow a slider: a PNG."""
    return _encoded(Image.fromarray(image).convert("RGB"), format="PNG", compress_level=1)


def _in_few_colours(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(height, width, 3) bytes in a palette of their own; what has a meaning keeps its colour."""
    own = Image.fromarray(image).quantize(PALETTE_SIZE).getpalette() or []
    present, place = np.unique(image @ CHANNELS, return_inverse=True)
    meant = MEANT[np.isin(MEANT @ CHANNELS, present)]
    palette = np.concatenate([meant, np.array(own).reshape(-1, 3)[:PALETTE_SIZE]])
    colours = present[:, None] // CHANNELS % 256
    distances = np.square(colours[:, None] - palette).sum(axis=-1)
    few: NDArray[np.uint8] = palette[distances.argmin(axis=1)].astype(np.uint8)
    return few[place].reshape(image.shape)


def _encoded(image: Image.Image, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, **options)
    return buffer.getvalue()
