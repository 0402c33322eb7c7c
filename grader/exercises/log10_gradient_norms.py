"""Gradient norms per layer that neither underflow nor overflow, in any precision."""

import math

import numpy as np
import torch

from grader.evidence import alike, told_apart
from grader.exercise import Claim, Exercise, Misconception
from grader.torch_nets import LAYERS, net


def log10_gradient_norms(model):
    """Give the decimal logarithm of each layer's gradient norm.

    A layer is a module that holds parameters of its own, not only in modules below it. Its
    gradient norm is the root of the sum of all squared entries of its own parameters' gradients.
    No gradient (None) counts as zeros.

    The entries may be as small or as large as their precision can hold, also in float64, where
    1e-200 is a number and its square is not.

    Args:
        model: a ``torch.nn.Module`` on the CPU after a backward pass; any floating point type.

    Returns:
        A dict from the path of each layer, as in ``model.named_modules()``, to the logarithm to
        base 10 of its norm: a number, accurate to one part in ten thousand, and ``-math.inf``
        where the norm is 0. The model itself, if it holds parameters, has the path "".
    """
    answer = {}
    for path, module in model.named_modules():
        own = list(module.parameters(recurse=False))
        gradients = [p.grad.double().flatten() for p in own if p.grad is not None]
        entries = torch.cat([*gradients, torch.zeros(1, dtype=torch.float64)])
        largest = entries.abs().max().item()
        if own:
            answer[path] = -math.inf
        if largest > 0:
            answer[path] = math.log10(largest) + math.log10((entries / largest).norm().item())
    return answer


SCALED = {**LAYERS, "body.scale": ["Parameter", 5], "gain": ["Parameter"]}


def challenge(rng):
    def case(sizes=(1.0, 1.0, 1.0), layers=LAYERS, dtype="float32", kind="plain"):
        """`sizes`: about how large the entries are in each of the three layers, or None."""
        return {
            "layers": {path: list(layer) for path, layer in layers.items()},
            "sizes": dict(zip(LAYERS, sizes, strict=True)),
            "dtype": dtype,
            "seed": int(rng.integers(1000)),
            "kind": kind,
        }

    return {
        "three layers": case((0.01, 0.3, 5.0)),
        "parameters outside of the three layers": case(layers=SCALED),
        "a frozen layer": case((None, 0.5, 1.0), kind="nothing"),
        "a layer of zeros": case((0.0, 0.5, 1.0), kind="nothing"),
        "float32, down to 1e-30": case((1e-30, 1e-25, 1.0), kind="float32"),
        "float32, up to 1e30": case((1e30, 1.0, 1e-6), kind="float32"),
        "float16, near 300": case((300.0, 10.0, 1.0), dtype="float16", kind="float32"),
        "bfloat16, down to 1e-30": case((1e-30, 1e-10, 1.0), dtype="bfloat16", kind="float32"),
        "float64, down to 1e-200": case((1e-200, 1e-100, 1.0), dtype="float64", kind="float64"),
        "float64, up to 1e200": case((1e200, 1.0, 1.0), dtype="float64", kind="float64"),
    }


def observe(candidate, inputs):
    model = net(inputs["layers"], inputs["seed"]).to(getattr(torch, inputs["dtype"]))
    rng = np.random.default_rng(inputs["seed"])
    for name, parameter in model.named_parameters():
        size = inputs["sizes"].get(name.rpartition(".")[0], 1.0)
        drawn = torch.tensor(rng.uniform(0.5, 1.0, parameter.shape))
        parameter.grad = None if size is None else (size * drawn).to(parameter.dtype)
    norms = candidate(model)
    if isinstance(norms, dict):
        norms = {path or "the model itself": norm for path, norm in norms.items()}
    return {"kind": inputs["kind"], "norms": norms}


def is_the_norm_of_each_layer(seen, expected):
    """Each layer has the logarithm of the norm over all entries of its own parameters."""
    return _norms(seen, expected) if expected["kind"] == "plain" else None


