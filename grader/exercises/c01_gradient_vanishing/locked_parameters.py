"""Which parameters of a torch model are locked at epsilon, by their relative gradient."""

import math

import numpy as np
import torch

from grader.instruments.torch_nets import LAYERS, net, texts
from grader.judging.exercise import Claim, Exercise, Misconception, attempt, error_name


def locked_parameters(model, epsilon):
    """Name the parameters whose relative gradient is below epsilon.

    The relative gradient of a parameter is the norm of its gradient over the norm of the whole
    model's gradient. Norms run over all entries, which may be as small as float32 can hold. A
    parameter without a gradient (None) has the relative gradient 0. If the whole gradient is
    zero, every parameter is locked.

    Args:
        model: a ``torch.nn.Module`` on the CPU after a backward pass; float32.
        epsilon: a number between 0 and 1.

    Returns:
        A tuple of names as in ``model.named_parameters()``, in any order: those whose relative
        gradient is less than ``epsilon``. Equal to ``epsilon`` is not locked.

    Raises:
        ValueError: a gradient holds a NaN or an infinity. The message names a parameter it is in.
    """
    norms = {name: 0.0 for name, _ in model.named_parameters()}
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:
            norms[name] = parameter.grad.double().norm().item()
        if not math.isfinite(norms[name]):
            raise ValueError(f"the gradient of {name} holds a NaN or an infinity")
    whole = math.hypot(*norms.values())
    return tuple(name for name, norm in norms.items() if whole == 0 or norm / whole < epsilon)


NAMES = ["body.first", "body.second", "inner", "outer", "left", "right", "top", "tail", "head"]
SHAPES = {
    f"{path}.{kind}": shape
    for path, (_, inputs, units) in LAYERS.items()
    for kind, shape in (("weight", (units, inputs)), ("bias", (units,)))
}


def challenge(rng):
    def gradients(*norms):
        """A gradient of each of these norms, in a random direction; None for None."""
        pairs = zip(SHAPES.items(), norms, strict=True)
        return {name: _directed(rng, shape, norm) for (name, shape), norm in pairs}

    def case(given, epsilon=1e-3, kind="plain", broken=None):
        inputs = {"gradients": given, "epsilon": epsilon, "kind": kind, "broken": broken}
        return _renamed(inputs, rng.permutation(NAMES).tolist())

    def breaking(value):
        given, where = fading(), str(rng.choice(list(SHAPES)))
        given[where].flat[rng.integers(given[where].size)] = value
        return case(given, kind="broken", broken=where)

    def fading(scale=1.0):
        norms = np.array([2e-5, 1e-5, 6e-3, 3e-3, 1.0, 0.5]) * rng.uniform(0.8, 1.2, 6)
        return gradients(*(scale * norms))

    level = gradients(*[1.0] * 6)
    level["body.second.weight"] = np.full((4, 4), 5e-4, np.float32)  # share 9e-4
    units = {name: _unit(shape) for name, shape in SHAPES.items()}
    units |= dict.fromkeys(rng.choice(list(SHAPES), 2, replace=False).tolist())
    return {
        "a gradient that fades": case(fading()),
        "sixteen small entries, epsilon 0.0008": case(level, 8e-4),
        "two small entries": case(gradients(1, 1, 1, 1, 1, 8e-4)),
        "the loss times 10,000": case(fading(1e4), kind="scale"),
        "late in training, all gradients small": case(fading(1e-5), kind="scale"),
        "all gradients below 1e-22": case(fading(1e-22), kind="scale"),
        "four norms of 1, two gradients of None, epsilon 0.5": case(units, 0.5, "edge"),
        "four norms of 1, two gradients of None, epsilon 0.6": case(units, 0.6),
        "a frozen layer": case(gradients(None, None, 0.5, 0.1, 1, 1), kind="none"),
        "every gradient is zero": case(
            {name: np.zeros(shape, np.float32) for name, shape in SHAPES.items()}, kind="none"
        ),
        "a NaN": breaking(np.nan),
        "an infinity": breaking(np.inf),
        "minus infinity": breaking(-np.inf),
    }


def _renamed(inputs, names):
    """The same case for a model whose layers bear the first of these names."""
    layers = dict(zip(LAYERS, names, strict=False))

    def renamed(parameter):
        layer, _, kind = parameter.rpartition(".")
        return f"{layers[layer]}.{kind}"

    return {
        **inputs,
        "layers": {layers[layer]: made for layer, made in LAYERS.items()},
        "gradients": {renamed(name): given for name, given in inputs["gradients"].items()},
        "broken": inputs["broken"] and renamed(inputs["broken"]),
    }


def _directed(rng, shape, norm):
    if norm is None:
        return None
    direction = rng.normal(size=shape)
    return (norm * direction / np.linalg.norm(direction)).astype(np.float32)


