"""The first weights of a layer that is sparse from the start, each unit by its own inputs.

Random numbers differ from answer to answer, so what is judged is coarse: spreads to the nearest
root of two, with thousands of weights for each, and whether the tails are those of a normal law.
Source: Evci et al. 2022, "Gradient flow in sparse neural networks", arXiv:2010.03533, section 3.1.
"""

from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor

from grader.instruments.words import listed
from grader.judging.exercise import Exercise, beliefs_about, claim, of_kind
from grader.judging.terms import Candidate, Challenge, Evidence, Finding, Inputs, Part


def sparse_start(kept, generator):
    """Draw the first weights of a sparse layer by He's rule for the inputs that are left.

    He's rule draws the weights of a ReLU layer from a normal law with mean 0 and variance 2 / n,
    where n is the number of inputs of a unit. In a sparse layer each unit has a number of its own:
    how many of its weights are kept.

    Args:
        kept: bool tensor, True where there is a weight. Its first axis counts the units: (units,
            inputs) for a dense layer, (units, channels, height, width) for a convolution. It stays
            as it is.
        generator: a ``torch.Generator``. All random numbers come from it.

    Returns:
        Float32 tensor of the shape of ``kept``: exactly 0 where it is False, and the weights of
        each unit drawn by He's rule for that unit. A unit without inputs is 0 throughout.

    Example:
        >>> kept = torch.tensor([[True, False], [False, False]])
        >>> (sparse_start(kept, torch.Generator().manual_seed(0)) != 0).tolist()
        [[True, False], [False, False]]
    """
    rows = kept.flatten(1)
    spread = (2 / rows.sum(1, keepdim=True).clamp(min=1)).sqrt()
    noise = torch.randn(rows.shape, generator=generator)
    return torch.where(rows, spread * noise, 0.0).view(kept.shape)


