"""The library: seeds, pictures and slider experiments."""

from __future__ import annotations

import html
import random
import struct
import subprocess
import sys

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from lessonkit import explore, lock_table, seeding
from paramlock import KINDS
from paramlock.pictures import figures, palette

# --- seeding


def draws() -> tuple[float, float, float]:
    return random.random(), float(np.random.rand()), torch.rand(()).item()


def test_a_seed_fixes_every_generator_and_keeps_torch_on_one_thread():
    torch.set_num_threads(2)
    seeding.seed_everything(3)
    first = draws()
    seeding.seed_everything(3)
    assert draws() == first
    seeding.seed_everything(4)
    assert draws() != first
    assert torch.get_num_threads() == 1


@pytest.mark.parametrize("absent", ["torch", "jax"])
def test_either_framework_can_be_absent(absent):
    code = (
        f"import sys; sys.modules[{absent!r}] = None\n"
        "from lessonkit import explore, seeding; from paramlock.pictures import figures\n"
        "seeding.seed_everything(0)\n"
        "figures.use_style()"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


def test_importing_the_library_loads_no_framework():
    code = (
        "import sys\n"
        "from lessonkit import explore, seeding; from paramlock.pictures import figures\n"
        "assert not {'torch', 'jax'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# --- the table of locks


def test_the_table_says_all_that_is_known_of_every_kind_once():
    words = html.unescape(lock_table.as_html())
    for kind in KINDS.values():
        for field in lock_table.COLUMNS:
            assert f"<td>{getattr(kind, field)}</td>" in words
    assert words.count("<tr>") == len(KINDS) + 1


def test_a_row_more_makes_the_picture_higher():
    def height(rows):
        return struct.unpack(">I", lock_table.picture(list(KINDS.values())[:rows]).png[20:24])[0]

    assert height(1) < height(2) < height(len(KINDS))
    assert all(name in lock_table.picture().alt for name in KINDS)


# --- figures


def curve() -> plt.Figure:
    figure, axes = figures.chart("Sines rise and fall", "x", "sin x")
    x = np.linspace(0, 7, 200)
    axes.plot(x, np.sin(x), color=palette.COLOURS["trainable"])
    return figure


def chunk_names(png: bytes) -> list[str]:
    """Return the names of the chunks of a PNG, in order."""
    names, at = [], 8
    while at < len(png):
        length, name = struct.unpack(">I4s", png[at : at + 8])
        names.append(name.decode())
        at += 12 + length
    return names


def test_a_figure_gives_the_same_small_bytes_each_time():
    figures.use_style()
    once, again = (figures.compact_png(figures.pixels(curve())) for _ in range(2))
    assert once == again
    assert len(once) < 25_000


def test_a_picture_holds_pixels_and_nothing_else():
    png = figures.compact_png(figures.pixels(curve()))
    assert set(chunk_names(png)) == {"IHDR", "PLTE", "IDAT", "IEND"}


def test_alternative_text_stands_in_the_html_and_in_the_terminal():
    picture = figures.Picture(b"", 'A "curve"\nwith a < b')
    assert 'alt="A &quot;curve&quot; with a &lt; b"' in picture._repr_html_()
    assert repr(picture) == '[Figure: A "curve" with a < b]'


@pytest.mark.parametrize("alt", ["", "  \n"])
def test_a_picture_without_words_is_refused(alt):
    with pytest.raises(ValueError, match="alternative text"):
        figures.Picture(b"", alt)


def test_show_displays_once_and_closes(capsys):
    figure, _ = plt.subplots()
    figures.show(figure, "An empty plot.")
    assert capsys.readouterr().out == "[Figure: An empty plot.]\n"
    assert not plt.fignum_exists(figure.number)


def test_a_table_is_printed_as_well_as_drawn(capsys):
    kinds = [["frozen", "moved"], ["trainable", "dead"]]
    figures.show_table(
        "T", ["one", "three"], ["a", "long"], [["0", "12"], ["3", "4"]], kinds, "A table."
    )
    assert capsys.readouterr().out.splitlines() == [
        "       a  long",
        "one    0    12",
        "three  3     4",
        "[Figure: A table.]",
    ]


def test_every_meaning_has_a_colour_of_its_own():
    assert len(set(palette.COLOURS.values())) == len(palette.COLOURS)


# --- explore: sliders


@pytest.mark.parametrize("numbers", [(2, 1, 1, 1), (0, 1, 0, 0), (0, 1, 0.1, 2)])
def test_a_slider_that_cannot_move_is_refused(numbers):
    with pytest.raises(ValueError, match="slider 'Height'"):
        explore.Slider("Height", *numbers)


def test_a_slider_keeps_values_within_its_ends_and_whole_where_it_counts():
    steps, height = explore.Slider("Steps", 1, 9, 1, 1), explore.Slider("Height", 0.0, 1.0, 0.1, 0)
    assert steps.read(3.0) == 3 and isinstance(steps.read(3.0), int)
    assert height.read(5) == 1.0 and isinstance(height.read(0), float)
    with pytest.raises(ValueError, match="not a number"):
        height.read(float("nan"))


def test_the_middle_is_a_step():
    assert explore.Slider("Steps", 1, 100, 1, 1).middle == 50
    assert explore.Slider("Height", 0.0, 0.95, 0.05, 0.9).middle == pytest.approx(0.45)


# --- explore: experiments


def waves() -> explore.Experiment:
    """Return an experiment with two sliders that fails where count is 7."""
    figure, axes = figures.chart("Waves", "x", "y")
    (line,) = axes.plot([], [], animated=True, color=palette.COLOURS["moved"])
    axes.set(xlim=(0, 7), ylim=(-1, 1))
    x = np.linspace(0, 7, 200)

    def update(count, height):
        if count == 7:
            raise ValueError("seven waves do not fit")
        line.set_data(x, height * np.sin(count * x))
        return f"{count} waves of height {height:.1f}."

    sliders = {
        "count": explore.Slider("Number of waves", 1, 9, 1, 2),
        "height": explore.Slider("Height", 0.0, 1.0, 0.1, 0.5),
    }
    return explore.Experiment(figure, update, sliders, alt="Waves over x.")


def test_trying_values_returns_the_finding_and_a_picture():
    experiment = waves()
    answer = experiment.try_values(count=3)
    assert answer.finding == "3 waves of height 0.5."
    assert answer.png.startswith(b"\x89PNG")


def test_each_picture_is_drawn_on_a_clean_background():
    experiment = waves()
    first = experiment.try_values(count=1).png
    assert experiment.try_values(count=5).png != first
    assert experiment.try_values(count=1).png == first


def test_an_unknown_slider_is_named():
    with pytest.raises(TypeError, match="speed"):
        waves().try_values(speed=1)


def test_trying_values_raises_what_update_raises():
    with pytest.raises(ValueError, match="seven waves"):
        waves().try_values(count=7)


def test_a_browser_gets_an_answer(monkeypatch):
    experiment, sent = waves(), []
    monkeypatch.setattr(experiment, "send", sent.append)
    experiment._receive(experiment, {"values": {"count": 4, "height": 1}}, [])
    assert experiment.finding == "4 waves of height 1.0."
    assert [control["value"] for control in experiment.controls] == [4, 1]
    assert sent == [{"answered": True}]


def test_a_failure_is_shown_and_the_next_answer_clears_it(monkeypatch):
    experiment, sent = waves(), []
    monkeypatch.setattr(experiment, "send", sent.append)
    picture = experiment.picture
    experiment._receive(experiment, {"values": {"count": 7, "height": 0.5}}, [])
    assert experiment.failed and experiment.picture == picture
    assert experiment.finding == "No answer at count = 7, height = 0.5: seven waves do not fit"
    experiment._receive(experiment, {"values": {"count": 6, "height": 0.5}}, [])
    assert not experiment.failed and len(sent) == 2


def test_a_page_without_a_kernel_shows_the_starting_picture():
    bundle, _ = waves()._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert '<img alt="Waves over x. 2 waves of height 0.5."' in bundle["text/html"]
    assert bundle["text/plain"] == "[Figure: Waves over x. 2 waves of height 0.5.]"
