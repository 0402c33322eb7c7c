"""The names of what a torch model trains."""

from functools import partial

import numpy as np
from torch import Tensor, nn

from grader.instruments.snapshots import changed, snapshot
from grader.instruments.torch_cases import built, case
from grader.instruments.words import listed, named_alike
from grader.judging.exercise import Exercise, belief, beliefs_about, claim, of_kind
from grader.judging.terms import Candidate, Challenge, Evidence, Finding, Inputs, Part


def trainable_names(model):
    """Name the parameters of a model that are trainable.

    A parameter is trainable if its flag ``requires_grad`` is True. The model stays as it is.

    Args:
        model: a ``torch.nn.Module`` on the CPU; no two of its names mean the same parameter.

    Returns:
        List of names as in ``model.named_parameters()``, in any order.

    Example:
        >>> model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
        >>> frozen = model[0].requires_grad_(False)
        >>> trainable_names(model)
        ['1.weight', '1.bias']
    """
    return [name for name, parameter in model.named_parameters() if parameter.requires_grad]


def challenge(rng: np.random.Generator) -> Challenge:
    of = partial(case, rng, kind="plain")
    a, b, c = (int(size) for size in rng.integers(3, 20, 3))
    body, first, second, head = rng.choice(WORDS, 4, replace=False).tolist()
    layers = {
        f"{body}.{first}": ["Linear", a, b],
        f"{body}.{second}": ["Linear", b, b],
        head: ["Linear", b, c],
    }
    normed = {**layers, f"{body}.norm": ["BatchNorm1d", b]}
    deep = {f"{body}.{first}.{second}.{head}": ["Linear", c, a], head: ["Linear", b, c]}
    deep |= {"scale": ["Parameter", a], f"{body}.gain": ["Parameter"]}
    flags = partial(of, layers, [body], kind="flags")
    return {
        "a frozen body": of(layers, [body]),
        "a frozen head": of(layers, [head]),
        "one frozen weight": of(layers, [f"{body}.{second}.weight"]),
        "one frozen bias": of(layers, [f"{head}.bias"]),
        "all but one bias frozen": of(layers, [body, f"{head}.weight"]),
        "layers four levels deep, and parameters of no layer": of(deep, [f"{body}.gain"]),
        "BatchNorm": of(normed, [f"{body}.{first}"], kind="buffers"),
        "a frozen body in train mode, a trainable head in eval mode": flags(in_eval_mode=[head]),
        "the whole model in eval mode": flags(in_eval_mode=[""]),
        "old gradients everywhere": flags(with_gradients=[body, head]),
    }


WORDS = ["embed", "trunk", "tower", "inner", "outer", "mixer", "gate", "probe", "readout"]


def observe(candidate: Candidate, inputs: Inputs) -> Evidence:
    model = built(inputs)
    before = snapshot(model)
    names = candidate(model)
    each = [names] if isinstance(names, str) else list(map(str, names))
    named, known = set(each), model.state_dict().keys()
    return {
        "kind": inputs["kind"],
        "named": {name: name in named for name in known},
        "unknown": sorted(named - known),
        "repeated": sorted(name for name in named if each.count(name) > 1),
        "changed": changed(before, model),
    }


def _named(seen: Evidence, expected: Evidence) -> Finding:
    if seen["repeated"]:
        return False, f"you name more than once: {listed(seen['repeated'])}"
    ours, right = (
        [name for name, is_named in one["named"].items() if is_named] for one in (seen, expected)
    )
    return named_alike([*ours, *seen["unknown"]], right)


@claim(3, "Of which object do you ask the flag?", of_kind("plain"))
def names_the_trainable(seen: Evidence, expected: Evidence) -> Finding:
    """Parameters whose flag is True are named, and no others."""
    return _named(seen, expected)


@claim(1, "What of a BatchNorm is a parameter?", of_kind("buffers"), names_the_trainable)
def names_no_buffers(seen: Evidence, expected: Evidence) -> Finding:
    """The running statistics of BatchNorm are no parameters."""
    return _named(seen, expected)