def _unit(shape):
    one = np.zeros(shape, np.float32)
    one.flat[0] = 1
    return one


def observe(candidate, inputs):
    model = net(inputs["layers"], seed=0)
    for name, gradient in inputs["gradients"].items():
        parameter = model.get_parameter(name)
        parameter.grad = None if gradient is None else torch.tensor(gradient)
    evidence = {"kind": inputs["kind"], "locked": None, "error": None, "named": None}
    if inputs["kind"] != "broken":
        return evidence | {"locked": _sorted(candidate(model, inputs["epsilon"]))}
    return evidence | _refusal(candidate, model, inputs)


def _sorted(returned):
    names = texts(returned)
    return sorted(names) if isinstance(names, list) else names


def _refusal(candidate, model, inputs):
    """What came where an error should come; what was returned does not matter then."""
    _, error = attempt(candidate, model, inputs["epsilon"])
    if error is None:
        return {"error": "no error"}
    named = inputs["broken"] if inputs["broken"] in str(error) else None
    return {"error": error_name(error), "named": named}


def names_what_is_below(seen, expected):
    """The answer names each parameter whose relative gradient is below epsilon, and no other."""
    return _names(seen, expected) if expected["kind"] == "plain" else None


def does_not_depend_on_scale(seen, expected):
    """The size of the gradients as a whole does not matter: only shares count."""
    return _names(seen, expected) if expected["kind"] == "scale" else None


def is_strict(seen, expected):
    """A relative gradient equal to epsilon is not locked."""
    return _names(seen, expected) if expected["kind"] == "edge" else None


def lists_what_has_no_gradient(seen, expected):
    """A parameter without a gradient is locked, and so is everything where all is zero."""
    return _names(seen, expected) if expected["kind"] == "none" else None


def refuses_what_is_no_number(seen, expected):
    """A NaN or an infinity in a gradient raises a ValueError that names the parameter."""
    if expected["error"] is None:
        return None
    if seen["error"] != "ValueError":
        return False, f"{seen['error']} was raised".replace("no error was", "nothing was")
    named = seen["named"] == expected["named"]
    held = "names" if named else "does not name"
    return named, f"the ValueError {held} {expected['named']}"


def _names(seen, expected):
    ours, right = set(seen["locked"]), set(expected["locked"])
    missing = f"you leave out {', '.join(sorted(right - ours))}" if right - ours else ""
    more = f"you name {', '.join(sorted(ours - right))}" if ours - right else ""
    return ours == right, "; ".join(filter(None, (missing, more))) or f"you name {len(ours)}"


def _norms(model, norm=lambda g: g.double().norm().item()):
    """A number for each gradient, 0 where there is none."""
    named = model.named_parameters()
    return {name: 0.0 if p.grad is None else norm(p.grad) for name, p in named}


def _check(model):
    for name, p in model.named_parameters():
        if p.grad is not None and not p.grad.isfinite().all():
            raise ValueError(name)


def _below(numbers, whole, epsilon):
    return tuple(n for n, value in numbers.items() if whole == 0 or value / whole < epsilon)


def compare_with_a_fixed_number(model, epsilon):
    _check(model)
    return tuple(name for name, norm in _norms(model).items() if norm < epsilon)


def include_epsilon(model, epsilon):
    _check(model)
    norms = _norms(model)
    whole = math.hypot(*norms.values())
    return tuple(n for n, norm in norms.items() if whole == 0 or norm / whole <= epsilon)


def square_in_float32(model, epsilon):
    _check(model)
    squares = _norms(model, lambda g: g.square().sum().item())
    return _below({n: s**0.5 for n, s in squares.items()}, sum(squares.values()) ** 0.5, epsilon)


def trust_the_comparison(model, epsilon):
    norms = _norms(model)
    return _below(norms, math.sqrt(sum(norm**2 for norm in norms.values())), epsilon)


def refuse_without_a_name(model, epsilon):
    norms = _norms(model)
    whole = math.sqrt(sum(norm**2 for norm in norms.values()))
    if not math.isfinite(whole):
        raise ValueError("the norm of the gradient is not finite")
    return _below(norms, whole, epsilon)


def pass_over_none(model, epsilon):
    _check(model)
    norms = _norms(model)
    given = [name for name, p in model.named_parameters() if p.grad is not None]
    below = _below(norms, math.hypot(*norms.values()), epsilon)
    return tuple(name for name in below if name in given)


def compare_per_entry(model, epsilon):
    _check(model)
    means = _norms(model, lambda g: g.double().square().mean().sqrt().item())
    given = [p.grad for p in model.parameters() if p.grad is not None]
    count = sum(g.numel() for g in given)
    whole = math.hypot(*_norms(model).values()) / math.sqrt(count)
    return _below(means, whole, epsilon)


def compare_the_largest_entries(model, epsilon):
    _check(model)
    largest = _norms(model, lambda g: g.abs().max().item())
    return _below(largest, max(largest.values()), epsilon)


