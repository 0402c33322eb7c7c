"""The library: seeds, pictures and slider experiments."""

from __future__ import annotations

import html
import io
import itertools
import random
import struct
import subprocess
import sys

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image, ImageColor

from lessonkit import explore, lock_table, seeding
from paramlock import KINDS
from paramlock.pictures import figures, palette
from paramlock.pictures.coloured import ColouredTable
from paramlock.pictures.picture import Picture

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
    words = html.unescape(lock_table.LockTable(KINDS.values())._repr_html_())
    for kind in KINDS.values():
        for field in lock_table.COLUMNS:
            assert f">{getattr(kind, field)}</td>" in words
    assert words.count("<tr>") == words.count('scope="row"') + 1 == len(KINDS) + 1


def test_the_table_is_text_in_a_terminal(capsys):
    lock_table.show(list(KINDS.values())[:2])
    title, frozen, leaking = capsys.readouterr().out.splitlines()
    assert title == lock_table.TITLE
    assert frozen.startswith("F frozen: ") and leaking.startswith("M leaking: ")


# --- figures


def curve() -> plt.Figure:
    figure, axes = figures.chart("Sines rise and fall", "x", "sin x")
    x = np.linspace(0, 7, 200)
    axes.plot(x, np.sin(x), color=palette.COLOURS["trainable"])
    return figure


def chunk_names(webp: bytes) -> list[str]:
    """The names of the chunks of a WebP, in order."""
    names, at = [], 12
    while at < len(webp):
        name, length = struct.unpack("<4sI", webp[at : at + 8])
        names.append(name.decode())
        at += 8 + length + length % 2
    return names


def test_a_figure_gives_the_same_small_bytes_each_time():
    figures.use_style()
    once, again = (figures.picture(curve(), "A sine.").webp for _ in range(2))
    assert once == again
    assert len(once) < 25_000


def test_a_picture_holds_pixels_and_nothing_else():
    assert chunk_names(figures.picture(curve(), "A sine.").webp) == ["VP8L"]


def test_a_picture_has_twice_the_pixels_of_its_width_on_the_page():
    picture = figures.picture(curve(), "A sine.")
    assert Image.open(io.BytesIO(picture.webp)).width == 2 * picture.width == 1400
    assert 'width="700"' in picture._repr_html_()


@pytest.mark.parametrize("inches", [1.1, 2.25, 2.26, 2.2575])  # 2.26 * 200 is 451.99999999999994
def test_a_figure_of_any_size_has_its_pixels(inches):
    assert figures.pixels(Figure(figsize=(1, inches))).shape == (int(inches * 200 + 0.01), 200, 4)


def test_a_colour_with_a_meaning_stays_itself_however_rare():
    """A palette made by area alone would turn a pink dot among much else into grey."""
    figure, axes = figures.chart("Many colours", "", "")
    axes.imshow(np.random.default_rng(0).random((40, 40, 3)), extent=(0, 9, 0, 9), aspect="auto")
    axes.add_patch(Rectangle((4, 4), 0.2, 0.4, color=palette.COLOURS["saturated"]))
    shown = Image.open(io.BytesIO(figures.picture(figure, "Much, and a dot.").webp)).convert("RGB")
    assert ImageColor.getrgb(palette.COLOURS["saturated"]) in {
        colour for _, colour in shown.getcolors(1 << 24)
    }


def test_alternative_text_stands_in_the_html_and_in_the_terminal():
    picture = Picture(b"", 'A "curve"\nwith a < b', 700)
    assert 'alt="A &quot;curve&quot; with a &lt; b"' in picture._repr_html_()
    assert repr(picture) == '[Figure: A "curve" with a < b]'


@pytest.mark.parametrize("alt", ["", "  \n"])
def test_a_picture_without_words_is_refused(alt):
    with pytest.raises(ValueError, match="alternative text"):
        Picture(b"", alt, 700)


def test_show_displays_once_and_closes(capsys):
    figure, _ = plt.subplots()
    figures.show(figure, "An empty plot.")
    assert capsys.readouterr().out == "[Figure: An empty plot.]\n"
    assert not plt.fignum_exists(figure.number)


def small_table(kinds, note=""):
    return ColouredTable(
        "T < U", ["one", "three"], ["a", "long"], [["0", "moved"], ["3", "4"]], kinds, note
    )


def test_a_table_is_a_table_whose_colours_are_letters_and_words_too():
    table = small_table([["frozen", "moved"], ["trainable", ""]], "A < B")
    page = table._repr_html_()
    assert page.count('scope="col"') == page.count('scope="row"') == 2
    assert "<caption" in page and "T &lt; U" in page and "A &lt; B" in page
    assert '0 <abbr title="frozen"' in page and "moved</td>" in page
    for kind in ("frozen", "moved", "trainable"):
        assert f"{kind}: {palette.MEANINGS[kind].words}" in page
    assert repr(table).splitlines() == [
        "T < U",
        "         a   long",
        "one    0 F  moved",
        "three    3      4",
        "F frozen, M moved",
    ]


def test_a_table_that_does_not_fit_or_has_no_such_meaning_is_refused():
    with pytest.raises(
        ValueError, match=r"2 rows of 2 cells are needed; meanings has rows of \[2\]"
    ):
        small_table([["frozen", "moved"]])
    with pytest.raises(ValueError, match=r"no meaning is called 'asleep'; there are: trainable"):
        small_table([["asleep", "moved"], ["", ""]])


