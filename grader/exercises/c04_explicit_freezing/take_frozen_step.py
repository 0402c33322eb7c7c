"""A training step in torch that keeps the middle of a network where it is.

The optimizer is warm and the gradients of its last step are still there when the first of five
frozen steps comes. What counts is what moved over the five, by how much, and what moves after them.
"""

from typing import Any

import torch
from numpy.random import Generator
from torch import nn
from torch.optim import Optimizer

from grader.instruments import twins
from grader.instruments.moves import drift, told
from grader.instruments.torch_cases import case
from grader.instruments.torch_nets import Layers
from grader.instruments.warm_steps import batch, observed_steps, twins_case
from grader.instruments.words import listed
from grader.judging.evidence import alike
from grader.judging.exercise import Exercise, beliefs_about, claim
from grader.judging.terms import Challenge, Evidence, Finding, Inputs, Part


def take_frozen_step(below, frozen, above, optimizer, x, loss):
    """Take one training step that leaves the middle of a network exactly where it is.

    The network is ``above(frozen(below(x)))``. The optimizer has trained all three parts for some
    steps; its averages are warm, and gradients of its last step may still be there. From now on the
    middle is frozen, and your function is called for one step after another.

    Args:
        below, frozen, above: three ``torch.nn.Module``, in train mode at first.
        optimizer: the optimizer of all their parameters, in one group. It goes on being used.
        x: input of ``below``.
        loss: function from the output of ``above`` to a scalar tensor.

    Returns:
        None. Afterwards all parameters and buffers of ``frozen`` hold the same bits as before.
        ``below`` and ``above``, buffers included, are where one plain step of this optimizer takes
        them: in train mode, on the gradient of this loss alone, with the whole of ``frozen`` in
        eval mode. Flags, gradients and mode of ``frozen`` are yours to change. The optimizer still
        holds every parameter and its averages: whoever thaws ``frozen`` can go on with them.

    Example:
        >>> net = nn.Sequential(*(nn.Linear(1, 1, bias=False) for _ in range(3)))
        >>> for layer in net:
        ...     layer.weight.data = torch.ones(1, 1)
        >>> optimizer = torch.optim.SGD(net.parameters(), lr=0.5)
        >>> take_frozen_step(*net, optimizer, torch.ones(1, 1), torch.sum)
        >>> [layer.weight.item() for layer in net]
        [0.5, 1.0, 0.5]
    """
    frozen.requires_grad_(False)
    frozen.eval()
    optimizer.zero_grad()  # every gradient is None now, the old ones of `frozen` too
    loss(above(frozen(below(x)))).backward()
    optimizer.step()


DENSE = {
    "below.dense{0}": ["Linear", 3, 4],
    "below.bend": ["LeakyReLU", 0.5],
    "frozen.dense{1}": ["Linear", 4, 4],
    "frozen.bend": ["LeakyReLU", 0.5],
    "above.dense{2}": ["Linear", 4, 2],
}
NORMED = {
    "below.dense{0}": ["Linear", 3, 4, False],
    "below.norm{0}": ["BatchNorm1d", 4],
    "frozen.dense{1}": ["Linear", 4, 4, False],
    "frozen.norm{1}": ["BatchNorm1d", 4],
    "frozen.drop": ["Dropout", 0.5],
    "above.bend": ["LeakyReLU", 0.5],
    "above.norm{2}": ["BatchNorm1d", 4],
    "above.dense{2}": ["Linear", 4, 2],
}


def challenge(rng: Generator) -> Challenge:
    run = twins.warm_run(rng)

    def drawn(layers: Layers, optimizer: str, **settings: float) -> Inputs:
        digits = rng.integers(1, 10, 3)
        model = case(rng, {path.format(*digits): layer for path, layer in layers.items()})
        warmup, steps = ([batch(rng) for _ in range(count)] for count in (3, 5))
        how = {"optimizer": optimizer, "settings": settings}
        return {**model, "warmup": warmup, "steps": steps, **how}

    decay = float(rng.uniform(0.1, 0.2))
    return {
        twins.CASE: twins_case(run),
        "learning through the middle": drawn(DENSE, "AdamW", lr=0.02, weight_decay=decay),
        "BatchNorm in all three parts, dropout in the middle": drawn(
            NORMED, "SGD", lr=0.01, momentum=0.9, weight_decay=decay
        ),
    }


def _has_buffers(expected: Evidence) -> bool:
    return bool(expected["buffers moved"])


@claim(4, "What is in .grad of the middle when step() is called?")
def keeps_the_parameters(seen: Evidence, expected: Evidence) -> Finding:
    """While the rest learns for five steps, no parameter of the frozen part moves by a bit."""
    return _still(seen, "parameters moved")


@claim(2, "In which mode does BatchNorm update its statistics?", _has_buffers)
def keeps_the_buffers(seen: Evidence, expected: Evidence) -> Finding:
    """While the rest learns for five steps, BatchNorm in the frozen part keeps its statistics."""
    return _still(seen, "buffers moved")