def challenge(rng: np.random.Generator) -> Challenge:
    total = int(rng.integers(5000, 6000))  # weights of each kind of unit

    def case(kind: str, shape: tuple[int, ...], *fans: int) -> Inputs:
        """As many units of each number of inputs as it takes for the total."""
        units = {str(fan): total // fan if fan else 40 for fan in fans}
        return {"kind": kind, "shape": [*shape], "fans": units, "seed": int(rng.integers(1000))}

    return {
        "units with 8, 32 and 128 of 128 inputs": case("plain", (128,), 8, 32, 128),
        "all units with 16 of 256 inputs": case("plain", (256,), 16),
        "a dense layer": case("dense", (64,), 64),
        "units with one input": case("plain", (16,), 1, 16),
        "units without inputs": case("empty", (64,), 0, 16),
        "a convolution, 3 by 3": case("convolution", (16, 3, 3), 9, 36, 144),
        "one unit": case("dense", (total,), total),
    }


def _kept(inputs: Inputs) -> np.ndarray:
    rng, size = np.random.default_rng(inputs["seed"]), int(np.prod(inputs["shape"]))
    fans = rng.permutation(np.repeat([int(n) for n in inputs["fans"]], [*inputs["fans"].values()]))
    order = rng.permuted(np.tile(np.arange(size), (len(fans), 1)), axis=1)
    return (order < fans[:, None]).reshape(-1, *inputs["shape"])


def observe(candidate: Candidate, inputs: Inputs) -> Evidence:
    flags = _kept(inputs)
    kept, before = torch.from_numpy(flags.copy()), torch.random.get_rng_state()
    first, *seeded = (torch.Generator().manual_seed(inputs["seed"] + more) for more in (0, 0, 1))
    weights, again, other, more = (candidate(kept, one) for one in (first, *seeded, first))
    if not isinstance(weights, Tensor) or weights.shape != kept.shape:
        return weights
    array = weights.detach().double().numpy()
    fans = flags.reshape(len(flags), -1).sum(1)
    groups = {str(n): array[fans == n][flags[fans == n]] for n in np.unique(fans) if n}
    return {
        "kind": inputs["kind"],
        "type": str(weights.dtype),
        "loose": int((array[~flags] != 0).sum()),
        "spread": {n: _ratio(group, int(n)) for n, group in groups.items()},
        "law": {n: _law(group) for n, group in groups.items()},
        "same seed": "the same weights" if _equal(weights, again) else "other weights",
        "other seed": "the same weights" if _equal(weights, other) else "other weights",
        "next call": "the same weights" if _equal(weights, more) else "other weights",
        "untouched": _equal(before, torch.random.get_rng_state()),
        "harm": int((kept.numpy() != flags).sum()),
        "weights": int(flags.sum()),
    }


def _equal(one: Any, other: Any) -> bool:
    return isinstance(other, Tensor) and torch.equal(one.nan_to_num(), other.nan_to_num())


def _ratio(group: np.ndarray, inputs: int) -> float:
    """The spread over the due one, to the nearest root of two; NaN where it is none."""
    ratio = np.sqrt((group**2).mean() * inputs / 2)
    return float(2 ** (np.round(2 * np.log2(ratio)) / 2)) if 0 < ratio < np.inf else float("nan")


def _law(group: np.ndarray) -> str:
    """What the values are like.

    Of a normal law 2.3 % lie beyond two spreads on either side, and 0.9 % beyond 2.6 in all.
    """
    spread = group.std()
    if len({*np.abs(group).round(6)}) < 3:
        return "all of one size"
    if len({*group}) < 0.9 * len(group):
        return "few numbers, used again and again"
    shares = [(group > 2 * spread).mean(), (group < -2 * spread).mean()]
    if sum(shares) == 0:
        return "without tails"
    if not 0.0035 < (np.abs(group) > 2.6 * spread).mean() < 0.017:
        return "of other tails than a normal law"
    return "normal" if all(0.012 < share < 0.036 for share in shares) else "lopsided"


def _spread(seen: Evidence, expected: Evidence) -> Finding:
    off = {n: r for n, r in seen["spread"].items() if r != expected["spread"][n]}
    words = [
        f"with {n} inputs the spread is about {r:.2g} times the due one" for n, r in off.items()
    ]
    return not off, listed(words) if off else "each spread is the due one"


@claim(3, "How many inputs has each unit, and what is its variance?", of_kind("plain"))
def follows_the_inputs_of_each_unit(seen: Evidence, expected: Evidence) -> Finding:
    """Each unit's weights have the variance 2 over the number of its own kept inputs."""
    if seen["weights"] != expected["weights"]:
        return False, "it is the layer of another case that was drawn"
    return _spread(seen, expected)


@claim(
    1,
    "Which weights of a unit reach it, in a convolution?",
    of_kind("convolution", "dense"),
    needs=follows_the_inputs_of_each_unit,
)
def counts_all_axes(seen: Evidence, expected: Evidence) -> Finding:
    """In a convolution a unit's inputs are its kept weights over all other axes."""
    return _spread(seen, expected)


@claim(
    2,
    "What is 2 / 0, and what is 0 times that?",
    of_kind("empty"),
    needs=follows_the_inputs_of_each_unit,
)
def leaves_empty_units_at_zero(seen: Evidence, expected: Evidence) -> Finding:
    """A unit without inputs is 0 throughout, and the others are not disturbed."""
    met, words = _spread(seen, expected)
    return met and not seen["loose"], f"not 0 where nothing is kept: {seen['loose']}; {words}"


@claim(2, "What stands where nothing is kept?", needs=follows_the_inputs_of_each_unit)
def is_zero_elsewhere(seen: Evidence, expected: Evidence) -> Finding:
    """What is not kept is exactly 0, in a float32 tensor, and kept is left as it was."""
    met = not seen["loose"] and not seen["harm"] and seen["type"] == expected["type"]
    words = f"not 0 where nothing is kept: {seen['loose']}; flags changed: {seen['harm']}"
    return met, f"{words}; {seen['type']}"


@claim(1, "From which law do you draw?", of_kind("plain"), needs=follows_the_inputs_of_each_unit)
def draws_from_a_normal_law(seen: Evidence, expected: Evidence) -> Finding:
    """The weights are drawn from a normal law with mean 0."""
    off = [f"with {n} inputs they are {law}" for n, law in seen["law"].items() if law != "normal"]
    return not off, listed(off) if off else "they are normal"


@claim(1, "Which of your calls draws, and from which generator?", of_kind("plain", "dense"),
       needs=follows_the_inputs_of_each_unit)  # fmt: skip
def draws_from_the_generator(seen: Evidence, expected: Evidence) -> Finding:
    """One seed gives one start, another seed or a next call others; torch's own generator stays."""
    keys = "same seed", "other seed", "next call"
    met = all(seen[key] == expected[key] for key in (*keys, "untouched"))
    own = "is as it was" if seen["untouched"] else "has moved on"
    words = "; ".join(f"{key}: {seen[key]}" for key in keys)
    return met, f"{words}; torch's own generator {own}"


def drawn(
    kept: Tensor,
    generator: Generator,
    inputs: Part = lambda kept: kept.flatten(1).sum(1),
    safe: Part = lambda inputs: inputs.clamp(min=1),
    spread: Part = lambda inputs, kept: (2 / inputs).sqrt(),
    noise: Part = lambda shape, generator: torch.randn(shape, generator=generator),
    put: Part = lambda kept, weights: torch.where(kept, weights, 0.0),
) -> Tensor:
    """The right answer in parts."""
    counts = safe(inputs(kept).float())
    factor = spread(counts, kept).expand(len(kept)).reshape(-1, *[1] * (kept.dim() - 1))
    return put(kept, factor * noise(kept.shape, generator))


def _dense(kept: Tensor) -> Tensor:
    return torch.tensor(kept[0].numel())


def _channels(kept: Tensor) -> Tensor:
    return kept.sum(1).float().reshape(len(kept), -1).mean(1)


def _one_at_a_time(shape: Any, generator: Generator) -> Tensor:
    return (2 * torch.rand(shape, generator=generator) - 1) * 3**0.5


believing = beliefs_about(drawn)
BELIEFS = (  # one that shows in two ways is there twice
    believing(
        "A sparse layer starts as the dense one does, with some weights left out.",
        "Each unit then adds up fewer terms of the same size. At a density of a sixteenth its "
        "output is four times too small, in each layer again.",
        "How many terms does the sum of one unit have, before and after pruning?",
        inputs=_dense,
    ),
    believing(
        "The density of the layer tells how many inputs a unit has.",
        "On average. A unit with few inputs comes out too quiet, and one with many too loud.",
        "Which unit of your layer has as many inputs as the average?",
        inputs=lambda kept: kept.float().mean() * kept[0].numel(),
    ),
    believing(
        "Fewer weights call for smaller weights.",
        "It is the other way round. The fewer terms a sum has, the larger each must be.",
        "By which factor does the spread of a sum change if it has a quarter of the terms?",
        spread=lambda inputs, kept: (2 * inputs).sqrt() / kept[0].numel(),
    ),
    believing(
        "The spread is 2 / n.",
        "That is the variance. The spread is its root.",
        "By what do you multiply a random number of spread 1, to give it a variance of 2 / n?",
        spread=lambda inputs, kept: 2 / inputs,
    ),
    believing(
        "The variance is 1 / n.",
        "That is the rule for a layer without ReLU. Of what a ReLU gets, half is lost.",
        "What does a ReLU do to the mean square of numbers that are symmetric about 0?",
        spread=lambda inputs, kept: (1 / inputs).sqrt(),
    ),
    believing(
        "What goes into a unit is counted along the first axis.",
        "The first axis counts the units. Counted along it is what goes out of an input.",
        "Which axis of a dense layer's weight has as many places as there are inputs?",
        inputs=lambda kept: kept.flatten(1).sum(0).float().mean(),
    ),
    believing(
        "In a convolution the channels are the inputs.",
        "Each place of the kernel is an input as well: 3 by 3 make nine of a channel.",
        "How many numbers are added up for one output of a convolution?",
        inputs=_channels,
    ),
    believing(
        "Each unit has an input.",
        "Not at high sparsity. Without one, n is 0 and the spread infinite, and 0 times that is "
        "NaN.",
        "What is 2 / 0 in a tensor, and what is 0 times that?",
        safe=lambda inputs: inputs,
        put=lambda kept, weights: kept * weights,
    ),
    believing(
        "Where nothing is kept it does not matter what stands.",
        "Your tensor is what the network starts with. What is not kept must be 0.",
        "What would the first forward pass use?",
        put=lambda kept, weights: weights,
    ),
    believing(
        "Random is random, wherever it comes from.",
        "Drawn from torch's own generator the weights are others at each call, and nobody can draw "
        "them again.",
        "Where does your code use the generator that it is given?",
        noise=lambda shape, generator: torch.randn(shape),
    ),
    believing(
        "Only the variance matters, so any law will do.",
        "For the size of a sum, yes. But the task asks for a normal law, and a uniform one has no "
        "tails.",
        "How large can a number be that is uniform with spread 1?",
        noise=_one_at_a_time,
    ),
)

EXERCISE = Exercise(
    reference=sparse_start,
    challenge=challenge,
    observe=observe,
    hints=(
        "How many True has each unit? In a tensor of four axes, flatten all but the first.",
        "One spread for each unit, the root of 2 over that count, shaped so that it multiplies its "
        "unit's weights: view(-1, 1) for a dense layer.",
        "torch.where(kept, weights, 0.0) chooses, where kept * weights would make NaN of 0 times "
        "infinity. Or let no count be below 1.",
    ),
    lesson="05_pruning",
    section="A sparse network has a start of its own",
    frameworks=("torch",),
    minutes=20,
    difficulty=3,
    note="Where all units have the same number of inputs this is the dense start divided by the "
    "root of the density. Once trained, a sparse network keeps its weights: do not draw them anew.",
)
