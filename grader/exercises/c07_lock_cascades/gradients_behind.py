"""Measure which gradients a silent module makes zero, in any torch model, and leave no trace."""

from collections.abc import Iterable
from copy import deepcopy
from typing import Any

import torch
from numpy.random import Generator
from torch import Tensor, nn
from torch.nn import functional as F

from grader.instruments.layer_graphs import NAMES, among, names_as_expected
from grader.instruments.snapshots import changed, snapshot
from grader.instruments.torch_cases import built, case
from grader.instruments.torch_nets import texts
from grader.instruments.words import listed
from grader.judging.exercise import Exercise, beliefs_about, claim, of_kind
from grader.judging.terms import Candidate, Challenge, Evidence, Finding, Inputs, Part


def gradients_behind(model, silent, inputs, targets):
    """Name the parameters whose gradient is exactly zero while a module is silent.

    While it is silent, what the module puts out is multiplied by 0, and its weights stay. The loss
    is ``F.cross_entropy(model(inputs), targets)``, with each module in the mode in which it is.

    Args:
        model: a ``torch.nn.Module`` on the CPU. It comes through unharmed: its numbers, buffers,
            flags, modes, hooks, and the gradients that it had, if it had any.
        silent: path of the module to be silent, as in ``model.named_modules()``: ``"body.first"``.
            What it puts out is one tensor.
        inputs: tensor, shape (samples, features).
        targets: tensor of class indices, shape (samples,).

    Returns:
        List of names, as in ``model.named_parameters()``, in any order: of the parameters whose
        gradient is 0 in every entry. A parameter that gets no gradient at all, because it is
        frozen or because the loss does not depend on it, is not named.

    Example:
        >>> model = nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1), nn.Linear(1, 2))
        >>> for p in model.parameters():
        ...     p = nn.init.ones_(p)
        >>> gradients_behind(model, "1", torch.ones(1, 1), torch.tensor([0]))
        ['0.weight', '0.bias', '1.weight', '1.bias', '2.weight']
    """
    twin = deepcopy(model)  # a copy of a parameter has no gradient
    twin.get_submodule(silent).register_forward_hook(lambda module, args, output: output * 0)
    F.cross_entropy(twin(inputs), targets).backward()
    gradients = {name: parameter.grad for name, parameter in twin.named_parameters()}
    return [name for name, g in gradients.items() if g is not None and not g.any()]


class Block(nn.Sequential):
    """What its layers make of the input is added to the input."""

    def forward(self, x: Tensor) -> Tensor:
        return x + super().forward(x)


def challenge(rng: Generator) -> Challenge:
    body, within, head = (str(name) for name in rng.choice(NAMES, 3, replace=False))
    a, classes = (int(size) for size in rng.integers((3, 3), (6, 6)))
    b, c = a + int(rng.integers(2, 4)), a + int(rng.integers(5, 7))
    plain = {"kind": "plain", "blocks": [], "scaled": [], "features": a, "classes": classes}

    def of(layers: dict[str, Any], frozen: Iterable[str] = (), **special: Any) -> Inputs:
        return case(rng, layers, frozen, **{**plain, **special}, samples=a + 3)

    inner = f"{body}.{within}"
    deep = {
        f"{inner}.first": ["Linear", a, b],
        f"{inner}.squash": ["Tanh"],
        f"{inner}.second": ["Linear", b, b],
        f"{body}.third": ["Linear", b, c],
        f"{body}.squash": ["Tanh"],
        head: ["Linear", c, classes],
    }
    two = {f"{body}.first": ["Linear", 2, 1, False], f"{body}.one.in": ["Linear", 1, 1]}
    small = {"kind": "small", "silent": f"{inner}.first"}
    none = {"kind": "none", "silent": f"{body}.third"}
    now = {"kind": "now", "silent": f"{body}.squash"}
    bare = {**deep, f"{body}.third": ["Linear", b, c, False]}
    square = [f"{body}.{part}" for part in ("one", "two", "three")]
    around: dict[str, Any] = {"kind": "branch", "blocks": square[:1], "features": 2}
    around["silent"] = f"{square[0]}.in"
    blocks = {f"{path}.{name}": ["Linear", a, a] for path in square for name in ("in", "out")}
    blocks[head] = ["Linear", a, classes]
    normed = {**deep, f"{body}.norm": ["BatchNorm1d", c]}
    spare = {**deep, "spare": ["Parameter", b], f"{inner}.idle": ["Parameter", 2, b]}
    return {
        "a layer in the middle": of(deep, silent=f"{inner}.second"),
        "an activation": of(deep, silent=f"{inner}.squash"),
        "the last layer": of(deep, silent=head),
        "no bias after the silent layer": of(bare, silent=f"{inner}.second"),
        "a layer in one block of three": of(
            blocks, kind="branch", blocks=square, silent=f"{square[1]}.out"
        ),
        "gradients that add up to zero": of({**two, head: ["Linear", 1, classes]}, **around),
        "a whole block": of(blocks, kind="branch", blocks=square, silent=square[1]),
        "a frozen layer, a frozen bias": of(deep, [f"{inner}.first", f"{head}.bias"], **none),
        "parameters that nothing uses": of(spare, **none),
        "gradients of an earlier step": of(
            deep, silent=f"{inner}.second", kind="old", with_gradients=[body, head]
        ),
        "a single class": of({**deep, head: ["Linear", c, 1]}, silent=f"{inner}.second", classes=1),
        "gradients near 1e-20": of(deep, **small, scaled=[[head, 1e-20]]),
        "gradients near 1e-30": of(deep, **small, scaled=[[head, 1e-30]]),
        "one weight in two places": of(
            {**deep, f"{inner}.second_out": ["Linear", b, b]},
            silent=f"{inner}.second",
            tied=[[f"{inner}.second.weight", f"{inner}.second_out.weight"]],
        ),
        "BatchNorm after it, in train mode": of(normed, **now),
        "BatchNorm after it, in eval mode": of(normed, **now, in_eval_mode=[f"{body}.norm"]),
    }


