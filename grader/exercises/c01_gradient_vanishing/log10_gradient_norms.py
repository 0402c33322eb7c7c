"""Gradient norms per layer that neither underflow nor overflow, in any precision."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from grader.instruments import snapshots, torch_cases
from grader.instruments.torch_nets import LAYERS, Layers
from grader.judging.evidence import alike, told_apart
from grader.judging.exercise import Exercise, beliefs_about, claim, needing, of_kind
from grader.judging.terms import Candidate, Challenge, Evidence, Finding, Inputs, Part


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
        where the norm is 0. The model itself, if it holds parameters, has the path "". Model and
        gradients stay as they are.

    Example:
        >>> model = torch.nn.Sequential(torch.nn.Linear(2, 1), torch.nn.Linear(1, 1))
        >>> model[0].weight.grad = torch.tensor([[0.006, 0.008]])
        >>> {path: round(norm, 3) for path, norm in log10_gradient_norms(model).items()}
        {'0': -2.0, '1': -inf}
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
SQUARE = {**LAYERS, "head": ["Linear", 4, 4]}
TIED = [["body.second.weight", "head.weight"]]


def challenge(rng: np.random.Generator) -> Challenge:
    def case(
        kind: str,
        *sizes: float | None,
        dtype: str = "float32",
        layers: Layers = LAYERS,
        **more: Any,
    ) -> Inputs:
        """`sizes`: about how large the entries are in each of the three layers, or None.

        `signs` are what entries are multiplied by; parameters `without` have no gradient.
        """
        entries = dict(zip(LAYERS, sizes or (1.0, 1.0, 1.0), strict=True))
        own = {"sizes": entries, "dtype": dtype, "signs": [-1.0, 1.0], "without": [], **more}
        return torch_cases.case(rng, layers, kind=kind, **own)

    after = ["body.first.weight", "body.second"]
    return {
        "three layers": case("plain", 0.01, 0.3, 5.0),
        "parameters outside of the three layers": case("plain", layers=SCALED),
        "a weight that two layers share": case("plain", layers=SQUARE, tied=TIED),
        "frozen after the backward pass": case("plain", frozen=after),
        "every entry is negative": case("plain", signs=[-1.0]),
        "zeros among the entries": case("plain", signs=[-1.0, 0.0, 1.0]),
        "a weight without a gradient beside its bias": case("plain", without=["head.weight"]),
        "a frozen layer": case("nothing", None, 0.5, 1.0, frozen=["body.first"]),
        "a layer of zeros": case("nothing", 0.0, 0.5, 1.0),
        "float32, down to 1e-42": case("float32", 1e-42, 1e-25, 1.0),
        "float32, up to 1e30": case("float32", 1e30, 1.0, 1e-6),
        "float16, near 300": case("float32", 300.0, 10.0, 1.0, dtype="float16"),
        "bfloat16, down to 1e-30": case("float32", 1e-30, 1e-10, 1.0, dtype="bfloat16"),
        "float64, down to 1e-200": case("float64", 1e-200, 1e-165, 1.0, dtype="float64"),
        "float64, up to 1e200": case("float64", 1e200, 1.0, 1.0, dtype="float64"),
        "float64, down to 1e-320": case("float64", 1e-320, 1.0, 1.0, dtype="float64"),
        "float64, up to 1.7e308": case("float64", 1.7e308, 1.0, 1.0, dtype="float64"),
    }


def observe(candidate: Candidate, inputs: Inputs) -> Evidence:
    model = torch_cases.built(inputs).to(getattr(torch, inputs["dtype"]))
    rng = np.random.default_rng(inputs["seed"])
    for name, parameter in model.named_parameters():
        size = inputs["sizes"].get(name.rpartition(".")[0], 1.0)
        signs = rng.choice(inputs["signs"], parameter.shape)
        drawn = torch.tensor(signs * rng.uniform(0.5, 1.0, parameter.shape))
        missing = size is None or name in inputs["without"]
        parameter.grad = None if missing else (size * drawn).to(parameter.dtype)
    before = snapshots.snapshot(model)
    norms = candidate(model)
    if isinstance(norms, dict):
        norms = {path or "the model itself": norm for path, norm in norms.items()}
    changed = snapshots.changed(before, model)
    return {"kind": inputs["kind"], "norms": norms, "changed": changed}


def _norms(seen: Evidence, expected: Evidence) -> Finding:
    ours, right = seen["norms"], expected["norms"]
    off = [
        "{}: you have {}, it is {}".format(path, *told_apart(ours[path], right[path]))
        for path in right
        if not alike(ours[path], right[path])
    ]
    return not off, "; ".join(off) or f"{len(right)} layers agree"


@claim(3, "Which parameters are a layer's own, and which of their entries count?", of_kind("plain"))
def is_the_norm_of_each_layer(seen: Evidence, expected: Evidence) -> Finding:
    """Each layer has the logarithm of the norm over all entries of its own parameters."""
    return _norms(seen, expected)


@claim(2, "What is the logarithm of a norm of zero?", of_kind("nothing"))
def gives_minus_infinity_for_nothing(seen: Evidence, expected: Evidence) -> Finding:
    """A layer without a gradient, or with one of zeros, has minus infinity."""
    return _norms(seen, expected)


@claim(3, "In which precision does each step calculate?", of_kind("float32"))
def holds_in_32_bits_and_less(seen: Evidence, expected: Evidence) -> Finding:
    """Entries as small or as large as float32, float16 and bfloat16 hold have a finite norm."""
    return _norms(seen, expected)


@claim(2, "How could the largest entry be 1 before anything is squared?", of_kind("float64"))
def holds_in_float64(seen: Evidence, expected: Evidence) -> Finding:
    """In float64, too, where squares or the norm itself are no float64, the logarithm is finite."""
    return _norms(seen, expected)


STAYS = needing(is_the_norm_of_each_layer, snapshots.model_stays)


def owned(model: nn.Module, recurse: bool = False) -> Iterator[tuple[str, list[nn.Parameter]]]:
    """Path and parameters of each module that has any."""
    for path, module in model.named_modules():
        if parameters := list(module.parameters(recurse)):
            yield path, parameters


def largest(gradients: Sequence[Tensor]) -> float:
    return max((g.abs().max().item() for g in gradients), default=0.0)


def norm_of(gradients: Sequence[Tensor]) -> float:
    return math.sqrt(sum(g.square().sum().item() for g in gradients))


def measured(
    model: nn.Module,
    layers: Part = owned,
    wide: Part = Tensor.double,
    unit: Part = lambda gradients: largest(gradients) or 1.0,
    norm: Part = norm_of,
    log: Part = math.log10,
    of_nothing: Part = lambda: -math.inf,
) -> dict[str, float]:
    """The right answer in parts."""
    answer = {}
    for path, parameters in layers(model):
        gradients = [wide(p.grad) for p in parameters if p.grad is not None]
        one = unit(gradients)
        scaled = norm([g / one for g in gradients])
        answer[path] = log(scaled) + log(one) if scaled else of_nothing()
    return answer


def unscaled(gradients: Sequence[Tensor]) -> float:
    return 1.0


ROOM = (
    "Float32 or float64 has room enough for every norm.",
    "Float32 ends near 1e38 and 1e-45, float64 near 1e308 and 1e-323. The squares of 1e30 and of "
    "1e-30 lie outside of the first, those of 1e200 and of 1e-200 outside of both.",
    "What could you divide all entries by, so that the largest becomes 1?",
)
believing = beliefs_about(measured)
BELIEFS = (  # one that shows in several ways is there for each
    believing(
        "A norm is safe in the precision of its gradient.",
        "It squares first: 1e-30 becomes 1e-60, which float32 cannot hold, and 300 becomes 90,000, "
        "which float16 cannot.",
        "In which precision is each square taken in your code?",
        wide=lambda gradient: gradient,
        unit=unscaled,
    ),
    believing(*ROOM, wide=Tensor.float, unit=unscaled),
    believing(*ROOM, unit=unscaled),
    believing(
        "A small number under the logarithm does no harm.",
        "It is a floor: below it all norms look alike, and there the locks are.",
        "What does your function return for a norm of 1e-20, and for one of 1e-30?",
        unit=unscaled,
        norm=lambda gradients: norm_of(gradients) + 1e-12,
    ),
    believing(
        "Where there is no gradient, the number to report is 0.",
        "On a logarithmic scale 0 means a norm of 1: a healthy layer.",
        "Which norm has the logarithm 0?",
        of_nothing=lambda: 0.0,
    ),
    believing(
        "math.log10(0) is minus infinity.",
        "In Python's math module it raises; torch and numpy return minus infinity.",
        "What do you ask before you take the logarithm?",
        of_nothing=lambda: math.log10(0),
    ),
    believing(
        "A layer is its weight matrix.",
        "Its bias is a parameter, too, and has a gradient.",
        "What does module.parameters(recurse=False) list for a Linear?",
        layers=lambda model: [(path, parameters[:1]) for path, parameters in owned(model)],
    ),
    believing(
        "module.parameters() gives what a module holds itself.",
        "It goes through all children, so that containers count their layers once more.",
        "What does the argument recurse of parameters() do?",
        layers=lambda model: owned(model, recurse=True),
    ),
    believing(
        "Each parameter is a layer.",
        "A weight and its bias belong to one layer and have one norm together.",
        "What is left of a parameter's name when you cut it at its last dot?",
        layers=lambda model: [(name, [p]) for name, p in model.named_parameters()],
    ),
    believing(
        "The norm of a layer is the sum of its parameters' norms.",
        "Squares add, norms do not: 3 and 4 make 5.",
        "What is the length of the vector that holds all entries of the layer?",
        norm=lambda gradients: sum(norm_of([g]) for g in gradients),
    ),
    believing(
        "A norm is an average over entries.",
        "That is a root mean square. A norm is the root of the sum.",
        "By which count do you divide?",
        norm=lambda gradients: (
            norm_of(gradients) / math.sqrt(sum(map(Tensor.numel, gradients)) or 1)
        ),
    ),
    believing(
        "The largest entry is the norm.",
        "It is a lower bound. Sixteen equal entries have a norm four times as large.",
        "What is still to be multiplied with the largest entry?",
        norm=largest,
    ),
    believing(
        "log is the logarithm to base 10.",
        "math.log and torch.log are natural logarithms, 2.3 times as large.",
        "What does your function return for a norm of 10?",
        log=math.log,
    ),
)

EXERCISE = Exercise(
    reference=log10_gradient_norms,
    challenge=challenge,
    observe=observe,
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
    difficulty=4,
    note="math.hypot(*entries) scales by the largest inside, too. It takes Python numbers one by "
    "one, and its result has to be a float: the norm of four entries of 1.5e308 is none.",
)
