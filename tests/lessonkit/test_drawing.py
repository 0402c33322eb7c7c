"""Drawings of networks: what is locked is drawn locked, and said."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest
from PIL import Image, ImageColor

from lessonkit.drawing import Layer, chain, draw, locked_nodes, play
from lessonkit.drawing.room import Scale
from paramlock.certifying.records import INPUT, LOSS
from paramlock.pictures.palette import COLOURS
from tests.paramlock import zoo
from tests.paramlock.certifying.test_certificate import examine


def pixels(drawing) -> np.ndarray:
    """The picture as (height, width, 3) bytes."""
    return np.asarray(Image.open(io.BytesIO(drawing.picture.webp)).convert("RGB"))


def area(drawing, meaning: str) -> int:
    """The number of pixels in the colour of a meaning."""
    return int((pixels(drawing) == ImageColor.getrgb(COLOURS[meaning])).all(axis=-1).sum())


# --- from a certificate


@pytest.mark.parametrize("case", zoo.SICK, ids=lambda case: case.name)
def test_what_a_certificate_finds_locked_is_drawn_locked_and_nothing_else(case):
    found = examine(case)
    drawing = draw(found)
    ends = {INPUT: "input", LOSS: "loss"}
    places = {
        (name, lock.kind)
        for lock in found.locks
        for name in lock.layers or filter(None, [ends.get(lock.place)])
    }
    assert locked_nodes(drawing).keys() == places
    for _, kind in places:
        assert kind in drawing.alt and kind in drawing.title


def test_the_units_of_a_certificate_are_the_nodes_that_are_drawn():
    found = examine(next(case for case in zoo.SICK if case.name == "one_head_looks_at_one_key"))
    (lock,) = found.at("attend")
    assert locked_nodes(draw(found))["attend", "saturated"] == lock.units == (1,)


def test_skip_connections_and_shares_of_the_gradient_come_from_the_certificate():
    name = "dead_branch_beside_a_shortcut"
    found = examine(next(case for case in zoo.SICK if case.name == name))
    drawing = draw(found)
    assert ("stem", "blocks.1.0") in drawing.skips
    assert drawing.backward == tuple(row["gradient"] for row in found.layers())


# --- from a description


def test_a_description_says_how_much_is_locked():
    layers = chain(
        [2, 3, 20, 2],
        frozen=["W3"],
        dead={"W1": (0, 2), "W2": 0.3},
        pruned={"W1": [(0, 1)], "W2": 0.9},
    )
    assert locked_nodes(draw(layers)) == {
        ("W1", "dead"): (0, 2),
        ("W1", "pruned"): pytest.approx(1 / 6),
        ("W2", "dead"): 0.3,
        ("W2", "pruned"): 0.9,
        ("W3", "frozen"): 1.0,
    }


def test_a_layer_is_described_by_itself():
    drawing = draw([Layer("first", 784, 128, locked=0.3, lock="dead"), Layer("head", 128, 10)])
    assert locked_nodes(drawing) == {("first", "dead"): 0.3}
    assert "first: 0.3 of it dead. head: trainable." in drawing.alt


def test_a_lock_is_as_large_in_the_picture_as_in_the_network():
    few, many = (draw(chain([9, 100, 2], dead={"W1": share})) for share in (0.2, 0.8))
    assert 2 * area(few, "dead") < area(many, "dead")
    whole = draw(chain([9, 9, 9], frozen=["W1", "W2"]), "All frozen")
    assert area(whole, "frozen") and not area(whole, "trainable")


def test_a_lock_that_holds_nothing_is_not_there():
    assert not locked_nodes(draw(chain([3, 4, 1], dead={"W1": 0.0}, pruned={"W2": ()})))


def test_the_words_name_runs_units_notes_and_signals():
    layers = chain([1] * 31, vanishing=[f"W{i}" for i in range(1, 21)], notes={"W1": "Starves."})
    drawing = draw(layers, "It fades", backward=[10.0 ** (i - 30) for i in range(1, 31)])
    assert drawing.alt == (
        "It fades. A chain of 30 layers. W1 to W20: vanishing. W21 to W30: trainable. At W1: "
        "Starves. The gradient is 1e-29 at the first layer and 1 at the last."
    )
    assert f'alt="{drawing.alt}"' in drawing._repr_html_()


def test_a_very_deep_network_is_gathered_and_still_says_every_layer():
    layers = chain([4] * 101, frozen=[f"W{i}" for i in range(1, 71)])
    drawing = draw(layers, forward=[1.0] * 100, skips=[("W1", "W3"), ("W70", "W90")])
    assert len(drawing.gathered.network.layers) == 2
    assert locked_nodes(drawing).keys() == {(f"W{i}", "frozen") for i in range(1, 71)}


@pytest.mark.parametrize(
    "mistake, words",
    [
        (lambda: chain([2, 1], asleep=["W1"]), "no lock is called 'asleep'; there are: frozen"),
        (lambda: chain([2, 1], dead=["W7"]), "no layer is called 'W7'; there are: W1"),
        (lambda: Layer("a", 2, 3, "dead", (3,)), "3 units of 2 inputs, numbered from 0"),
        (lambda: Layer("a", 2, 3, "dead", 1.5), "a share from 0 to 1, .* not 1.5"),
        (lambda: draw([]), "needs layers with a name of their own"),
        (lambda: draw(chain([2, 1]), backward=[1, 2]), "for each of 1 layers, not 2"),
        (lambda: draw(chain([2, 1]), skips=[("W1", "W9")]), "skips name no layer 'W9'"),
        (lambda: play([draw(chain([2, 1]))]), "two states or more"),
        (lambda: play([draw(chain([2, 1]))] * 2, ["one"]), "2 states, 1 captions"),
        (lambda: play([draw(chain([2, 1]))] * 2, strip=5), "two to 4 states, not 5"),
    ],
)
def test_a_mistake_is_named(mistake, words):
    with pytest.raises(ValueError, match=words):
        mistake()


def test_strengths_are_drawn_on_a_log_scale_within_six_decades():
    scale = Scale.of([1e-18, 0.0, 1e-3, 1.0, float("nan")])
    assert (scale.top, scale.decades) == (1.0, 6)
    assert scale(1.0) == 1 and scale(1e-18) == scale(0.0) == scale(float("nan")) == 0
    assert scale(1e-3) == pytest.approx(1 - 3 / 6.5)
    assert Scale.of([0.9, 1.0]).decades == 1


# --- plays


def dying(monkeypatch):
    """A play of three states and what it displays."""
    shown = []
    monkeypatch.setattr("lessonkit.drawing.playing.display", shown.append)
    states = [
        draw(chain([2, 3, 1], dead={"W1": dead}), title, backward=[size, 1])
        for dead, title, size in [((), "", 1), ((0,), "One is dead", 1e-3), ((0, 1), "Two", 1e-6)]
    ]
    play(states, ["all live", "one dead", "two < dead"], label="Epoch", values=[0, 5, 9])
    return shown[0]


def test_the_states_of_a_play_have_one_size_and_their_words(monkeypatch):
    shown = dying(monkeypatch)
    sizes = {Image.open(io.BytesIO(frame["picture"])).size for frame in shown.frames}
    assert len(sizes) == 1
    assert [frame["caption"] for frame in shown.frames] == ["all live", "one dead", "two < dead"]
    assert "1 of 3 units dead (0)" in shown.frames[1]["alt"]
    assert shown.controls == [
        {"name": "state", "label": "Epoch", "texts": ["0", "5", "9"], "at": 0}
    ]


def test_a_page_without_a_kernel_shows_the_first_and_the_last_state(monkeypatch):
    bundle, _ = dying(monkeypatch)._repr_mimebundle_()
    page = bundle["text/html"]
    assert re.findall("<figcaption>(.*?)</figcaption>", page) == ["all live", "two &lt; dead"]
    assert page.count("<img") == 2 and "Run this cell to play it." in page
    assert bundle["text/plain"] == "[3 pictures, from: all live to: two < dead]"