@claim(2, "By which way does the gradient reach `below`?")
def lets_the_layers_below_learn(seen: Evidence, expected: Evidence) -> Finding:
    """The gradient passes through the frozen part, so that the part below it goes on learning."""
    moved = {name: by for name, by in seen["parameters moved"].items() if name.startswith("below.")}
    still = [name for name, by in moved.items() if by == 0]
    return not still, f"not moved at all: {listed(still)}"


@claim(3, "Which gradients, averages and modes do you step with?")
def trains_the_rest_as_ever(seen: Evidence, expected: Evidence) -> Finding:
    """The parts below and above end where five plain steps of this optimizer take them."""
    ends, right = seen["after"], expected["after"]
    astray = [name for name in right if not alike(ends[name], right[name])]
    return not astray, f"off from where plain steps lead: {told(drift(right, ends), astray[:3])}"


@claim(2, "What did you change in the optimizer for good?", needs=lets_the_layers_below_learn)
def leaves_the_optimizer_whole(seen: Evidence, expected: Evidence) -> Finding:
    """Once the middle is trainable again, the same optimizer goes on with all it had of it."""
    left = [name for name in expected["moved later"] if name not in seen["moved later"]]
    words = f"in a later step of everything these stay: {listed(left)}"
    return not (left or seen["forgotten"]), f"{words}; forgotten: {listed(seen['forgotten'])}"


def _still(seen: Evidence, kind: str) -> Finding:
    """Whether the frozen part kept still while anything else moved, and what moved how far."""
    if not any(by != 0 for by in seen["parameters moved"].values()):
        return False, "nothing moved in any of the three parts"
    moved = [name for name, by in seen[kind].items() if by != 0 and name.startswith("frozen.")]
    return not moved, f"moved in the frozen part: {told(seen[kind], moved)}"


def _nothing(*arguments: Any) -> None:
    """A part that is left out."""


def stepped(
    *given: Any,
    first: Part = _nothing,
    set_flags: Part = lambda frozen: frozen.requires_grad_(False),
    set_modes: Part = lambda frozen: frozen.eval(),
    to_use: Part = lambda optimizer, below, above: optimizer,
    clear: Part = lambda optimizer: optimizer.zero_grad(),
    through: Part = lambda frozen, hidden: frozen(hidden),
    after_backward: Part = _nothing,
    last: Part = _nothing,
) -> None:
    """The right answer in parts."""
    below, frozen, above, optimizer, x, loss = given
    whole = nn.Sequential(below, frozen, above)
    first(whole, x)
    set_flags(frozen)
    set_modes(frozen)
    optimizer = to_use(optimizer, below, above)
    clear(optimizer)
    loss(above(through(frozen, below(x)))).backward()
    after_backward(frozen)
    optimizer.step()
    last(whole, x, optimizer)


def _clear_to_zeros(optimizer: Optimizer) -> None:
    optimizer.zero_grad(set_to_none=False)


def _clear_now(whole: nn.Module, x: torch.Tensor, optimizer: Optimizer) -> None:
    optimizer.zero_grad()


@torch.no_grad()
def _unrecorded(frozen: nn.Module, hidden: torch.Tensor) -> torch.Tensor:
    return frozen(hidden)


def _with(**settings: Any) -> Part:
    """The optimizer with other settings from now on."""
    return lambda optimizer, *parts: optimizer.param_groups[0].update(settings) or optimizer


def _rebuilt(optimizer: Any, *parts: nn.Module) -> Optimizer:
    kept = ("lr", "betas", "eps", "momentum", "weight_decay")
    settings = {key: value for key, value in optimizer.param_groups[0].items() if key in kept}
    return type(optimizer)(nn.ModuleList(parts).parameters(), **settings)