def compare_with_the_largest(model, epsilon):
    _check(model)
    norms = _norms(model)
    return _below(norms, max(norms.values()), epsilon)


def add_up_the_norms(model, epsilon):
    _check(model)
    norms = _norms(model)
    return _below(norms, sum(norms.values()), epsilon)


def compare_squares(model, epsilon):
    _check(model)
    squares = {name: norm**2 for name, norm in _norms(model).items()}
    return _below(squares, sum(squares.values()), epsilon)


def find_nothing_in_zeros(model, epsilon):
    _check(model)
    norms = _norms(model)
    whole = math.hypot(*norms.values())
    return _below(norms, whole, epsilon) if whole else ()


EXERCISE = Exercise(
    reference=locked_parameters,
    challenge=challenge,
    observe=observe,
    claims=(
        Claim(names_what_is_below, 3, "Which two norms do you compare, and over which entries?"),
        Claim(
            does_not_depend_on_scale, 2, "What happens to your numbers if the loss is multiplied?"
        ),
        Claim(is_strict, 1, "On which side of your comparison does equality fall?"),
        Claim(lists_what_has_no_gradient, 2, "What does your code make of None, and of 0 over 0?"),
        Claim(refuses_what_is_no_number, 3, "Which test tells numbers from NaN and infinity?"),
    ),
    misconceptions=(
        Misconception(
            "A gradient below some fixed size is a lock.",
            "Multiply the loss by a number and all gradients grow with it, though nothing about "
            "the network has changed.",
            "With what do you compare a norm, if not with a fixed number?",
            compare_with_a_fixed_number,
        ),
        Misconception(
            "Below epsilon includes epsilon.",
            "The definition is strict. Four equal tensors hold a half of the norm each, and at "
            "0.5 none of them is below.",
            "Which of < and <= does the docstring ask for?",
            include_epsilon,
        ),
        Misconception(
            "Float32 is good enough for the norm of a float32 gradient.",
            "The square of 1e-25 is no float32. The norm comes out as 0 although no entry is 0.",
            "What is the smallest square your code has to represent, and in which precision?",
            square_in_float32,
        ),
        Misconception(
            "A gradient that is broken would show as a small or a large number.",
            "Every comparison with NaN is false, so a network full of NaN has no lock at all.",
            "What would tell you that a number is finite, before you compare it?",
            trust_the_comparison,
        ),
        Misconception(
            "It is enough to know that something is not finite.",
            "The caller has to find it among all parameters. You know which one it is in.",
            "Can the check be made where the name is still at hand?",
            refuse_without_a_name,
        ),
        Misconception(
            "What has no gradient is not part of the question.",
            "No gradient reaches it, and that is the lock in its purest form: a share of 0.",
            "What is 0 compared with any epsilon above 0?",
            pass_over_none,
        ),
        Misconception(
            "Tensors of different sizes are compared per entry.",
            "That is a sensible number and another definition. The norm grows with the count.",
            "By which counts do you divide, and does the docstring name any?",
            compare_per_entry,
        ),
        Misconception(
            "The largest entry stands for the tensor.",
            "A norm counts every entry: sixteen entries of 0.0005 have a norm of 0.002.",
            "How does your number change if all but one entry become zero?",
            compare_the_largest_entries,
        ),
        Misconception(
            "The whole is as large as its largest part.",
            "Four norms of 1 make a whole of 2. Compared with the largest, each share is 1.",
            "How do the squares of the parts make up the whole?",
            compare_with_the_largest,
        ),
        Misconception(
            "The whole is the sum of the norms.",
            "Squares add, norms do not: four norms of 1 make 2 and not 4.",
            "What is the length of the vector that holds the entries of all tensors?",
            add_up_the_norms,
        ),
        Misconception(
            "A share of the squares is a share of the norm.",
            "It is that share squared: 0.01 becomes 0.0001, and too much falls below epsilon.",
            "Which root is still to be taken?",
            compare_squares,
        ),
        Misconception(
            "Where every gradient is zero, nothing stands out, so nothing is locked.",
            "No parameter gets a gradient, and none will move by it.",
            "What share do you give a parameter whose gradient is zero?",
            find_nothing_in_zeros,
        ),
    ),
    hints=(
        "First make a dict from name to norm, with 0 for None. Then the whole, then the shares.",
        "p.grad.double().norm() squares in float64. math.isfinite tells a number from NaN and "
        "infinity.",
        "The whole is the root of the sum of the squared norms: math.hypot(*norms.values()). Treat "
        "a whole of 0 before you divide.",
    ),
    lesson="01_gradient_vanishing",
    section="Norms that underflow",
    frameworks=("torch",),
    minutes=12,
    note="One batch is one opinion. Average the gradient over the data first, then ask; and under "
    "Adam ask for the update ratio as well.",
)
