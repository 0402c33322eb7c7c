"""Dead units that no step of gradient descent can wake (torch).

Which units are dead is settled by large biases, so that a case can say who is dead and who is not.
"""

import numpy as np
import torch
from torch import nn

from grader.instruments.dead_units import as_row, listed
from grader.judging.exercise import Claim, Exercise, Misconception


def dead_for_good(model, x):
    """Find the dead units that no training on this data can wake.

    A hidden unit is dead if ReLU's derivative is zero at its pre-activation on all samples. It is
    dead *for good* if, besides, its pre-activations cannot change, whatever the loss and however
    many steps of plain gradient descent are taken on ``x``. They cannot change if no layer below
    the unit's own can move. A layer cannot move if it is frozen, or if all units of a hidden
    layer, its own or one above it, are dead: then no gradient comes through.

    Args:
        model: ``nn.Sequential`` of Linear, ReLU, Linear, ReLU, …, Linear. A Linear is frozen if
            neither of its two parameters requires a gradient.
        x: all the data there is, shape (N, D).

    Returns:
        List with a bool tensor of shape (H,) for each hidden layer, from the input up: True for a
        unit that is dead for good. The model is left as it was.
    """
    linears = [module for module in model if isinstance(module, nn.Linear)][:-1]
    h, dead = x, []
    with torch.no_grad():
        for linear in linears:
            z = linear(h)
            dead.append((z <= 0).all(0))
            h = torch.relu(z)
    movable = [
        any(p.requires_grad for p in linear.parameters()) and not any(d.all() for d in dead[i:])
        for i, linear in enumerate(linears)
    ]
    return [d & (not any(movable[:i])) for i, d in enumerate(dead)]


WIDTH = 4
ALIVE, ONE_SAMPLE = "alive", "alive on one sample"
DEAD, AT_ZERO = "dead", "dead at exactly zero"
MIXED = (ALIVE, DEAD, ALIVE, DEAD)
BIAS = 50.0
"""Large against what the weights and inputs add to it: it alone decides who is dead."""


def challenge(rng):
    def case(*layers, frozen=(), zero_head=False):
        x = np.abs(rng.normal(size=(6, WIDTH)))
        x[:, 0] = [0, 0, 0, 0, 0, 1]  # the last sample alone wakes some units
        return {
            "units": [[str(unit) for unit in rng.permutation(layer)] for layer in layers],
            "frozen": list(frozen),
            "zero head": zero_head,
            "seed": int(rng.integers(1000)),
            "x": x.astype(np.float32),
        }

    first, second = ["0.weight", "0.bias"], ["2.weight", "2.bias"]
    all_dead, at_zero = [DEAD] * WIDTH, (ALIVE, DEAD, ALIVE, AT_ZERO)
    return {
        "all layers trainable": case((*MIXED[:3], ONE_SAMPLE), MIXED, MIXED),
        "the first layer frozen": case(MIXED, MIXED, MIXED, frozen=first),
        "the second layer frozen": case(MIXED, MIXED, MIXED, frozen=second),
        "the first and the second layer frozen": case(MIXED, MIXED, MIXED, frozen=first + second),
        "only the weight of the first layer frozen": case(MIXED, MIXED, frozen=first[:1]),
        "all units of the second of four layers dead": case(at_zero, all_dead, at_zero, MIXED),
        "all units of the last hidden layer dead": case(MIXED, MIXED, all_dead),
        "a head of zeros": case(MIXED, MIXED, MIXED, zero_head=True),
    }


def observe(candidate, inputs):
    model, x = _model(inputs), torch.from_numpy(inputs["x"])
    before = _state(model)
    returned, after = candidate(model, x), _state(model)
    return {
        "units": inputs["units"],
        "frozen": inputs["frozen"],
        "for good": _by_layer(returned),
        "changed": [what for what in before if after[what] != before[what]],
    }


@torch.no_grad()
def _model(inputs):
    """Small random weights, and a bias of 50 or -50 that makes each unit what it is to be."""
    rng, modules = np.random.default_rng(inputs["seed"]), []
    for units in inputs["units"]:
        modules += [_linear(rng, len(units)), nn.ReLU()]
        for i, unit in enumerate(units):
            modules[-2].bias[i] = BIAS if unit == ALIVE else -BIAS
            if unit == ONE_SAMPLE:
                modules[-2].weight[i] = torch.tensor([BIAS + 0.5, 0, 0, 0])
            if unit == AT_ZERO:
                modules[-2].weight[i] = modules[-2].bias[i] = 0
    head = _linear(rng, 2)
    if inputs["zero head"]:
        head.weight.zero_()
    model = nn.Sequential(*modules, head)
    for name in inputs["frozen"]:
        model.get_parameter(name).requires_grad_(False)
    return model


def _linear(rng, width):
    linear = nn.utils.skip_init(nn.Linear, WIDTH, width)
    for parameter in linear.parameters():
        parameter.copy_(torch.from_numpy(rng.normal(scale=0.02, size=parameter.shape)))
    return linear