def gives_minus_infinity_for_nothing(seen, expected):
    """A layer without a gradient, or with one of zeros, has minus infinity."""
    return _norms(seen, expected) if expected["kind"] == "nothing" else None


def holds_in_32_bits_and_less(seen, expected):
    """Entries as small or as large as float32, float16 and bfloat16 hold have a finite norm."""
    return _norms(seen, expected) if expected["kind"] == "float32" else None


def holds_in_float64(seen, expected):
    """In float64, too, entries whose squares it cannot hold have a finite norm."""
    return _norms(seen, expected) if expected["kind"] == "float64" else None


def _norms(seen, expected):
    ours, right = seen["norms"], expected["norms"]
    off = [
        "{}: you have {}, it is {}".format(path, *told_apart(ours[path], right[path]))
        for path in right
        if not alike(ours[path], right[path])
    ]
    return not off, "; ".join(off) or f"{len(right)} layers agree"


def _own(model, recurse=False):
    """Path and gradients of each module with parameters."""
    for path, module in model.named_modules():
        parameters = list(module.parameters(recurse))
        if parameters:
            yield path, [p.grad for p in parameters if p.grad is not None]


def _log10(norm):
    return math.log10(norm) if norm else -math.inf


def _hypot(gradients):
    """The norm of float64 tensors without under- or overflow."""
    return math.hypot(*(entry for g in gradients for entry in g.double().flatten().tolist()))


def square_as_it_comes(model):
    return {
        path: float(torch.log10(sum((g.square().sum() for g in own), torch.zeros(())).sqrt()))
        for path, own in _own(model)
    }


def square_in_float32(model):
    def squares(gradients):
        return sum(float(g.float().square().sum()) for g in gradients)

    return {path: _log10(math.sqrt(squares(own))) for path, own in _own(model)}


def square_in_float64(model):
    def squares(gradients):
        return sum(float(g.double().square().sum()) for g in gradients)

    return {path: _log10(math.sqrt(squares(own))) for path, own in _own(model)}


def add_a_small_number(model):
    return {path: math.log10(_hypot(own) + 1e-12) for path, own in _own(model)}


def give_zero_for_nothing(model):
    return {path: math.log10(_hypot(own) or 1.0) for path, own in _own(model)}


def take_the_logarithm_of_zero(model):
    return {path: math.log10(_hypot(own)) for path, own in _own(model)}


def take_the_weights_alone(model):
    return {path: _log10(_hypot(own[:1])) for path, own in _own(model)}


def go_down_all_the_way(model):
    return {path: _log10(_hypot(own)) for path, own in _own(model, recurse=True)}


def name_each_parameter(model):
    named = model.named_parameters()
    return {name: _log10(_hypot([] if p.grad is None else [p.grad])) for name, p in named}


def add_up_the_norms(model):
    return {path: _log10(sum(_hypot([g]) for g in own)) for path, own in _own(model)}


def divide_by_the_count(model):
    def per_entry(own):
        return _hypot(own) / math.sqrt(sum(g.numel() for g in own)) if own else 0.0

    return {path: _log10(per_entry(own)) for path, own in _own(model)}


def take_the_largest(model):
    def largest(own):
        return max((g.abs().max().item() for g in own), default=0.0)

    return {path: _log10(largest(own)) for path, own in _own(model)}


def take_natural_logarithms(model):
    return {path: _log10(_hypot(own)) * math.log(10) for path, own in _own(model)}


