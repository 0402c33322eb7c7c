"""Freeze modules of a torch model by their exact paths.

What the call did is read off the model: every flag, every gradient, every value, every mode.
"""

import numpy as np
import torch

from grader.exercise import Claim, Exercise, Misconception, attempt
from grader.torch_nets import BODIES, HEADS, give_gradients, net, texts


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
        names: tuple of module paths, as ``model.named_modules()`` spells them; may be empty.

    Returns:
        Tuple of the names of the parameters that were trainable before and are frozen now, no name
        twice, in any order. A tied parameter goes by any one of its names, or by several.

    Raises:
        KeyError: a name is not the path of a module; a parameter's name is not. The message
            holds the name, and nothing has been frozen.
    """
    modules = dict(model.named_modules())
    # Every name is looked up before anything changes; an unknown one raises here.
    below = {parameter for name in names for parameter in modules[name].parameters()}
    became = [name for name, p in model.named_parameters() if p in below and p.requires_grad]
    for parameter in below:
        parameter.requires_grad_(False)
        parameter.grad = None
    return tuple(became)


BODY = {"{body}.layer{k}": ["Linear", 2, 2], "{body}.layer{k}0": ["Linear", 2, 2]}
NORM = {"{body}.block.dense": ["Linear", 2, 3], "{body}.norm": ["BatchNorm1d", 3]}
HEAD = {"{head}": ["Linear", 3, 1]}
OLD_HEAD = {"old.{head}": ["Linear", 3, 1]}
TIED = {"embed": ["Embedding", 4, 3], "{head}": ["Linear", 3, 4]}


def challenge(rng):
    def case(layers, names, frozen=(), tied=(), unknown=""):
        drawn = {"body": rng.choice(BODIES), "head": rng.choice(HEADS), "k": rng.integers(1, 10)}
        return {
            "layers": {path.format(**drawn): list(layer) for path, layer in layers.items()},
            "names": [name.format(**drawn) for name in names],
            "frozen": [name.format(**drawn) for name in frozen],
            "tied": [[name.format(**drawn) for name in pair] for pair in tied],
            "unknown": unknown.format(**drawn),
            "seed": int(rng.integers(1000)),
        }

    before = ("{body}.norm.weight", "{head}.bias")
    return {
        "one layer of several": case({**BODY, **HEAD}, ["{body}.layer{k}"]),
        "a name that occurs again deeper down": case({**HEAD, **OLD_HEAD}, ["{head}"]),
        "children of children": case({**NORM, **HEAD}, ["{body}"]),
        "a path below another path": case({**NORM, **HEAD}, ["{body}.block", "{body}"]),
        "some parameters frozen before": case({**NORM, **HEAD}, ["{body}"], frozen=before),
        "tied weights": case(TIED, ["{head}"], tied=[["embed.weight", "{head}.weight"]]),
        "a module without parameters": case({**HEAD, "squash": ["Tanh"]}, ["squash"]),
        "no names": case(HEAD, []),
        "an unknown name after a known one": case(
            {**BODY, **HEAD}, ["{head}", "{body}.layer{k}1"], unknown="{body}.layer{k}1"
        ),
        "the name of a parameter": case(HEAD, ["{head}.bias"], unknown="{head}.bias"),
    }


def observe(candidate, inputs):
    model = net(inputs["layers"], inputs["seed"], inputs["tied"])
    for name in inputs["frozen"]:
        model.get_parameter(name).requires_grad_(False)
    give_gradients(model, inputs["seed"])
    values, gradients = _values(model), _gradients(model)
    returned, refusal = _called(candidate, model, tuple(inputs["names"]), inputs["unknown"])
    return {
        "returned": _by_first_name(model, returned),
        "frozen": sorted(name for name, p in model.named_parameters() if not p.requires_grad),
        "gradients": {
            name: _gradient_now(p, gradients.get(name)) for name, p in model.named_parameters()
        },
        "changed values": sorted(_changed(values, _values(model))),
        "eval mode": not all(module.training for module in model.modules()),
        **refusal,
    }


def _called(candidate, model, names, unknown):
    """What came back, and of an error that had to come what the caller is told."""
    returned, error = attempt(candidate, model, names)
    if error and not unknown:
        raise error
    if error:
        kind = "KeyError" if isinstance(error, KeyError) else type(error).__name__
        return [], {"error": kind, "error names it": unknown in str(error)}
    return [] if unknown else returned, {"error": None, "error names it": False}


def _by_first_name(model, returned):
    """The returned names in order of the alphabet, a tied parameter by the first of its names."""
    names = texts(returned)
    if not isinstance(names, list):
        return names
    first = {id(p): name for name, p in model.named_parameters()}
    every = model.named_parameters(remove_duplicate=False)
    again = {name: first[id(p)] for name, p in every if first[id(p)] != name}
    return sorted(again.get(name, name) for name in names if again.get(name) not in names)


def _values(model):
    return {name: value.numpy().copy() for name, value in model.state_dict().items()}


def _changed(before, after):
    kept = before.keys() & after.keys()
    return (before.keys() ^ after.keys()) | {
        name for name in kept if not np.array_equal(before[name], after[name])
    }


def _gradients(model):
    held = ((name, p.grad) for name, p in model.named_parameters())
    return {name: grad.clone() for name, grad in held if grad is not None}


def _gradient_now(parameter, before):
    if parameter.grad is None:
        return "none"
    if before is not None and torch.equal(parameter.grad, before):
        return "as it was"
    return "other numbers" if parameter.grad.any() else "zeros"


def changes_no_other_flag(seen, expected):
    """Every other parameter is as trainable or as frozen as it was before."""
    if expected["error"]:
        return None
    more = [name for name in seen["frozen"] if name not in expected["frozen"]]
    others = set(expected["frozen"]) - set(expected["returned"])
    fewer = sorted(others - set(seen["frozen"]))
    if fewer:
        return False, f"frozen before, trainable now: {_listed(fewer)}"
    return not more, f"frozen as well: {_listed(more)}"


def freezes_what_lies_below(seen, expected):
    """Every parameter below a named module is frozen afterwards."""
    if not expected["returned"]:
        return None
    left = [name for name in expected["returned"] if name not in seen["frozen"]]
    return not left, f"still trainable: {_listed(left)}"


def returns_what_became_frozen(seen, expected):
    """The answer names the parameters that became frozen in this call, no name twice."""
    if expected["error"]:
        return None
    return seen["returned"] == expected["returned"], f"you return {_listed(seen['returned'])}"


def clears_the_gradients_of_what_it_froze(seen, expected):
    """A parameter that became frozen holds no gradient (None); all other gradients stay."""
    if expected["error"]:
        return None
    states = seen["gradients"].items()
    words = [f"{name} ({now})" for name, now in states if now != expected["gradients"][name]]
    return not words, f"gradients that should be otherwise: {_listed(words)}"


def refuses_what_is_no_module(seen, expected):
    """A name that is not the path of a module raises a KeyError whose message holds the name."""
    if not expected["error"]:
        return None
    if seen["error"] != "KeyError":
        return False, f"{seen['error'] or 'no error'} was raised"
    held = "holds" if seen["error names it"] else "does not hold"
    return seen["error names it"], f"the KeyError's message {held} the name"


def freezes_nothing_when_it_refuses(seen, expected):
    """Where a name is refused, nothing has been frozen."""
    if not expected["error"]:
        return None
    return not seen["frozen"], f"frozen after the call: {_listed(seen['frozen'])}"


def leaves_values_and_modes(seen, expected):
    """Values, buffers and train mode stay as they were."""
    if seen["eval mode"]:
        return False, "a module that was in train mode is in eval mode"
    return not seen["changed values"], f"changed: {_listed(seen['changed values'])}"


def _listed(names):
    return ", ".join(names) or "nothing"


def _checked(model, names):
    """The modules at these paths, all of them looked up before anything changes."""
    modules = dict(model.named_modules())
    return [modules[name] for name in names]


def _freeze(named, clear=True):
    """Freeze those of these (name, parameter) that are trainable; their names."""
    became = {name: p for name, p in named if p.requires_grad}
    for parameter in became.values():
        parameter.requires_grad_(False)
        parameter.grad = None if clear else parameter.grad
    return tuple(became)


def _below(model, modules):
    """Name and parameter of all that lies below these modules."""
    held = {p for module in modules for p in module.parameters()}
    return [(name, p) for name, p in model.named_parameters() if p in held]


def _freeze_where(model, meant, names):
    """Check the names, then freeze the parameters whose path is meant."""
    _checked(model, names)
    return _freeze((path, p) for path, p in model.named_parameters() if meant(path))


def _freeze_carelessly(model, meant):
    """Check no name, keep the gradients, return all that is meant."""
    named = {path: p for path, p in model.named_parameters() if meant(path)}
    for parameter in named.values():
        parameter.requires_grad_(False)
    return tuple(named)


def look_for_the_name_within(model, names):
    return _freeze_where(model, lambda path: any(name in path for name in names), names)


def look_for_the_name_within_and_no_further(model, names):
    return _freeze_carelessly(model, lambda path: any(name in path for name in names))


def look_at_how_the_path_begins(model, names):
    return _freeze_where(model, lambda path: path.startswith(names), names)


def look_at_how_the_path_begins_and_no_further(model, names):
    return _freeze_carelessly(model, lambda path: path.startswith(names))


def look_at_one_path_of_each(model, names):
    starts = tuple(f"{name}." for name in names)
    return _freeze_where(model, lambda path: path.startswith(starts), names)


def unfreeze_the_rest(model, names):
    below = dict(_below(model, _checked(model, names)))
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(parameter.requires_grad or name not in below)
    return _freeze(below.items())


def mark_the_module(model, names):
    modules = _checked(model, names)
    for module in modules:
        module.requires_grad = False
    return tuple(name for name, p in _below(model, modules) if p.requires_grad)


def mark_the_module_and_look(model, names):
    for module in _checked(model, names):
        module.requires_grad = False
    return ()


def switch_to_eval(model, names):
    modules = _checked(model, names)
    for module in modules:
        module.eval()
    return tuple(name for name, p in _below(model, modules) if p.requires_grad)


def take_the_layer_itself(model, names):
    own = {p for module in _checked(model, names) for p in module.parameters(recurse=False)}
    return _freeze((name, p) for name, p in model.named_parameters() if p in own)


def name_all_that_is_frozen(model, names):
    _freeze(_below(model, _checked(model, names)))
    return tuple(name for name, p in model.named_parameters() if not p.requires_grad)


def name_all_that_lies_below(model, names):
    below = _below(model, _checked(model, names))
    _freeze(below)
    return tuple(name for name, _ in below)


def pass_over_unknown_names(model, names):
    known = dict(model.named_modules())
    return _freeze(_below(model, [known[name] for name in names if name in known]))


def freeze_until_it_fails(model, names):
    became = []
    for name in names:
        became += _freeze(_below(model, _checked(model, [name])))
    return tuple(became)


def leave_the_gradients(model, names):
    return _freeze(_below(model, _checked(model, names)), clear=False)


def fill_the_gradients_with_zeros(model, names):
    below = _below(model, _checked(model, names))
    for _, parameter in below:
        if parameter.grad is not None:
            parameter.grad.zero_()
    return _freeze(below, clear=False)


# A belief that shows in two ways has a specimen for each.
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
    "It gives the module an attribute that nobody reads. The flags of its parameters stay as they "
    "were.",
    "What is it that has a flag requires_grad, the module or something it holds?",
)

EXERCISE = Exercise(
    reference=freeze_by_path,
    challenge=challenge,
    observe=observe,
    claims=(
        Claim(changes_no_other_flag, 2, "By what does your code tell that a parameter is meant?"),
        Claim(freezes_what_lies_below, 4, "Which parameters does the module at this path reach?"),
        Claim(
            returns_what_became_frozen,
            2,
            "What do you compare to tell what became frozen from what was frozen already?",
        ),
        Claim(
            clears_the_gradients_of_what_it_froze,
            2,
            "What would an optimizer do with each gradient that is there after your call?",
        ),
        Claim(refuses_what_is_no_module, 1, "Where do you look a name up before you use it?"),
        Claim(freezes_nothing_when_it_refuses, 1, "When do you check the last of the names?"),
        Claim(leaves_values_and_modes, 1, "Which line of yours touches more than flags?"),
    ),
    misconceptions=(
        Misconception(*WITHIN, specimen=look_for_the_name_within),
        Misconception(*WITHIN, specimen=look_for_the_name_within_and_no_further),
        Misconception(*BEGINNING, specimen=look_at_how_the_path_begins),
        Misconception(*BEGINNING, specimen=look_at_how_the_path_begins_and_no_further),
        Misconception(
            "Each parameter has one name.",
            "A tied weight has two, and named_parameters() gives only the first. Below one layer "
            "lies a weight that it calls by its name in another.",
            "Whom could you ask for the parameters below a module, if not their names?",
            look_at_one_path_of_each,
        ),
        Misconception(
            "What is not to be frozen is to be trained.",
            "Others had been frozen before, and your call set them free.",
            "Which parameters does your code give a value of requires_grad at all?",
            unfreeze_the_rest,
        ),
        Misconception(*MODULE_FLAG, specimen=mark_the_module),
        Misconception(*MODULE_FLAG, specimen=mark_the_module_and_look),
        Misconception(
            "eval() freezes a module.",
            "It changes how dropout and BatchNorm compute. Every parameter still gets a gradient "
            "and learns.",
            "Which attribute of a parameter differs before and after eval()?",
            switch_to_eval,
        ),
        Misconception(
            "The parameters of a module are those that it holds itself.",
            "A container holds none itself. All of them lie in its children and theirs.",
            "What does the argument recurse of parameters() do?",
            take_the_layer_itself,
        ),
        Misconception(
            "Whatever is frozen now became frozen now.",
            "Some of the parameters you name were frozen before the call.",
            "What must you look at before you set the first flag?",
            name_all_that_is_frozen,
        ),
        Misconception(
            "Whatever lies below the names became frozen now.",
            "Some of the parameters you name were frozen before the call.",
            "What must you look at before you set the first flag?",
            name_all_that_lies_below,
        ),
        Misconception(
            "A name that matches nothing does no harm.",
            "A misspelt name freezes nothing, and the caller believes that it did.",
            "How would the caller learn of a spelling mistake?",
            pass_over_unknown_names,
        ),
        Misconception(
            "A call that raises leaves everything as it was.",
            "Python undoes nothing. What came before the unknown name was frozen by then.",
            "What could you find out about all the names before you change anything?",
            freeze_until_it_fails,
        ),
        Misconception(
            "A frozen parameter's old gradient does no harm.",
            "An optimizer asks whether a gradient is there, not whether one is required. It goes "
            "on stepping with the old one.",
            "What does optimizer.step() look at to decide whether it skips a parameter?",
            leave_the_gradients,
        ),
        Misconception(
            "A gradient of zeros is no gradient.",
            "Zeros take part in a step: momentum rolls on and weight decay shrinks the weight.",
            "Which value of p.grad makes an optimizer skip p?",
            fill_the_gradients_with_zeros,
        ),
    ),
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
    note="A BatchNorm below a frozen path still updates its running statistics when it is run in "
    "train mode. They are buffers, and no flag holds a buffer.",
)