def _by_layer(returned):
    """A returned list by the number of the layer; anything else as it is."""
    if not isinstance(returned, list | tuple):
        return returned
    return {f"hidden layer {i + 1}": as_row(row) for i, row in enumerate(returned)}


def _state(model):
    """Numbers, flags, gradients and modes of the model."""
    state = {f"mode of {name or 'the model'}": m.training for name, m in model.named_modules()}
    for name, parameter in model.named_parameters():
        gradient = parameter.grad
        state[name] = parameter.detach().numpy().tobytes()
        state[f"requires_grad of {name}"] = parameter.requires_grad
        state[f"gradient of {name}"] = None if gradient is None else gradient.numpy().tobytes()
    return state


def spares_the_living(seen, expected):
    """A unit that is alive on some sample is False."""
    return _compared(seen, expected, lambda layer, unit, right: not _is_dead(unit))


def first_layer_never_wakes(seen, expected):
    """A dead unit of the first hidden layer is True: nothing lies below it."""
    return _compared(seen, expected, lambda layer, unit, right: layer == 0 and _is_dead(unit))


def moving_inputs_may_wake(seen, expected):
    """A dead unit is False if some layer below it can move, however far below."""
    return _compared(seen, expected, lambda layer, unit, right: _is_dead(unit) and not right)


def frozen_inputs_never_wake(seen, expected):
    """A dead unit is True if all layers below it are frozen."""
    if not expected["frozen"]:
        return None
    return _compared(seen, expected, lambda layer, unit, right: layer > 0 and right)


def no_gradient_moves_nothing(seen, expected):
    """A dead unit is True if a hidden layer whose units are all dead stops whatever lies below."""
    if not any(all(map(_is_dead, units)) for units in expected["units"]):
        return None
    return _compared(seen, expected, lambda layer, unit, right: layer > 0 and right)


def leaves_the_model_alone(seen, expected):
    """The model is left as it was: its numbers, flags and modes, and no gradient stays in it."""
    return not seen["changed"], f"changed: {', '.join(seen['changed']) or 'nothing'}"


def _is_dead(unit):
    return unit in (DEAD, AT_ZERO)


def _compared(seen, expected, concerns):
    """Compare those units of which `concerns(layer, what the unit is, what is right)` is true."""
    ours, right = (list(evidence["for good"].values()) for evidence in (seen, expected))
    concerned = {
        layer: [i for i, unit in enumerate(units) if concerns(layer, unit, bool(right[layer][i]))]
        for layer, units in enumerate(expected["units"])
    }
    if not any(concerned.values()):
        return None
    off = {k: [i for i in units if ours[k][i] != right[k][i]] for k, units in concerned.items()}
    words = [f"{listed(units)} of hidden layer {k + 1}" for k, units in off.items() if units]
    said = next((bool(ours[k][i]) for k, units in off.items() for i in units), None)
    return not words, f"{said} for {', '.join(words)}" if words else "as expected"


def _dead(model, x):
    """The dead units of each hidden layer."""
    dead, h = [], x
    with torch.no_grad():
        for linear in list(model)[:-1:2]:
            z = linear(h)
            dead.append((z <= 0).all(0))
            h = torch.relu(z)
    return dead


def _frozen(model):
    """Whether each hidden Linear is frozen, weight and bias."""
    linears = list(model)[:-1:2]
    return [not any(p.requires_grad for p in linear.parameters()) for linear in linears]


def _where(dead, fixed):
    return [d & f for d, f in zip(dead, fixed, strict=True)]


def _all_before(flags):
    return [all(flags[:i]) for i in range(len(flags))]


def _no_gradient(dead, last_stopped=lambda i: i):
    """Whether no gradient reaches each layer, because a layer from it on upwards is all dead."""
    return [any(d.all() for d in dead[last_stopped(i) :]) for i in range(len(dead))]


def call_all_the_dead_dead_for_good(model, x):
    return _dead(model, x)


def trust_the_first_layer_only(model, x):
    dead = _dead(model, x)
    return _where(dead, [i == 0 for i in range(len(dead))])


def ask_the_own_layer(model, x):
    frozen = _frozen(model)
    return _where(_dead(model, x), [i == 0 or frozen[i] for i in range(len(frozen))])


def ask_the_layer_directly_below(model, x):
    dead = _dead(model, x)
    still = [a or b for a, b in zip(_frozen(model), _no_gradient(dead), strict=True)]
    return _where(dead, [i == 0 or still[i - 1] for i in range(len(dead))])


def look_at_the_flags_only(model, x):
    return _where(_dead(model, x), _all_before(_frozen(model)))


def look_at_the_weights_only(model, x):
    dead = _dead(model, x)
    frozen = [not linear.weight.requires_grad for linear in list(model)[:-1:2]]
    still = [a or b for a, b in zip(frozen, _no_gradient(dead), strict=True)]
    return _where(dead, _all_before(still))


def wake_all_above_a_dead_layer(model, x):
    dead, frozen = _dead(model, x), _frozen(model)
    stopped = _no_gradient(dead)
    fixed = [a or b for a, b in zip(_all_before(frozen), stopped, strict=True)]
    return _where(dead, fixed)