@claim(2, "What else do you look at?", of_kind("flags"), names_the_trainable)
def looks_at_the_flag_alone(seen: Evidence, expected: Evidence) -> Finding:
    """The flag decides, whatever gradients there are and whatever mode a module is in."""
    return _named(seen, expected)


@claim(1, "Which line of yours sets something?", needs=names_the_trainable)
def leaves_the_model_alone(seen: Evidence, expected: Evidence) -> Finding:
    """The model is left as it was: its flags, gradients, numbers and modes."""
    return not seen["changed"], f"changed: {listed(seen['changed'])}"


def named(
    model: nn.Module,
    tensors: Part = lambda model: dict(model.named_parameters()),
    trainable: Part = lambda tensor: tensor.requires_grad,
    spelt: Part = lambda name: name,
) -> list[str]:
    """The right answer in parts."""
    return [spelt(name) for name, tensor in tensors(model).items() if trainable(tensor)]


def _all_modules(model: nn.Module) -> dict[str, nn.Module]:
    """Modules with parameters of their own, by the names of these parameters."""
    return {
        f"{path}.{name}".lstrip("."): module
        for path, module in model.named_modules()
        for name, _ in module.named_parameters(recurse=False)
    }


def _of_children(model: nn.Module) -> dict[str, Tensor]:
    """What the children hold themselves, and not their children."""
    return {
        f"{path}.{name}": parameter
        for path, child in model.named_children()
        for name, parameter in child.named_parameters(recurse=False)
    }


believing = beliefs_about(named)
BELIEFS = (
    believing(
        "What has a gradient is trainable.",
        "Before the first step nothing has one, and a frozen parameter can hold an old one.",
        "At which moment does a parameter get its gradient?",
        trainable=lambda tensor: tensor.grad is not None,
    ),
    believing(
        "All parameters are trainable.",
        "A frozen parameter is one, too: its flag says that it is not to learn. Only a parameter "
        "has that flag. A module has none, and getattr finds the default that you give.",
        "What would your code have to look at to see that a layer is frozen?",
        trainable=lambda tensor: True,
    ),
    believing(
        "requires_grad marks what is held fixed.",
        "It asks for a gradient. You name the frozen ones.",
        "Which flag does a new layer have?",
        trainable=lambda tensor: not tensor.requires_grad,
    ),
    believing(
        "A module in train mode trains.",
        "train() and eval() change how dropout and BatchNorm compute. They touch no flag.",
        "Does a parameter in eval mode get a gradient?",
        tensors=_all_modules,
        trainable=lambda module: module.training,
    ),
    believing(
        "The state of a model carries the flags.",
        "The values of state_dict() are detached, and a detached tensor has requires_grad False.",
        "What is requires_grad of each object that you ask, and of the parameter itself?",
        tensors=lambda model: model.state_dict(),
    ),
    believing(
        "A layer is trainable or frozen as a whole.",
        "A weight can be frozen and the bias beside it not. You name layers, or leave the last "
        "part of the name out.",
        "How does named_parameters() spell the bias of a layer?",
        spelt=lambda name: name.rpartition(".")[0],
    ),
    believing(
        "What a model holds, its children hold.",
        "A child can have children. Their parameters have names with more than one dot.",
        "Which names does named_parameters() give that yours leave out?",
        tensors=_of_children,
    ),
)


@belief(
    "To count as trainable, buffers need only be part of the model.",
    "Running statistics move in the forward pass. No gradient trains them.",
    "Which list of a module do the running statistics of BatchNorm stand in?",
)
def name_buffers_too(model: nn.Module) -> list[str]:
    return [*named(model), *(name for name, _ in model.named_buffers())]


EXERCISE = Exercise(
    reference=trainable_names,
    challenge=challenge,
    observe=observe,
    hints=(
        "model.named_parameters() gives pairs: a name and a parameter.",
        "Keep the names of those parameters p for which p.requires_grad is True.",
    ),
    lesson="04_explicit_freezing",
    section="Three switches that are not the same",
    frameworks=("torch",),
    minutes=5,
    difficulty=1,
    note="This list is worth printing before each fine-tuning. It says what is meant to learn, "
    "not what does: for that a parameter must be in the optimizer as well.",
)