SKIPS = (
    "The optimizer skips what has requires_grad=False.",
    "It skips what has no gradient. The gradients of the step before were still there at "
    "your first step; they moved the frozen part, and the rest took them in once more.",
    "At which moment of your first step are the old gradients taken away?",
)
ZEROS = (
    "A gradient of zeros moves nothing.",
    "The optimizer takes a step with it. Weight decay shrinks the weights; without any, the "
    "averages of a warm optimizer outlive the gradient and still point somewhere.",
    "Which value of .grad makes the optimizer pass a parameter over?",
)
CUT_OFF = (
    "To freeze a layer is to run it under no_grad, or to detach what goes in or comes out.",
    "That cuts the way back to all that lies below, so the part below got no gradient. Nor does it "
    "hold what needs no gradient: BatchNorm in train mode updates its statistics all the same.",
    "The gradient of `below` is a product of factors. Which of them does `frozen` give?",
)
MODES = (
    "A layer whose parameters are frozen is frozen.",
    "The middle, or some module in it, ran in train mode: eval() was not called for it, or train() "
    "came later. Then each pass moves the running statistics of BatchNorm, which are buffers, and "
    "dropout makes another function of the middle at each step; the rest was trained on that.",
    "Which modules of `frozen` have an attribute training, and what is it in each when x runs "
    "through them?",
)
LOOKING = (
    "Looking at the loss changes nothing.",
    "x went through the network once more than the step needs. In train mode each pass moves the "
    "running statistics of BatchNorm, so those of `below` moved twice in each step.",
    "Which value that your step computes anyway could you look at?",
)
believing = beliefs_about(stepped)
BELIEFS = (  # one that shows in two ways is there twice
    believing(*SKIPS, clear=_nothing, last=_clear_now),
    believing(*SKIPS, clear=_nothing, last=_clear_now, set_modes=_nothing),
    believing(
        "backward() puts new gradients in place of the old ones.",
        "It adds to them. The frozen part was moved by its last gradient again and again, and "
        "in the rest the gradients piled up.",
        "What does .grad hold after two calls of backward() in a row?",
        clear=_nothing,
    ),
    believing(*ZEROS, clear=_clear_to_zeros),
    believing(*ZEROS, clear=_clear_to_zeros, to_use=_with(weight_decay=0.0)),
    believing(
        "requires_grad=False takes effect wherever in the step it is set.",
        "It decides what backward() will compute. After backward() the gradient is there, and "
        "your first step used it.",
        "Which call reads the flag, and when in your step does it run?",
        set_flags=_nothing,
        after_backward=lambda frozen: frozen.requires_grad_(False),
    ),
    believing(*CUT_OFF, set_flags=_nothing, through=_unrecorded),
    believing(*CUT_OFF, set_flags=_nothing, through=_unrecorded, set_modes=_nothing),
    believing(
        "eval(), a flag set on the module itself, or detach() holds a layer's parameters still.",
        "The parameters still got gradients and moved. eval() changes how BatchNorm and dropout "
        "compute. module.requires_grad = False adds an attribute that nobody reads. p.detach() is "
        "p in the same memory, not a copy that one could go back to.",
        "What do you have to tell a parameter, so that no gradient is computed for it?",
        set_flags=_nothing,
    ),
    believing(*MODES, set_modes=_nothing),
    believing(
        *MODES,
        set_modes=lambda frozen: [
            module.train(not isinstance(module, nn.BatchNorm1d)) for module in frozen.modules()
        ],
    ),
    believing(*LOOKING, first=lambda whole, x: whole(x)),
    believing(*LOOKING, first=lambda whole, x: (whole[1].eval(), whole(x))),
    believing(*LOOKING, last=lambda whole, x, optimizer: whole(x)),
    believing(
        "With a frozen part in it, the whole network belongs in eval mode.",
        "The BatchNorm of the trainable parts then stops following its data, and its layers are "
        "trained on another function.",
        "Which of the three parts should go on updating its running statistics?",
        first=lambda whole, x: whole.eval(),
    ),
    believing(
        "A learning rate of zero freezes the part that is meant.",
        "All three parts are in one group, so it stopped all three, and it stays zero for "
        "whoever uses the optimizer next.",
        "Which parameters does a group's learning rate apply to?",
        to_use=_with(lr=0.0),
    ),
    believing(
        "An optimizer can be rebuilt at any time; its settings are all it knows.",
        "A new one starts with empty averages, at every step again. The trainable parts took "
        "other steps than theirs.",
        "Where does an optimizer keep its averages, and what is there in a new one?",
        to_use=_rebuilt,
    ),
    believing(
        "Raising requires_grad again is enough to go on training a part.",
        "You took the part out of the optimizer. It gets gradients later on, and nobody takes "
        "a step with them.",
        "How would the optimizer learn that a parameter is to be trained again?",
        to_use=lambda optimizer, *kept: _with(params=[*nn.ModuleList(kept).parameters()])(
            optimizer
        ),
    ),
)

EXERCISE = Exercise(
    reference=take_frozen_step,
    challenge=challenge,
    observe=observed_steps,
    hints=(
        "Before step(), print for each parameter of `frozen` whether its .grad is None. Do it in "
        "the first step, too.",
        "optimizer.step() passes over a parameter only if its .grad is None. So two things are "
        "needed: no new gradient, and no old one.",
        "The gradient has to pass through `frozen` to reach `below`. Mark the parameters of "
        "`frozen`, not the tensors that run through it. Its buffers are another matter: see the "
        "lesson's section on BatchNorm.",
        "Flags and eval mode of `frozen`; then all gradients to None; then backward() and step().",
    ),
    lesson="04_explicit_freezing",
    section="What still moves a frozen layer",
    frameworks=("torch",),
    minutes=20,
    difficulty=4,
    twin="freeze_with_labels",
    note="zero_grad() sets gradients to None since PyTorch 2.0; before, it filled them with zeros, "
    "and this step moved the frozen part. A later model.train() puts the frozen BatchNorm back "
    "into train mode: call eval() at each step, as here, or override train().",
)