def _model(inputs: Inputs) -> nn.Module:
    """The model of a case, small numbers in it, and a hook of its owner's at the silent module."""
    model = built(inputs)
    for path in inputs["blocks"]:
        model.get_submodule(path).__class__ = Block
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.div_(4)
        for path, factor in inputs["scaled"]:
            model.get_parameter(f"{path}.weight").mul_(factor)
    model.get_submodule(inputs["silent"]).register_forward_hook(lambda module, args, output: None)
    return model


def _hooks(model: nn.Module) -> dict[str, int]:
    """How many hooks there are at each module and parameter; a new forward counts as one."""
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    both = [*model.named_modules(), *model.named_parameters()]
    new = {name: m.forward != type(m).forward.__get__(m) for name, m in model.named_modules()}
    hooks = {
        name: [h for kind in kinds for h in getattr(it, kind, None) or ()] for name, it in both
    }
    return {name: len(found) + new.get(name, 0) for name, found in hooks.items()}


def observe(candidate: Candidate, inputs: Inputs) -> Evidence:
    model = _model(inputs)
    rng = torch.Generator().manual_seed(inputs["seed"])
    x = torch.randn(inputs["samples"], inputs["features"], generator=rng)
    x[:, 0] = -x[:, 1] if inputs["features"] == 2 else 0  # gradients add up to 0, or hold zeros
    y = torch.arange(inputs["samples"]) % inputs["classes"]
    before, hooks = snapshot(model), _hooks(model)
    returned = texts(candidate(model, inputs["silent"], x, y))
    hooked = [name for name, count in _hooks(model).items() if count != hooks.get(name)]
    return {
        "kind": inputs["kind"],
        **among(returned, [name for name, _ in model.named_parameters()]),
        "changed": changed(before, model) + [f"hooks of {name or 'the model'}" for name in hooked],
    }


@claim(3, "How do you make a module silent, and what of its gradients is left?", of_kind("plain"))
def names_exact_zeros(seen: Evidence, expected: Evidence) -> Finding:
    """Named are all parameters whose gradient is 0 in every entry, wherever they are."""
    return names_as_expected(seen, expected)


@claim(2, "Which way does a gradient take around the silent module?", of_kind("branch"))
def measures_the_ways_around(seen: Evidence, expected: Evidence) -> Finding:
    """Where a skip leads around the silent module, what lies before it is not named."""
    return names_as_expected(seen, expected)


@claim(2, "What is the gradient of a frozen parameter?", of_kind("none"), needs=names_exact_zeros)
def none_is_no_zero(seen: Evidence, expected: Evidence) -> Finding:
    """A parameter that gets no gradient at all is not named."""
    return names_as_expected(seen, expected)


@claim(1, "Below which number is a gradient zero?", of_kind("small"), names_exact_zeros)
def small_is_no_zero(seen: Evidence, expected: Evidence) -> Finding:
    """A gradient near 1e-20 or 1e-30 is not zero, and its parameter is not named."""
    return names_as_expected(seen, expected)


@claim(2, "In what state is the model you measure?", of_kind("old", "now"), names_exact_zeros)
def measures_this_model_now(seen: Evidence, expected: Evidence) -> Finding:
    """Each module is in the mode in which it was given, and an earlier step's gradients are out."""
    return names_as_expected(seen, expected)


@claim(2, "Which traces does a forward and a backward pass leave?", needs=names_exact_zeros)
def model_is_as_it_was(seen: Evidence, expected: Evidence) -> Finding:
    """The model is left as it was: numbers, buffers, flags, modes, gradients and hooks."""
    return not seen["changed"], f"changed: {listed(seen['changed'])}"