EXERCISE = Exercise(
    reference=log10_gradient_norms,
    challenge=challenge,
    observe=observe,
    claims=(
        Claim(is_the_norm_of_each_layer, 3, "Which parameters are a layer's own?"),
        Claim(gives_minus_infinity_for_nothing, 2, "What is the logarithm of a norm of zero?"),
        Claim(holds_in_32_bits_and_less, 3, "In which precision does each step calculate?"),
        Claim(holds_in_float64, 3, "How could the largest entry be 1 before anything is squared?"),
    ),
    misconceptions=(
        Misconception(
            "A norm is safe in the precision of its gradient.",
            "It squares first: 1e-30 becomes 1e-60, which float32 cannot hold, and 300 becomes "
            "90,000, which float16 cannot.",
            "In which precision is each square taken in your code?",
            square_as_it_comes,
        ),
        Misconception(
            "Float32 has room enough for every norm.",
            "It ends near 1e38 and 1e-45. The squares of 1e30 and of 1e-30 lie outside.",
            "How small may an entry be so that its square is still a float32?",
            square_in_float32,
        ),
        Misconception(
            "Float64 has room enough for every norm.",
            "It ends near 1e308 and 1e-323. The squares of 1e200 and of 1e-200 lie outside.",
            "What could you divide all entries by, so that the largest becomes 1?",
            square_in_float64,
        ),
        Misconception(
            "A small number under the logarithm does no harm.",
            "It is a floor: below it all norms look alike, and there the locks are.",
            "What does your function return for a norm of 1e-20, and for one of 1e-30?",
            add_a_small_number,
        ),
        Misconception(
            "Where there is no gradient, the number to report is 0.",
            "On a logarithmic scale 0 means a norm of 1: a healthy layer.",
            "Which norm has the logarithm 0?",
            give_zero_for_nothing,
        ),
        Misconception(
            "math.log10(0) is minus infinity.",
            "In Python's math module it raises; torch and numpy return minus infinity.",
            "What do you ask before you take the logarithm?",
            take_the_logarithm_of_zero,
        ),
        Misconception(
            "A layer is its weight matrix.",
            "Its bias is a parameter, too, and has a gradient.",
            "What does module.parameters(recurse=False) list for a Linear?",
            take_the_weights_alone,
        ),
        Misconception(
            "module.parameters() gives what a module holds itself.",
            "It goes through all children, so that containers count their layers once more.",
            "What does the argument recurse of parameters() do?",
            go_down_all_the_way,
        ),
        Misconception(
            "Each parameter is a layer.",
            "A weight and its bias belong to one layer and have one norm together.",
            "What is left of a parameter's name when you cut it at its last dot?",
            name_each_parameter,
        ),
        Misconception(
            "The norm of a layer is the sum of its parameters' norms.",
            "Squares add, norms do not: 3 and 4 make 5.",
            "What is the length of the vector that holds all entries of the layer?",
            add_up_the_norms,
        ),
        Misconception(
            "A norm is an average over entries.",
            "That is a root mean square. A norm is the root of the sum.",
            "By which count do you divide?",
            divide_by_the_count,
        ),
        Misconception(
            "The largest entry is the norm.",
            "It is a lower bound. Sixteen equal entries have a norm four times as large.",
            "What is still to be multiplied with the largest entry?",
            take_the_largest,
        ),
        Misconception(
            "log is the logarithm to base 10.",
            "math.log and torch.log are natural logarithms, 2.3 times as large.",
            "What does your function return for a norm of 10?",
            take_natural_logarithms,
        ),
    ),
    hints=(
        "named_modules() gives paths and modules; parameters(recurse=False) what a module holds "
        "itself.",
        "Divide all entries of a layer by the largest, take the norm, and multiply again. In "
        "logarithms the product becomes a sum.",
        "In float64: log10(m) + log10((g / m).norm()) with m the largest absolute entry of the "
        "layer. If m is 0, or no gradient is there, the answer is -math.inf.",
    ),
    lesson="01_gradient_vanishing",
    section="Norms that underflow",
    frameworks=("torch",),
    minutes=15,
    note="math.hypot(*entries) scales by the largest inside, too. It takes Python numbers one by "
    "one; for a million entries divide yourself.",
)
