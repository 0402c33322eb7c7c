"""The empirical diagonal of a linear layer from its inputs and output gradients, used often."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from grader.instruments.diagonals import agree, in_units
from grader.instruments.pairs import finding
from grader.instruments.snapshots import changed, snapshot
from grader.instruments.words import listed
from grader.judging.exercise import Exercise, beliefs_about, claim, of_kind
from grader.judging.terms import Candidate, Challenge, Evidence, Finding, Inputs, Part


def layer_diagonal(inputs, output_gradients):
    """Make the empirical Fisher diagonal of a linear layer out of what flowed through it.

    The layer has one weight and one bias, and may be used several times: in several places of the
    network, and in each at several positions of a sequence or an image. The gradient of a sample
    is the sum over all its uses; it is squared after that, and averaged over the samples.

    Args:
        inputs: list with a tensor for each place, the layer's inputs there, of shape (N, D) or
            with positions (N, ..., D). N and D are the same in all places, positions are not.
        output_gradients: list with a tensor for each place, (N, H) or (N, ..., H): the gradient
            of each sample's own loss (not of a mean over samples) at the layer's outputs there.
            None for a place from which no gradient comes.

    Returns:
        Pair of tensors: for the weight, shape (H, D), and for the bias, shape (H,). At least one
        place has a gradient.

    Example:
        >>> a = [torch.tensor([[[1.0], [3.0]]])]  # one place: 1 sample, 2 positions, 1 input
        >>> g = [torch.tensor([[[1.0], [-1.0]]])]
        >>> layer_diagonal(a, g)  # the sample's gradients: 1 * 1 - 1 * 3, and 1 - 1
        (tensor([[4.]]), tensor([0.]))
    """
    slope_of_weight = slope_of_bias = 0
    for place, g in enumerate(output_gradients):
        if g is None:
            continue
        a, g = (x.reshape(len(x), -1, x.shape[-1]) for x in (inputs[place], g))
        slope_of_weight = slope_of_weight + g.mT @ a
        slope_of_bias = slope_of_bias + g.sum(1)
    return slope_of_weight.square().mean(0), slope_of_bias.square().mean(0)


def challenge(rng: np.random.Generator) -> Challenge:
    n, d, h, t = (int(size) for size in rng.choice(np.arange(3, 10), 4, replace=False))

    def case(
        kind: str,
        *positions: tuple[int, ...],
        samples: int = n,
        without: tuple[int, ...] = (),
        scale: float = 1.0,
    ) -> Inputs:
        """A place for each tuple of positions; gradients and inputs have means of their own."""

        def drawn(*shape: int) -> np.ndarray:
            return 0.5 * rng.normal(size=shape[-1]) + rng.normal(size=shape)

        gradients = [scale * drawn(samples, *places, h) for places in positions]
        return {
            "kind": kind,
            "unit": scale**2,
            "inputs": [drawn(samples, *places, d) for places in positions],
            "gradients": [None if i in without else g for i, g in enumerate(gradients)],
        }

    opposed = case("uses", (2,))
    opposed["inputs"][0][:, 1] = opposed["inputs"][0][:, 0]
    opposed["gradients"][0][:, 1] = -opposed["gradients"][0][:, 0]
    return {
        "one use": case("plain", ()),
        "one use, many samples": case("plain", (), samples=20 + n),
        "one sample": case("plain", (), samples=1),
        "a sequence": case("positions", (t,)),
        "as many positions as samples": case("positions", (n,)),
        "an image": case("positions", (2, t)),
        "a sequence of one sample": case("positions", (t,), samples=1),
        "two places": case("uses", (), ()),
        "two places, three times each": case("uses", (3,), (3,)),
        "a sequence and a single use": case("uses", (t,), ()),
        "three places of different length": case("uses", (t,), (2, 3), (t + 1,)),
        "positions that cancel": opposed,
        "a place without gradient": case("none", (t,), (), (2,), without=(1,)),
        "only the middle place with a gradient": case("none", (t,), (t,), (), without=(0, 2)),
        "gradients near 1e-10": case("range", (t,), scale=1e-10),
    }


def observe(candidate: Candidate, inputs: Inputs) -> Evidence:
    data = [torch.from_numpy(a.copy()) for a in inputs["inputs"]]
    gradients = [None if g is None else torch.from_numpy(g.copy()) for g in inputs["gradients"]]
    given = {f"inputs {i}": a for i, a in enumerate(data)}
    given |= {f"gradients {i}": g for i, g in enumerate(gradients) if g is not None}
    before, items = snapshot(given), [*data, *gradients]
    returned = candidate(data, gradients)
    is_pair = isinstance(returned, tuple | list) and len(returned) == 2
    pair = returned if is_pair else (returned, returned)
    relisted = ["a list"] if [*map(id, [*data, *gradients])] != [*map(id, items)] else []
    return {
        "kind": inputs["kind"],
        "unit": inputs["unit"],
        "count": len(returned) if isinstance(returned, tuple | list) else 1,
        "weight": in_units(pair[0], inputs["unit"]),
        "bias": in_units(pair[1], inputs["unit"]),
        "changed": changed(before, given) + relisted,
    }


def _weight(seen: Evidence, expected: Evidence) -> Finding:
    met, words = agree(seen["weight"], expected["weight"], expected["unit"], "F of the weight")
    return finding(seen, met, words)


def _bias(seen: Evidence, expected: Evidence) -> Finding:
    met, words = agree(seen["bias"], expected["bias"], expected["unit"], "F of the bias")
    return finding(seen, met, words)


def _both(seen: Evidence, expected: Evidence) -> Finding:
    weight = _weight(seen, expected)
    return _bias(seen, expected) if weight[0] else weight


@claim(3, "What is the gradient of one weight for one sample, and its square?", of_kind("plain"))
def squares_each_sample(seen: Evidence, expected: Evidence) -> Finding:
    """With one use, each weight has the mean of the squared products, each bias that of g."""
    return _both(seen, expected)


@claim(
    3,
    "Which comes first, the sum over positions or the square?",
    of_kind("positions"),
    needs=squares_each_sample,
)
def adds_positions_before_the_square(seen: Evidence, expected: Evidence) -> Finding:
    """The gradient of a weight is added up over the positions of a sample before it is squared."""
    return _weight(seen, expected)


@claim(
    2,
    "What is the gradient of a bias that is added at every position?",
    of_kind("positions"),
    needs=squares_each_sample,
)
def adds_them_for_the_bias_too(seen: Evidence, expected: Evidence) -> Finding:
    """The gradient of a bias is added up over the positions of a sample before the square, too."""
    return _bias(seen, expected)


@claim(
    2,
    "How many weights are there, and what is the gradient of each?",
    of_kind("uses"),
    needs=squares_each_sample,
)
def adds_places_before_the_square(seen: Evidence, expected: Evidence) -> Finding:
    """The places share one weight and one bias, so they are added up before the square as well."""
    return _both(seen, expected)


@claim(
    1, "What does a None say of that place?", of_kind("none"), needs=adds_places_before_the_square
)
def goes_on_without_a_gradient(seen: Evidence, expected: Evidence) -> Finding:
    """A place without a gradient adds nothing, wherever it stands in the list."""
    return _both(seen, expected)


@claim(1, "Which number does your code add?", of_kind("range"), needs=squares_each_sample)
def keeps_the_scale(seen: Evidence, expected: Evidence) -> Finding:
    """Small gradients keep their digits."""
    return _both(seen, expected)


@claim(1, "Which of your calls write into what they are given?", needs=squares_each_sample)
def leaves_the_tensors_alone(seen: Evidence, expected: Evidence) -> Finding:
    """The tensors and lists given are left as they were."""
    return not seen["changed"], f"changed: {listed(seen['changed'])}"


def _products(g: Tensor, a: Tensor) -> Tensor:
    """The gradient of each sample at each position, shape (N, T, H, D)."""
    return torch.einsum("nth,ntd->nthd", g, a)


def flowed(
    inputs: Sequence[Tensor],
    output_gradients: Sequence[Tensor | None],
    flat: Part = lambda x: x.reshape(len(x), -1, x.shape[-1]),
    weigh: Part = _products,
    use: Part = lambda each: each.sum(1),
    use_bias: Part = lambda each: each.sum(1),
    places: Part = sum,
    square: Part = torch.square,
    samples: Part = lambda rows: rows.mean(0),
    pairs: Part = lambda pairs: pairs,
) -> tuple[Tensor, Tensor]:
    """The right answer in parts."""
    met = [
        (flat(a), flat(g)) for a, g in zip(inputs, output_gradients, strict=True) if g is not None
    ]
    met = pairs(met)
    weight = samples(square(places([use(weigh(g, a)) for a, g in met])))
    return weight, samples(square(places([use_bias(g) for _, g in met])))


def _root_of_squares(each: Tensor) -> Tensor:
    """What gives the sum of squares, when it is squared."""
    return each.square().sum(1).sqrt()


def _as_samples(x: Tensor) -> Tensor:
    return x.reshape(-1, 1, x.shape[-1])


believing = beliefs_about(flowed)
BELIEFS = (
    believing(
        "(G²)ᵀA² holds for every linear layer.",
        "It holds where a sample uses the layer once. With several positions the square comes "
        "after their sum: contributions of 1 and -1 make 0, not 2.",
        "A sample has the contributions 1 and -1 at two positions. What is its gradient?",
        use=_root_of_squares,
        use_bias=_root_of_squares,
    ),
    believing(
        "Only a weight is shared by the positions.",
        "A bias is added at every position too, so its gradient is a sum as well.",
        "How many biases has the layer, for how many positions?",
        use_bias=_root_of_squares,
    ),
    believing(
        "Each place has a diagonal of its own, and they add up.",
        "There is one weight in all of them. Its gradient is the sum over places, and the square "
        "of a sum is not the sum of squares.",
        "What does autograd leave in .grad of a weight that is used twice?",
        places=lambda parts: sum(part.square() for part in parts).sqrt(),
    ),
    believing(
        "A use is averaged over its positions.",
        "The gradient is the sum over them. With T positions a mean makes F smaller by T squared.",
        "What does a second position that is like the first do to the gradient?",
        use=lambda each: each.mean(1),
        use_bias=lambda each: each.mean(1),
    ),
    believing(
        "The samples are added up before the square.",
        "That is the squared gradient of the batch. Samples cancel in it.",
        "What is left of two samples with the gradients 1 and -1?",
        samples=lambda rows: rows,
        square=lambda rows: rows.mean(0).square(),
    ),
    believing(
        "F is the sum over the samples.",
        "It would grow with the data, and a strength λ with it. F is a mean.",
        "What becomes of your numbers if each sample is given twice?",
        samples=lambda rows: rows.sum(0),
    ),
    believing(
        "The sum of products is the product of sums.",
        "Each position's gradient meets the input of its own position.",
        "What is 1 · 1 + 2 · 3, and what is (1 + 2) · (1 + 3)?",
        weigh=lambda g, a: torch.einsum("nh,nd->nhd", g.sum(1), a.sum(1))[:, None],
    ),
    believing(
        "The input enters as it is.",
        "The gradient of a weight is g times a, and all of it is squared.",
        "What does an input of -2 do to F, what one of 2?",
        weigh=lambda g, a: torch.einsum("nth,ntd->nthd", g, a.abs().sqrt() * a.sign()),
    ),
    believing(
        "The first place is the layer.",
        "The others use the same weight. What flowed through it there counts as well.",
        "Which items of the two lists does your code read?",
        pairs=lambda pairs: pairs[:1],
    ),
    believing(
        "The weight lies as it is multiplied.",
        "The shape asked for is (H, D), a row for each output, as in torch. Yours is (D, H).",
        "What is the shape of the weight of nn.Linear(5, 3)?",
        weigh=lambda g, a: torch.einsum("nth,ntd->ntdh", g, a),
    ),
)

EXERCISE = Exercise(
    reference=layer_diagonal,
    challenge=challenge,
    observe=observe,
    hints=(
        "First one place without positions: the gradient of a sample's weight is the outer "
        "product of its g and its a. Square it, then average.",
        "With positions, bring both to three axes, (N, T, ·), so that a single use has T = 1. "
        "g.mT @ a then has shape (N, H, D): summed over positions, a matrix for each sample.",
        "Add these up over the places that have a gradient; for the bias add g.sum(1). Square and "
        "average only when everything of a sample has been added.",
    ),
    lesson="06_fisher_importance",
    section="What it costs",
    frameworks=("torch",),
    minutes=20,
    difficulty=5,
    note="With one use (G²)ᵀA² is one product of two matrices. With more, a matrix for each sample "
    "is in memory, and for large layers one goes through the samples in chunks.",
)
