"""Learned activations, a few numbers for each channel, right at their edges (torch).

Sources: He et al. 2015, "Delving Deep into Rectifiers", arXiv:1502.01852, section 2.1 (learned
slopes); Ramachandran et al. 2017, "Searching for Activation Functions", arXiv:1710.05941 (gated).
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from grader.instruments.entries import as_expected
from grader.instruments.handed_back import handed_back
from grader.instruments.refusals import refusal, refused
from grader.judging.exercise import Exercise, beliefs_about, claim, of_kind
from grader.judging.terms import Candidate, Challenge, Evidence, Finding, Inputs, Part


def learned_activation(x, kind, numbers):
    """Bend every channel by numbers of its own, in one of three ways.

    - ``"bi_slope"``, (a, b, c): the slope is a above 0 and b below; c is added to all, after that.
    - ``"piecewise_linear"``, (left, middle, right, t, u): between the knots t and u it is
      middle · x. From the lower knot down it goes on with slope left, from the upper one up with
      slope right, without a jump. Training may make either of t and u the lower one.
    - ``"gated"``, (scale, shift): x · sigmoid(scale · x + shift).

    Args:
        x: float tensor of shape (samples, channels) or (samples, channels, …), as of images. It
            stays as it is.
        kind: one of the three names.
        numbers: float tensor of shape (channels, 3), (channels, 5) or (channels, 2), a row for
            each channel.

    Returns:
        Tensor of the shape of ``x``, through which gradients pass to ``x`` and to ``numbers``.
        None of them is NaN where ``x`` is as large as 10,000.

    Raises:
        ValueError: ``kind`` is another one, or ``numbers`` has another shape.

    Example:
        >>> x, numbers = torch.tensor([[-2.0], [3.0]]), torch.tensor([[2.0, 0.5, 1.0]])
        >>> learned_activation(x, "bi_slope", numbers).tolist()
        [[0.0], [7.0]]
        >>> learned_activation(x, "piecewise_linear", torch.tensor([[0.0, 1.0, 0.5, -1.0, 1.0]]))
        tensor([[-1.],
                [ 2.]])
    """
    counts = {"bi_slope": 3, "piecewise_linear": 5, "gated": 2}
    if kind not in counts or numbers.shape != (x.shape[1], counts[kind]):
        raise ValueError(f"{kind!r} with numbers of shape {tuple(numbers.shape)}")
    columns = [column.reshape(-1, *[1] * (x.ndim - 2)) for column in numbers.unbind(1)]
    if kind == "bi_slope":
        above, below, offset = columns
        return above * x.clamp(min=0) + below * x.clamp(max=0) + offset
    if kind == "gated":
        scale, shift = columns
        return x * (scale * x + shift).sigmoid()
    left, middle, right, one, other = columns
    low, high = one.minimum(other), one.maximum(other)
    beyond = left * (x - low).clamp(max=0) + right * (x - high).clamp(min=0)
    return middle * x.maximum(low).minimum(high) + beyond


COUNTS = {"bi_slope": 3, "piecewise_linear": 5, "gated": 2}


def challenge(rng: np.random.Generator) -> Challenge:
    channels = int(rng.integers(3, 7))

    def case(kind: str, activation: str, *shape: int, **own: np.ndarray) -> Inputs:
        numbers = rng.normal(size=(channels, COUNTS.get(activation, 3)))
        if activation == "piecewise_linear":
            numbers[:, 3:].sort()
        x = 2 * rng.normal(size=shape or (8, channels))
        given = {"x": x, "numbers": numbers, "towards": rng.normal(size=x.shape), **own}
        arrays = {name: array.astype(np.float32) for name, array in given.items()}
        return {"kind": kind, "activation": activation, **arrays}

    def knots(values: np.ndarray) -> Inputs:
        numbers = np.hstack([rng.normal(size=(channels, 3)), values])
        return case("piecewise_linear", "piecewise_linear", numbers=numbers)

    drawn = np.sort(rng.uniform(0.2, 2, (channels, 2)))
    far = rng.choice([-1, 1], (8, channels)) * 10 ** rng.uniform(3, 4, (8, channels))
    scales = rng.choice([-1, 1], channels) * rng.uniform(1, 2, channels)
    steep = {"x": far, "numbers": np.stack([scales, rng.normal(size=channels)], 1)}
    square, image = (4, channels, 3, channels), (2, channels, 5, 4)

    def rows(count: int, columns: int, activation: str = "bi_slope") -> Inputs:
        return case("refused", activation, numbers=rng.normal(size=(count, columns)))

    return {
        **{f"{name}, two axes": case(name, name) for name in COUNTS},
        "bi_slope, zeros in x": case("bi_slope", "bi_slope", x=rng.integers(-1, 2, (8, channels))),
        "knots that have crossed": knots(drawn[:, ::-1] - 1),
        "both knots above 0": knots(drawn),
        "two knots in one place": knots(drawn[:, [0, 0]]),
        "gated, x up to 10,000": case("gated", "gated", **steep),
        **{f"{name}, images": case("images", name, *image) for name in COUNTS},
        **{f"{name}, as wide as many": case("images", name, *square) for name in COUNTS},
        "one signal": case("images", "bi_slope", 1, channels, 7),
        **{f"{name}, handed back": case("gradient", name) for name in COUNTS},
        "bi_slope, handed back to images": case("gradient", "bi_slope", *image),
        "gated, handed back from 10,000": case("gradient", "gated", **steep),
        "another name": case("refused", "glu"),
        "numbers for one channel": rows(1, 3),
        "two numbers for slopes": rows(channels, 2),
        "a row too many": rows(channels + 1, 2, "gated"),
    }


def observe(candidate: Candidate, inputs: Inputs) -> Evidence:
    kind = inputs["kind"]
    x, numbers = (torch.from_numpy(inputs[name].copy()) for name in ("x", "numbers"))
    given = (x, inputs["activation"], numbers)
    if kind == "refused":
        return {"kind": kind, "ending": refusal(candidate, *given, returned=lambda _: "an answer")}
    for tensor in (x, numbers):
        tensor.requires_grad_(kind == "gradient")
    bent = candidate(*given)
    if not torch.is_tensor(bent):
        return None if bent is None else f"<{type(bent).__name__}>"
    if kind == "gradient":
        back = handed_back(bent, inputs["towards"], x, numbers)
        return {"kind": kind, **dict(zip(("to x", "to numbers"), back, strict=True))}
    kept = all(
        np.array_equal(tensor, inputs[name]) for tensor, name in ((x, "x"), (numbers, "numbers"))
    )
    return {"kind": kind, "bent": bent, "kept": kept}


def _bent(seen: Evidence, expected: Evidence) -> Finding:
    return as_expected(seen["bent"], expected["bent"])


@claim(2, "What are the slopes on the two sides of 0, and what is added?", of_kind("bi_slope"))
def bends_by_two_slopes(seen: Evidence, expected: Evidence) -> Finding:
    """bi_slope has slope a above 0, b below, and c is added on both sides."""
    return _bent(seen, expected)


@claim(2, "Which value has the curve where two pieces meet?", of_kind("piecewise_linear"))
def bends_at_two_knots(seen: Evidence, expected: Evidence) -> Finding:
    """piecewise_linear has three slopes and no jump, in whichever order the knots come."""
    return _bent(seen, expected)


@claim(1, "What goes through the gate, and what opens it?", of_kind("gated"))
def bends_by_a_gate(seen: Evidence, expected: Evidence) -> Finding:
    """gated is x times the sigmoid of scale · x + shift."""
    return _bent(seen, expected)


@claim(2, "Which axis of an image holds its channels?", of_kind("images"))
def channels_are_the_second_axis(seen: Evidence, expected: Evidence) -> Finding:
    """With more than two axes the channels are still the second one."""
    return _bent(seen, expected)


@claim(2, "Where on the way is a number infinite, or no part of a graph?", of_kind("gradient"))
def passes_gradients(seen: Evidence, expected: Evidence) -> Finding:
    """Gradients go back to x and to the numbers, and are numbers far from 0 as well."""
    for name in ("to x", "to numbers"):
        holds, words = as_expected(seen[name], expected[name])
        if not holds:
            return False, f"of the gradient {name}, {words}"
    return True, "both gradients are as expected"


@claim(1, "Which shapes does torch take?", of_kind("refused"), needs=bends_by_two_slopes)
def refuses_what_does_not_fit(seen: Evidence, expected: Evidence) -> Finding:
    """Another name, and numbers of another shape, raise a ValueError."""
    return refused(seen["ending"])


@claim(
    1,
    "Which of your calls write into what they are given?",
    lambda expected: "kept" in expected,
    needs=bends_by_two_slopes,
)
def leaves_what_is_given(seen: Evidence, expected: Evidence) -> Finding:
    """x and the numbers are left as they were."""
    return seen["kept"], f"they were {'left alone' if seen['kept'] else 'changed'}"


Columns = Sequence[Tensor]
"""The numbers by what they mean, each spread over x."""


def _second_axis(numbers: Tensor, x: Tensor) -> Columns:
    return [column.reshape(-1, *[1] * (x.ndim - 2)) for column in numbers.unbind(1)]


def _two_slopes(x: Tensor, columns: Columns) -> Tensor:
    above, below, offset = columns
    return torch.where(x > 0, above * x, below * x) + offset


def _three_slopes(x: Tensor, columns: Columns, order: bool = True) -> Tensor:
    left, middle, right, *knots = columns
    low, high = (knots[0].minimum(knots[1]), knots[0].maximum(knots[1])) if order else knots
    down = middle * low + left * (x - low)
    up = middle * high + right * (x - high)
    return torch.where(x < low, down, torch.where(x > high, up, middle * x))


def _gate(x: Tensor, columns: Columns) -> Tensor:
    scale, shift = columns
    return x * torch.sigmoid(scale * x + shift)


def bent(
    x: Tensor,
    kind: str,
    numbers: Tensor,
    fits: Part = lambda shape, due: shape == due,
    spread: Part = _second_axis,
    two: Part = _two_slopes,
    three: Part = _three_slopes,
    gate: Part = _gate,
) -> Tensor:
    """The right answer in parts."""
    if kind not in COUNTS or not fits(numbers.shape, (x.shape[1], COUNTS[kind])):
        raise ValueError("another kind, or numbers of another shape")
    bends = dict(zip(COUNTS, (two, three, gate), strict=True))
    return bends[kind](x, spread(numbers, x))


def _all_through_the_origin(x: Tensor, columns: Columns) -> Tensor:
    left, middle, right, one, other = columns
    low, high = one.minimum(other), one.maximum(other)
    return x * torch.where(x < low, left, torch.where(x > high, right, middle))


believing = beliefs_about(bent)
BELIEFS = (
    believing(
        "Channels are the last axis.",
        "In an image that is its width. Torch does not object where the two happen to be equal.",
        "What are the four axes of a batch of images?",
        spread=lambda numbers, x: numbers.unbind(1),
    ),
    believing(
        "One row of numbers bends all channels.",
        "That is one activation for a layer. Each channel has a row of its own.",
        "Which rows of numbers do you read?",
        spread=lambda numbers, x: numbers[0].unbind(),
    ),
    believing(
        "The part of x below 0 is relu(-x).",
        "That is how far below, a positive number. With a slope of 1 on both sides you have |x|.",
        "What does your function make of -2 if a and b are 1 and c is 0?",
        two=lambda x, c: c[0] * x.relu() + c[1] * (-x).relu() + c[2],
    ),
    believing(
        "An offset can be added before the bend or after it.",
        "Before it, the bend moves to another x, and c is multiplied by a slope.",
        "Where is the bend of your function if c is 1?",
        two=lambda x, c: _two_slopes(x + c[2], (c[0], c[1], 0 * c[2])),
    ),
    believing(
        "Every piece goes through the origin.",
        "Then the curve jumps at its knots. A piece goes on from where the one before it ended.",
        "What does your function give a little below a knot, and a little above?",
        three=_all_through_the_origin,
    ),
    believing(
        "Knots stay in their order.",
        "Nothing holds them. A step of the optimizer can carry one past the other.",
        "What does your function give between two knots that have crossed?",
        three=lambda x, columns: _three_slopes(x, columns, order=False),
    ),
    believing(
        "1 over infinity is 0, so an overflow does no harm.",
        "Going forward it does none. Going back, 0 times infinity is no number.",
        "Which gradient does torch give of 1 / (1 + exp(-z)) at z = -1000?",
        gate=lambda x, c: x / (1 + torch.exp(-(c[0] * x + c[1]))),
    ),
    believing(
        "Shapes that torch can combine fit.",
        "It spreads one row over all channels without a word. A layer built for another width "
        "goes unnoticed.",
        "Which shapes of numbers are right for x, and which does torch take?",
        fits=lambda shape, due: True,
    ),
)

EXERCISE = Exercise(
    reference=learned_activation,
    challenge=challenge,
    observe=observe,
    hints=(
        "Bring each column of numbers into the shape (channels, 1, …, 1), with as many ones as x "
        "has axes after its second. Then everything else is written as for one number.",
        "Split x where the slope changes: x.clamp(min=0) and x.clamp(max=0) are the two sides.",
        "Between the knots it is middle times x clamped by both. (x - low).clamp(max=0) is what "
        "lies below them, and has a slope of its own.",
    ),
    lesson="10_frozen_networks",
    section="Activations that learn",
    frameworks=("torch",),
    minutes=20,
    difficulty=4,
    note="torch.nn.PReLU is bi_slope with a = 1 and c = 0, SiLU is gated with scale 1 and shift 0. "
    "paramlock.mixing.activate has these three and a smooth one.",
)