def ask_the_gradient_of_today(model, x):
    dead, linears = _dead(model, x), list(model)[:-1:2]
    still = []
    for linear in linears:
        own = [p for p in linear.parameters() if p.requires_grad]
        output = (model(x) * torch.tensor([1.0, -0.7])).sum()
        gradients = torch.autograd.grad(output, own) if own else []
        still.append(not any(g.any() for g in gradients))
    return _where(dead, _all_before(still))


def take_a_backward_pass_today(model, x):
    model(x).sum().backward()
    still = [
        not any(p.grad is not None and p.grad.any() for p in linear.parameters())
        for linear in list(model)[:-1:2]
    ]
    return _where(_dead(model, x), _all_before(still))


def forget_to_ask_who_is_dead(model, x):
    dead = _dead(model, x)
    still = [a or b for a, b in zip(_frozen(model), _no_gradient(dead), strict=True)]
    fixed = _all_before(still)
    return [torch.full_like(d, f) for d, f in zip(dead, fixed, strict=True)]


# A belief that shows in two ways has a specimen for each.
GRADIENT_OF_TODAY = (
    "A gradient of zero today is zero tomorrow.",
    "Under a head of zeros no gradient comes down in the first step. The head itself gets one and "
    "moves, and in the second step the layers below move too.",
    "Which of the zeros in your gradient come from dead units, and which from somewhere else?",
)

EXERCISE = Exercise(
    reference=dead_for_good,
    challenge=challenge,
    observe=observe,
    claims=(
        Claim(spares_the_living, 1, "Which units get a gradient on at least one sample?"),
        Claim(
            first_layer_never_wakes, 2, "What do the pre-activations of the first layer rest on?"
        ),
        Claim(moving_inputs_may_wake, 3, "Which layers have a say in the inputs of that unit?"),
        Claim(
            frozen_inputs_never_wake, 2, "Which parameters would have to move to wake that unit?"
        ),
        Claim(no_gradient_moves_nothing, 2, "How far down does the gradient come?"),
        Claim(leaves_the_model_alone, 1, "What did your code leave behind in the model?"),
    ),
    misconceptions=(
        Misconception(
            "Dead is dead for good.",
            "A dead unit cannot move itself. But the layers below go on learning, and they change "
            "its inputs.",
            "Which numbers of a unit in layer 2 change when layer 1 takes a step?",
            call_all_the_dead_dead_for_good,
        ),
        Misconception(
            "Deeper units can always wake.",
            "Their inputs must change for that, and layers below that are frozen, or get no "
            "gradient, change nothing.",
            "Who could move the inputs of layer 2 if layer 1 is frozen?",
            trust_the_first_layer_only,
        ),
        Misconception(
            "A dead unit in a frozen layer is dead for good, and no other.",
            "Its own layer does not move in either case, for a dead unit gets no gradient. What "
            "matters is whether its inputs can move.",
            "Who could change the pre-activation of a unit whose own weights stay as they are?",
            ask_the_own_layer,
        ),
        Misconception(
            "Only the layer directly below counts.",
            "With layer 2 frozen and layer 1 trainable, the inputs of layer 3 change all the same, "
            "through layer 2.",
            "Is a frozen layer's output fixed?",
            ask_the_layer_directly_below,
        ),
        Misconception(
            "What is not frozen can move.",
            "A trainable layer moves only if a gradient arrives. Below a layer whose units are "
            "all dead none does.",
            "What is the gradient of layer 1 if every unit of layer 2 is dead?",
            look_at_the_flags_only,
        ),
        Misconception(
            "A layer is frozen if its weight is.",
            "Its bias still learns, and moves the outputs of the layer.",
            "How many parameters has a Linear?",
            look_at_the_weights_only,
        ),
        Misconception(
            "Above a dead layer everything can move.",
            "The first layer above it gets an input of zeros, now and forever. A dead unit there "
            "has a constant pre-activation, its bias.",
            "What are the inputs of the layer directly above, and which parameter could move them?",
            wake_all_above_a_dead_layer,
        ),
        Misconception(*GRADIENT_OF_TODAY, specimen=ask_the_gradient_of_today),
        Misconception(*GRADIENT_OF_TODAY, specimen=take_a_backward_pass_today),
        Misconception(
            "A unit whose inputs stay as they are is dead for good.",
            "A living unit learns from fixed inputs: it moves its own weights.",
            "Where does your code ask whether a unit is dead at all?",
            forget_to_ask_who_is_dead,
        ),
    ),
    hints=(
        "First find the dead units of each hidden layer. A dead unit's own weights get no "
        "gradient. What else could change its pre-activation?",
        "For each layer ask: can it move? No, if both its parameters are frozen. No, if some "
        "hidden layer from it on upwards is dead throughout, since no gradient comes down then.",
        "A dead unit of layer i is dead for good if no layer before i can move. For the first "
        "layer there is none, so the condition holds of itself.",
    ),
    lesson="02_dead_relu",
    section="Dead for good",
    frameworks=("torch",),
    minutes=25,
    note="The sentence holds for plain gradient descent on the same data. Other data, augmented "
    "images, momentum left over from before, or weight decay without the bias can wake a unit that "
    "is dead for good here.",
)
