"""Freeze modules of a torch model by their exact paths; every flag and gradient is looked at."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from numpy.random import Generator
from torch import nn

from grader.instruments.refusals import refusal, refused
from grader.instruments.snapshots import changed, gradients_now, snapshot
from grader.instruments.torch_cases import built, case
from grader.instruments.torch_nets import BODIES, HEADS, Layers, by_first_names, give_gradients
from grader.instruments.words import listed
from grader.judging.exercise import Exercise, belief, beliefs_about, claim, of_kind
from grader.judging.terms import Candidate, Challenge, Evidence, Finding, Inputs, Part


def freeze_by_path(model, names):
    """Freeze the modules at these paths, and say which parameters became frozen.

    To freeze a module is to freeze every parameter below it, however deep. A path means that one
    module: ``body.layer1`` is neither ``body.layer10`` nor ``extra.body.layer1``. A parameter that
    becomes frozen also loses its gradient, so that no optimizer goes on using it; one below the
    paths that was frozen already may lose its own. Nothing else changes: no other flag, no other
    gradient, no value, no buffer, no train or eval mode.

    Args:
        model: a ``torch.nn.Module``. Some of its parameters may be frozen already. One parameter
            may be used by two modules (tied weights): below each of them it is the same one.
        names: tuple of module paths, as ``model.named_modules()`` spells them, ``""`` for the model
            itself; may be empty.

    Returns:
        Tuple of the names of the parameters that were trainable before and are frozen now, no name
        twice, in any order. A tied parameter goes by any one of its names, or by several.

    Raises:
        KeyError: a name is not the path of a module; a parameter's name is not. The message
            holds the name, and nothing has been frozen.

    Example:
        >>> model = nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1))
        >>> freeze_by_path(model, ("0",))
        ('0.weight', '0.bias')
        >>> [parameter.requires_grad for parameter in model.parameters()]
        [False, False, True, True]
    """
    modules = dict(model.named_modules())
    # Every name is looked up before anything changes; an unknown one raises here.
    below = {parameter for name in names for parameter in modules[name].parameters()}
    became = [name for name, p in model.named_parameters() if p in below and p.requires_grad]
    for parameter in below:
        parameter.requires_grad_(False)
        parameter.grad = None
    return tuple(became)


def challenge(rng: Generator) -> Challenge:
    body, head = (str(rng.choice(names)) for names in (BODIES, HEADS))
    layer, last = f"{body}.layer{rng.integers(1, 10)}", {head: ["Linear", 3, 1]}
    flat = {layer: ["Linear", 2, 2], f"{layer}0": ["Linear", 2, 2], **last}
    deep = {f"{body}.block.dense": ["Linear", 2, 3], f"{body}.norm": ["BatchNorm1d", 3], **last}
    deep |= {f"{body}.gain": ["Parameter", 2], "scale": ["Parameter"]}
    again, before = {**last, f"old.{head}": last[head]}, [f"{body}.norm.weight", f"{head}.bias"]
    tied = {"embed": ["Embedding", 4, 3], head: ["Linear", 3, 4]}

    def of(kind: str, layers: Layers, *names: str, **more: Any) -> Inputs:
        return case(rng, layers, kind=kind, names=list(names), **more)

    return {
        "two layers of several": of("layer", flat, layer, head),
        "layers alike, all ones": of("layer", flat, layer, fills=1),
        "a name that occurs again deeper down": of("layer", again, head),
        "children of children": of("deep", deep, body),
        "a path below another path": of("deep", deep, f"{body}.block", body),
        "the whole model": of("deep", deep, ""),
        "some parameters frozen before": of("deep", deep, body, frozen=before),
        "tied weights": of("deep", tied, head, tied=[["embed.weight", f"{head}.weight"]]),
        "a module without parameters": of("none", {**last, "squash": ["Tanh"]}, "squash"),
        "no names": of("none", last),
        "an unknown name after a known one": of("refused", flat, head, f"{layer}1"),
        "an unknown name before a known one": of("refused", flat, f"{layer}1", head),
        "the name of a parameter": of("refused", last, f"{head}.bias"),
    }


def observe(candidate: Candidate, inputs: Inputs) -> Evidence:
    model, kind, names = built(inputs), inputs["kind"], tuple(inputs["names"])
    give_gradients(model, inputs["seed"])
    before, parameters = snapshot(model), dict(model.named_parameters())
    if kind == "refused":
        due: Any = {"fitting": KeyError, "naming": {*names} - dict(model.named_modules()).keys()}
        answer = {"ending": refusal(candidate, model, names, returned=lambda _: "names", **due)}
    else:
        answer = {"returned": by_first_names(model, candidate(model, names))}
    now, shown = changed(before, model), ("requires_grad of", "gradient of")
    return {
        "kind": kind,
        **answer,
        "frozen": {name: not p.requires_grad for name, p in model.named_parameters()},
        "gradients": gradients_now(before, model),
        "changed": [what for what in now if not what.startswith(shown)],
        "replaced": [n for n, p in model.named_parameters() if p is not parameters.get(n)],
    }


def _frozen(evidence: Evidence) -> list[str]:
    return [name for name, is_frozen in evidence["frozen"].items() if is_frozen]


def _freezes(seen: Evidence, expected: Evidence) -> Finding:
    left = [name for name in expected["returned"] if not seen["frozen"][name]]
    return not left, f"still trainable: {listed(left)}"


answered, refusing = of_kind("layer", "deep", "none"), of_kind("refused")


@claim(2, "What is it that has the flag, and where do you set it?", of_kind("layer"))
def freezes_the_layer(seen: Evidence, expected: Evidence) -> Finding:
    """The parameters of a named layer are frozen afterwards."""
    return _freezes(seen, expected)


@claim(2, "Which parameters does the module reach?", of_kind("deep"), freezes_the_layer)
def freezes_what_lies_below(seen: Evidence, expected: Evidence) -> Finding:
    """Every parameter below a named module is frozen afterwards, however deep and if tied, too."""
    return _freezes(seen, expected)


@claim(2, "By what does your code tell that a parameter is meant?", answered, freezes_the_layer)
def changes_no_other_flag(seen: Evidence, expected: Evidence) -> Finding:
    """Every other parameter is as trainable or as frozen as it was before."""
    due = _frozen(expected)
    fewer = [n for n in due if n not in expected["returned"] and not seen["frozen"][n]]
    if fewer:
        return False, f"frozen before, trainable now: {listed(fewer)}"
    more = [name for name in _frozen(seen) if name not in due]
    return not more, f"frozen as well: {listed(more)}"


@claim(2, "What tells what became frozen from what already was?", answered, freezes_the_layer)
def returns_what_became_frozen(seen: Evidence, expected: Evidence) -> Finding:
    """The answer names the parameters that became frozen in this call, no name twice."""
    return seen["returned"] == expected["returned"], f"you return {listed(seen['returned'])}"


@claim(2, "What would an optimizer do with the gradients that are left?", needs=freezes_the_layer)
def clears_the_gradients_of_what_it_froze(seen: Evidence, expected: Evidence) -> Finding:
    """A parameter that became frozen holds no gradient (None); all other gradients stay."""
    states = seen["gradients"].items()
    words = [f"{name} ({now})" for name, now in states if now != expected["gradients"][name]]
    return not words, f"gradients that should be otherwise: {listed(words)}"


@claim(1, "Where do you look a name up before you use it?", refusing, freezes_the_layer)
def refuses_what_is_no_module(seen: Evidence, expected: Evidence) -> Finding:
    """A name that is not the path of a module raises a KeyError whose message holds the name."""
    return refused(seen["ending"])


@claim(1, "When do you check the last of the names?", refusing, freezes_the_layer)
def freezes_nothing_when_it_refuses(seen: Evidence, expected: Evidence) -> Finding:
    """Where a name is refused, nothing has been frozen."""
    return not _frozen(seen), f"frozen after the call: {listed(_frozen(seen))}"


@claim(1, "Which line of yours touches more than flags?", needs=freezes_the_layer)
def leaves_values_and_modes(seen: Evidence, expected: Evidence) -> Finding:
    """Values, buffers and train mode stay as they were, and each parameter is the same object."""
    odd = [*seen["changed"], *(f"{name} (another object)" for name in seen["replaced"])]
    return not odd, f"changed: {listed(odd)}"


def _below(model: nn.Module, names: Any, modules: Any, recurse: bool = True) -> Any:
    held = {p for module in modules for p in module.parameters(recurse)}
    return [(name, p) for name, p in model.named_parameters() if p in held]


def _nothing(thing: Any) -> None: ...


def frozen_below(
    model: nn.Module,
    names: Sequence[str],
    find: Part = lambda modules, names: list(map(modules.__getitem__, names)),
    meant: Part = _below,
    mark: Part = _nothing,
    freeze: Part = lambda parameter: parameter.requires_grad_(False),
    clear: Part = lambda parameter: setattr(parameter, "grad", None),
    other: Part = _nothing,
    told: Part = lambda model, named, became: became,
) -> tuple[str, ...]:
    """The right answer in parts."""
    modules = find(dict(model.named_modules()), names)
    named = dict(meant(model, names, modules))
    became = [name for name, parameter in named.items() if parameter.requires_grad]
    for module in modules:
        mark(module)
    for name, parameter in model.named_parameters():
        for act in (freeze, clear) if name in named else (other,):
            act(parameter)
    return tuple(told(model, named, became))


def _where(fits: Callable[[str, str], bool]) -> Part:
    """The parameters whose path fits one of the names."""
    return lambda model, names, modules: [
        (path, p) for path, p in model.named_parameters() if any(fits(path, name) for name in names)
    ]


CARELESS: dict[str, Part] = {  # looks no name up, keeps the gradients, returns all that is meant
    "find": lambda modules, names: [],
    "clear": _nothing,
    "told": lambda model, named, became: named,
}
NO_FREEZE: dict[str, Part] = {"freeze": _nothing, "clear": _nothing}
ON_MODULE = {**NO_FREEZE, "mark": lambda module: setattr(module, "requires_grad", False)}
WITHIN = (
    "A parameter is meant if its name contains the given one.",
    "layer1 is contained in layer10, and head in old.head. Names of that kind were frozen as well.",
    "Which names of parameters contain the path you were given, and are not below it?",
)
BEGINNING = (
    "What begins with a path lies below it.",
    "The name body.layer10.weight begins with body.layer1. A path ends at a dot.",
    "Which character follows the path in the name of each parameter that is meant?",
)
MODULE_FLAG = (
    "module.requires_grad = False freezes a module.",
    "It gives the module an attribute that nobody reads. No flag of a parameter changes.",
    "What is it that has a flag requires_grad, the module or something it holds?",
)
BEFORE = (
    "Whatever is frozen now became frozen now.",
    "Some of the parameters you name were frozen before the call.",
    "What must you look at before you set the first flag?",
)
believing = beliefs_about(frozen_below)
BELIEFS = (  # one that shows in two ways is there twice
    believing(*WITHIN, meant=_where(lambda path, name: name in path)),
    believing(*WITHIN, meant=_where(lambda path, name: name in path), **CARELESS),
    believing(*BEGINNING, meant=_where(str.startswith)),
    believing(*BEGINNING, meant=_where(str.startswith), **CARELESS),
    believing(
        "Each parameter has one name.",
        "A tied weight has two, and named_parameters() gives only the first. Below one layer "
        "lies a weight that it calls by its name in another.",
        "Whom could you ask for the parameters below a module, if not their names?",
        meant=_where(lambda path, name: path.startswith(f"{name}.")),
    ),
    believing(
        "What is not to be frozen is to be trained.",
        "Others had been frozen before, and your call set them free.",
        "Which parameters does your code give a value of requires_grad at all?",
        other=lambda parameter: parameter.requires_grad_(True),
    ),
    believing(*MODULE_FLAG, **ON_MODULE),
    believing(*MODULE_FLAG, **ON_MODULE, told=lambda model, named, became: []),
    believing(
        "eval() freezes a module.",
        "It changes how dropout and BatchNorm compute. Every parameter goes on learning.",
        "Which attribute of a parameter differs before and after eval()?",
        mark=nn.Module.eval,
        **NO_FREEZE,
    ),
    believing(
        "The parameters of a module are those that it holds itself.",
        "A container holds none itself. All of them lie in its children and theirs.",
        "What does the argument recurse of parameters() do?",
        meant=partial(_below, recurse=False),
    ),
    believing(
        *BEFORE,
        told=lambda model, named, became: [
            name for name, parameter in model.named_parameters() if not parameter.requires_grad
        ],
    ),
    believing(*BEFORE, told=lambda model, named, became: named),
    believing(
        "A name that matches nothing does no harm.",
        "A misspelt name freezes nothing, and the caller believes that it did.",
        "How would the caller learn of a spelling mistake?",
        find=lambda modules, names: [modules[name] for name in names if name in modules],
    ),
    believing(
        "A frozen parameter's old gradient does no harm.",
        "An optimizer asks for a gradient, not for a flag. It goes on stepping with the old one.",
        "What does optimizer.step() look at to decide whether it skips a parameter?",
        clear=_nothing,
    ),
    believing(
        "A gradient of zeros is no gradient.",
        "Zeros take part in a step: momentum rolls on and weight decay shrinks the weight.",
        "Which value of p.grad makes an optimizer skip p?",
        clear=lambda parameter: parameter.grad is None or parameter.grad.zero_(),
    ),
)


@belief(
    "A call that raises leaves everything as it was.",
    "Python undoes nothing. What came before the unknown name was frozen by then.",
    "What could you find out about all the names before you change anything?",
)
def freeze_until_it_fails(model: nn.Module, names: Sequence[str]) -> tuple[str, ...]:
    return tuple(became for name in names for became in frozen_below(model, (name,)))


EXERCISE = Exercise(
    reference=freeze_by_path,
    challenge=challenge,
    observe=observe,
    hints=(
        "Print dict(model.named_modules()). What are its keys, and which of your names are there?",
        "A module knows the parameters below it: module.parameters() goes through all children. "
        "It gives the parameters themselves, so tied weights need no second name.",
        "Check all names first. Then note which of those parameters are trainable. Only then set "
        "requires_grad to False and grad to None.",
    ),
    lesson="04_explicit_freezing",
    section="How to prove a freeze",
    frameworks=("torch",),
    minutes=15,
    difficulty=4,
    note="A BatchNorm below a frozen path still updates its running statistics when it is run in "
    "train mode. They are buffers, and no flag holds a buffer.",
)