def _hooked(model: nn.Module, path: str, quiet: Part) -> Any:
    module = model.get_submodule(path)
    return module.register_forward_hook(lambda module, args, output: quiet(output))


def _is_zero(parameter: nn.Parameter) -> bool:
    return parameter.grad is not None and not parameter.grad.any()


def measured(
    model: nn.Module,
    silent: str,
    inputs: Tensor,
    targets: Tensor,
    copied: Part = deepcopy,
    cleared: Part = nn.Module.zero_grad,
    hush: Part = _hooked,
    quiet: Part = lambda output: output * 0,
    zero: Part = _is_zero,
    removed: Part = lambda handle: handle.remove(),
    after: Part = lambda model, before: None,
) -> list[str]:
    """The right answer in parts."""
    work = copied(model)
    before = [parameter.grad for parameter in work.parameters()]
    cleared(work)
    handle = hush(work, silent, quiet)
    F.cross_entropy(work(inputs), targets).backward()
    removed(handle)
    found = [name for name, parameter in work.named_parameters() if zero(parameter)]
    after(work, before)
    return found


def _with_gradients(model: nn.Module) -> nn.Module:
    twin = deepcopy(model)
    for parameter, own in zip(twin.parameters(), model.parameters(), strict=True):
        parameter.grad = None if own.grad is None else own.grad.clone()
    return twin


def _given_back(model: nn.Module, before: Iterable[Tensor | None]) -> None:
    for parameter, gradient in zip(model.parameters(), before, strict=True):
        parameter.grad = gradient


def _weights_zeroed(model: nn.Module, path: str, quiet: Part) -> Any:
    for parameter in model.get_submodule(path).parameters():
        parameter.data.zero_()
    return _hooked(model, path, lambda output: output)


believing = beliefs_about(measured)
BELIEFS = (
    believing(
        "A measurement leaves no trace once its hook is off.",
        "backward() has put gradients into the model, and an optimizer's next step would use them.",
        "What is in p.grad after your measurement, and what was there before?",
        copied=lambda model: model,
    ),
    believing(
        "zero_grad() makes a model as it was.",
        "It throws away the gradients that were there before the measurement.",
        "What did the owner of the model have in p.grad, and where is it now?",
        copied=lambda model: model,
        after=lambda model, before: model.zero_grad(),
    ),
    believing(
        "A forward pass changes nothing in a model.",
        "In train mode each pass moves the running statistics of BatchNorm.",
        "Which buffers does the model have, and what do they count?",
        copied=lambda model: model,
        after=_given_back,
    ),
    believing(
        "A hook is gone when the function that set it returns.",
        "It stays at the module. The model of your caller is silent from now on.",
        "What does the model put out the next time it is called?",
        copied=lambda model: model,
        after=_given_back,
        removed=lambda handle: None,
    ),
    believing(
        "A module with weights of 0 is a silent one.",
        "It puts out zeros as well, but its own weights and bias get a gradient: it opens in one "
        "step. And a module without weights stays as loud as it was.",
        "Which factor of the weight's own gradient have you made zero?",
        hush=_weights_zeroed,
    ),
    believing(
        "A new tensor of zeros is as good as a product with 0.",
        "It knows nothing of what it replaces: the path is cut, and what lies behind gets None.",
        "What is p.grad of a parameter that the loss does not depend on?",
        quiet=torch.zeros_like,
    ),
    believing(
        "No gradient is a gradient of zero.",
        "None means that nothing was computed: the parameter is frozen or out of reach.",
        "Which locks show as None, and which as zeros?",
        zero=lambda parameter: parameter.grad is None or not parameter.grad.any(),
    ),
    believing(
        "A gradient below 1e-8 is zero.",
        "A small loss or a small weight makes small gradients, and they move what they reach.",
        "What would become of your gradients if the loss were multiplied by 1e20?",
        zero=lambda parameter: parameter.grad is not None and parameter.grad.abs().max() < 1e-8,
    ),
    believing(
        "backward() writes its gradients over the old ones.",
        "It adds to them. What an earlier step has left is in your sum.",
        "What was in p.grad before your backward()?",
        copied=_with_gradients,
        cleared=lambda model: None,
    ),
)

EXERCISE = Exercise(
    reference=gradients_behind,
    challenge=challenge,
    observe=observe,
    hints=(
        "model.get_submodule(path).register_forward_hook(hook) calls hook(module, args, output), "
        "and what that returns takes the place of the output.",
        "What does a forward, and what a backward pass change in a model that is in train mode?",
        "copy.deepcopy(model) is a model of its own. After backward(), which two things can be in "
        "p.grad of a parameter that does not learn?",
    ),
    lesson="07_lock_cascades",
    section="What goes backward",
    frameworks=("torch",),
    minutes=15,
    difficulty=3,
    note="A copy costs memory. For a large model, put back what the passes have changed instead.",
)