def test_every_meaning_has_a_colour_of_its_own():
    assert len(set(palette.COLOURS.values())) == len(palette.COLOURS)
    letters = [meaning.letter for meaning in palette.MEANINGS.values() if meaning.letter]
    assert len(set(letters)) == len(letters) == len(KINDS)


def test_two_meanings_can_be_told_apart():
    """Euclidean distance in CIELAB; from about 2.3 on a difference is just seen."""
    labs = [in_lab(colour) for colour in palette.COLOURS.values()]
    assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(labs, 2)) > 15


def in_lab(colour: str) -> np.ndarray:
    rgb = np.array(ImageColor.getrgb(colour)) / 255
    linear = np.where(rgb > 0.04045, ((rgb + 0.055) / 1.055) ** 2.4, rgb / 12.92)
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    x, y, z = np.cbrt(to_xyz @ linear / [0.9505, 1.0, 1.089])
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("name", palette.COLOURS)
def test_text_on_every_colour_has_contrast_enough(name):
    colour = palette.COLOURS[name]
    ink = {"black": "#000000", "white": "#FFFFFF"}[palette.ink_on(colour)]
    assert palette.contrast(ink, colour) >= 4.5


def test_contrast_is_that_of_the_standard():
    assert palette.contrast("#FFFFFF", "#000000") == pytest.approx(21)
    assert palette.contrast("#FFFFFF", "#777777") == pytest.approx(4.48, abs=0.01)
    assert palette.contrast("#D55E00", "#FFFFFF") == pytest.approx(3.87, abs=0.01)


@pytest.mark.parametrize("style", [palette.THEORY, palette.CHANCE, *palette.ARMS])
def test_styles_are_those_of_a_line(style):
    _, axes = figures.chart("", "", "")
    axes.plot([0, 1], [0, 1], **style)


# --- explore: sliders


@pytest.mark.parametrize("numbers", [(2, 1, 1, 1), (0, 1, 0, 0), (0, 1, 0.1, 2)])
def test_a_slider_that_cannot_move_is_refused(numbers):
    with pytest.raises(ValueError, match="slider 'Height'"):
        explore.Slider("Height", *numbers)


def test_a_slider_keeps_values_within_its_ends_and_whole_where_it_counts():
    steps, height = explore.Slider("Steps", 1, 9, 1, 1), explore.Slider("Height", 0.0, 1.0, 0.1, 0)
    assert steps.read(3.0) == 3 and isinstance(steps.read(3.0), int)
    assert height.read(5) == 1.0 and isinstance(height.read(0), float)
    assert height.values[3] == 0.3 and height.texts[3] == "0.3"
    with pytest.raises(ValueError, match="not a number"):
        height.read(float("nan"))


def test_the_middle_is_a_step():
    assert explore.Slider("Steps", 1, 100, 1, 1).middle == 50
    assert explore.Slider("Height", 0.0, 0.95, 0.05, 0.9).middle == pytest.approx(0.45)


def test_a_log_slider_shows_the_values_and_no_exponents():
    rate = explore.LogSlider("Learning rate", 1e-4, 1.0, 0.032)
    assert len(rate.values) == 41 and rate.start == 0.032
    assert rate.texts[0] == "0.0001" and rate.texts[rate.index(0.032)] == "0.032"
    assert [float(text) for text in rate.texts] == list(rate.values)
    assert explore.LogSlider("Batch", 1.0, 1000.0, 30.0, per_decade=1).texts[-1] == "1000"
    for ends in [(0.0, 1.0, 0.5), (1.0, 1.0, 1.0), (1.0, 2.0, 3.0)]:
        with pytest.raises(ValueError, match="0 < low < high"):
            explore.LogSlider("Rate", *ends)


def test_a_slider_steps_through_words():
    kind = explore.Steps("Activation", ["sigmoid", "tanh", "ReLU"], "tanh")
    assert kind.read("ReLU") == "ReLU" and kind.middle == "tanh"
    with pytest.raises(ValueError, match="no 'GELU' among"):
        kind.read("GELU")
    with pytest.raises(ValueError, match="a start among them"):
        explore.Steps("Activation", ["sigmoid", "tanh"], "ReLU")


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
    experiment._receive(experiment, {"steps": {"count": 3, "height": 10}}, [])
    assert experiment.finding == "4 waves of height 1.0."
    assert [control["at"] for control in experiment.controls] == [3, 10]
    assert sent == [{"answered": True}]


def test_a_failure_is_shown_and_the_next_answer_clears_it(monkeypatch):
    experiment, sent = waves(), []
    monkeypatch.setattr(experiment, "send", sent.append)
    picture = experiment.picture
    experiment._receive(experiment, {"steps": {"count": 6, "height": 5}}, [])
    assert experiment.failed and experiment.picture == picture
    assert experiment.finding == "No answer at count = 7, height = 0.5: seven waves do not fit"
    experiment._receive(experiment, {"steps": {"count": 5, "height": 5}}, [])
    assert not experiment.failed and len(sent) == 2


def test_a_page_without_a_kernel_shows_the_starting_picture():
    bundle, _ = waves()._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert '<img alt="Waves over x. 2 waves of height 0.5."' in bundle["text/html"]
    assert explore.AGAIN in bundle["text/html"]
    assert bundle["text/plain"] == "[Figure: Waves over x. 2 waves of height 0.5.]"
