"""Name what a step moved in a torch model.

The steps are of the kinds that slip by: one that keeps every norm, one in the last bit, one that
moves buffers only, ones that write, move and erase a NaN, one that puts a new parameter in an old
place.
"""

from types import SimpleNamespace

import numpy as np
import torch

from grader.exercise import Claim, Exercise, Misconception
from grader.torch_nets import BODIES, HEADS, eighths, give_gradients, net, texts


def what_moved(model, step):
    """Run one step and name every parameter and buffer that it moved.

    A parameter or buffer has moved if the model holds at least one other number in it after the
    step than before, however little the two differ. A NaN where none was is another number, and so
    is a number where a NaN was; a NaN where one was already is not. What a step moves and puts back
    has not moved. (0.0 and -0.0 may count as one number or as two.)

    Args:
        model: a ``torch.nn.Module`` on the CPU, with ``nan`` perhaps among its numbers. Each of its
            tensors has one name: there are no tied weights.
        step: function without arguments that changes the model; run it once. It keeps all names,
            shapes and dtypes, but it may put a new parameter in the place of an old one.

    Returns:
        Tuple or list of the names of what moved, as ``model.state_dict()`` spells them, in any
        order. The model is left as the step left it.
    """
    before = {name: value.clone() for name, value in model.state_dict().items()}
    step()
    after = model.state_dict()
    moved = []
    for name, old in before.items():
        if not np.array_equal(old.numpy(), after[name].numpy(), equal_nan=True):
            moved.append(name)
    return tuple(moved)


LAYERS = {"body": ["Linear", 4, 4], "norm": ["BatchNorm1d", 4], "head": ["Linear", 4, 2]}


def challenge(rng):
    kinds = (
        "an optimizer step with a frozen layer",
        "a rotation",
        "the last bit of a weight, and of a float64 buffer",
        "BatchNorm in train mode",
        "a NaN appears",
        "NaNs come, go, change places and stay",
        "a weight moves and is put back",
        "new parameters in the place of old ones",
    )
    return {
        kind: {
            "step": kind,
            "paths": {
                "body": str(rng.choice(BODIES)),
                "norm": f"norm{rng.integers(1, 10)}",
                "head": str(rng.choice(HEADS)),
            },
            "seed": int(rng.integers(1000)),
            "place": [int(rng.integers(2)), int(rng.integers(4))],
        }
        for kind in kinds
    }


def observe(candidate, inputs):
    paths = inputs["paths"]
    model = net({paths[role]: layer for role, layer in LAYERS.items()}, inputs["seed"])
    part = SimpleNamespace(**{role: model.get_submodule(path) for role, path in paths.items()})
    change = STEPS[inputs["step"]](part, inputs)
    left = []

    def step():
        change()
        left.append(_bits(model))

    named = texts(candidate(model, step))
    return {
        "named": sorted(named) if isinstance(named, list) else named,
        "buffers": sorted(name for name, _ in model.named_buffers()),
        "nan": any(bool(parameter.isnan().any()) for parameter in model.parameters()),
        "steps": len(left),
        "as the step left it": sorted(
            name for name, bits in _bits(model).items() if left and left[-1].get(name) == bits
        ),
    }


def _bits(model):
    return {name: value.numpy().tobytes() for name, value in model.state_dict().items()}


def _optimizer(part, inputs):
    """The body has old gradients under lowered flags, the head a rate of zero, the norm nothing."""
    still = {"params": list(part.head.parameters()), "lr": 0.0, "weight_decay": 0.0}
    free = [*part.body.parameters(), *part.norm.parameters()]
    optimizer = torch.optim.AdamW([{"params": free}, still], lr=0.1)
    for layer in (part.body, part.head):
        give_gradients(layer, inputs["seed"] + 1)
    part.body.requires_grad_(False)
    return optimizer.step


def _rotation(part, inputs):
    @torch.no_grad()
    def step():
        two_swaps = part.body.weight[:, [1, 0, 3, 2]]  # their determinant is 1
        part.body.weight.copy_(two_swaps)

    return step


def _last_bit(part, inputs):
    row, column = inputs["place"]
    weight = part.head.weight.detach()  # the same memory
    weight[row, column] = 2.0**-40
    mean = part.norm.running_mean = part.norm.running_mean.double()
    mean[column] = 2.0**-40

    def step():
        weight[row, column] = torch.nextafter(weight[row, column], torch.tensor(1.0))
        mean[column] = torch.nextafter(mean[column], torch.ones_like(mean[column]))

    return step


def _drift(part, inputs):
    x = eighths(np.random.default_rng(inputs["seed"] + 1), (6, 4))

    def step():
        part.norm(x)

    return step


def _nan_appears(part, inputs):
    @torch.no_grad()
    def step():
        part.head.weight[tuple(inputs["place"])] = torch.nan

    return step


@torch.no_grad()
def _nans_change(part, inputs):
    """One tensor for each thing that can become of a NaN; that of the head's bias stays."""
    row, column = inputs["place"]
    other = (column + 1) % 4
    for tensor in (part.body.weight[row], part.body.bias, part.head.weight[row]):
        tensor[column] = torch.nan
    part.norm.weight[column] = 0.0
    part.head.bias[row] = torch.nan

    @torch.no_grad()
    def step():
        part.body.weight[row, other] += 1  # beside a NaN that stays
        part.body.bias[column] = 0.0
        part.norm.weight[column] = torch.nan
        part.head.weight[row, [column, other]] = part.head.weight[row, [other, column]]

    return step


def _put_back(part, inputs):
    @torch.no_grad()
    def step():
        part.head.weight.add_(1)
        part.head.weight.sub_(1)

    return step


def _new_parameters(part, inputs):
    other = eighths(np.random.default_rng(inputs["seed"] + 1), (4, 4))

    def step():
        part.body.weight = torch.nn.Parameter(other)
        part.head.weight = torch.nn.Parameter(part.head.weight.detach().clone())

    return step


STEPS = {
    "an optimizer step with a frozen layer": _optimizer,
    "a rotation": _rotation,
    "the last bit of a weight, and of a float64 buffer": _last_bit,
    "BatchNorm in train mode": _drift,
    "a NaN appears": _nan_appears,
    "NaNs come, go, change places and stay": _nans_change,
    "a weight moves and is put back": _put_back,
    "new parameters in the place of old ones": _new_parameters,
}


def names_parameters_that_moved(seen, expected):
    """Every parameter that moved is named, were it by a rotation or in its last bit."""
    moved = [name for name in expected["named"] if name not in expected["buffers"]]
    if expected["nan"] or not moved:
        return None
    left_out = [name for name in moved if name not in seen["named"]]
    return not left_out, f"moved and not named: {_listed(left_out)}"


def names_buffers_that_moved(seen, expected):
    """Every buffer that moved is named, like the running statistics of BatchNorm."""
    moved = [name for name in expected["named"] if name in expected["buffers"]]
    if not moved:
        return None
    left_out = [name for name in moved if name not in seen["named"]]
    return not left_out, f"moved and not named: {_listed(left_out)}"


def names_nothing_that_stayed(seen, expected):
    """What holds the same numbers as before is not named."""
    if expected["nan"]:
        return None
    more = [name for name in seen["named"] if name not in expected["named"]]
    return not more, f"named though it holds the same numbers: {_listed(more)}"


def tells_new_nans_from_old_ones(seen, expected):
    """A NaN that comes or goes is a move; a NaN that was there already is none, and hides none."""
    if not expected["nan"]:
        return None
    odd = sorted(set(seen["named"]) ^ set(expected["named"]))
    words = ["named" if name in seen["named"] else "not named" for name in odd]
    pairs = [f"{name} is {word}" for name, word in zip(odd, words, strict=True)]
    return not odd, ", ".join(pairs) or f"named: {_listed(seen['named'])}"


def runs_the_step_once(seen, expected):
    """The step is run once, and the model is left as the step left it."""
    if seen["steps"] != 1:
        return False, f"the step was run {seen['steps']} times"
    left = seen["as the step left it"]
    other = [name for name in expected["as the step left it"] if name not in left]
    return not other, f"with other numbers than the step left there: {_listed(other)}"


def _listed(names):
    return ", ".join(names) or "nothing"


def _state(model):
    return model.state_dict()


def _parameters(model):
    return dict(model.named_parameters())


def _compared(model, step, differ, of=_state):
    """The names under which values from before, copied, and from after the step differ."""
    before = {name: value.detach().clone() for name, value in of(model).items()}
    step()
    after = of(model)
    return tuple(name for name in before if differ(before[name], after[name].detach()))


def _compared_uncopied(model, step, differ):
    before = model.state_dict()
    step()
    after = model.state_dict()
    return tuple(name for name in before if differ(before[name], after[name]))


def _changed(old, new):
    return not torch.allclose(old, new, rtol=0, atol=0, equal_nan=True)


def _unequal(old, new):
    return not torch.equal(old, new)


def _other_norm(old, new):
    return bool(old.float().norm() != new.float().norm())


def compare_norms(model, step):
    return _compared(model, step, _other_norm)


def compare_norms_of_parameters(model, step):
    return _compared(model, step, _other_norm, _parameters)


def compare_with_allclose(model, step):
    return _compared(model, step, lambda old, new: not torch.allclose(old, new))


def compare_with_allclose_and_equal_nan(model, step):
    return _compared(model, step, lambda old, new: not torch.allclose(old, new, equal_nan=True))


def compare_with_a_tolerance(model, step):
    return _compared(model, step, lambda old, new: bool((new - old).abs().max() > 1e-6))


def compare_each_number_with_a_tolerance(model, step):
    return _compared(model, step, lambda old, new: bool(((new - old).abs() > 1e-6).any()))


def look_for_a_difference_above_zero(model, step):
    return _compared(model, step, lambda old, new: bool((new - old).abs().max() > 0))


def look_for_each_difference_above_zero(model, step):
    return _compared(model, step, lambda old, new: bool(((new - old).abs() > 0).any()))


def replace_nans_by_zeros(model, step):
    return _compared(model, step, lambda old, new: _unequal(old.nan_to_num(), new.nan_to_num()))


def ask_for_equality(model, step):
    return _compared(model, step, _unequal)


def look_at_parameters_only(model, step):
    return _compared(model, step, _changed, _parameters)


def ask_for_equality_of_parameters_only(model, step):
    return _compared(model, step, _unequal, _parameters)


def keep_the_state_dict(model, step):
    return _compared_uncopied(model, step, _changed)


def keep_the_state_dict_and_ask_for_equality(model, step):
    return _compared_uncopied(model, step, _unequal)


def look_at_the_old_parameters(model, step):
    held = model.state_dict()
    return _compared(model, step, _changed, lambda model: held)


def name_what_is_trainable(model, step):
    step()
    return tuple(name for name, p in model.named_parameters() if p.requires_grad)


def name_what_has_a_gradient(model, step):
    step()
    return tuple(name for name, p in model.named_parameters() if p.grad is not None)


# Beliefs that act alike with one comparison and with another have a specimen for each.
NORMS = (
    "What keeps its norm, or its sum, has not moved.",
    "A rotation keeps every norm, and one that swaps numbers keeps their sum as well.",
    "Which other matrices have the same norm as yours?",
)
CLOSE = (
    "Numbers that are close have not moved.",
    "Your comparison takes two numbers for one if they differ by little enough. A frozen weight "
    "does not differ at all, and many such steps go a long way.",
    "By how much may a frozen weight change in one step?",
)
TOLERANCE = (
    "A move shows as a difference above some tolerance.",
    "A smaller move is a move, too. And with NaN every difference is NaN, and no NaN is above "
    "anything.",
    "What is nan > 1e-6, and how large must the tolerance be for a frozen weight?",
)
ABOVE_ZERO = (
    "If no difference is above zero, nothing moved.",
    "A weight became NaN. Its difference from before is NaN, and nan > 0 is False.",
    "What would your comparison say if every weight became NaN?",
)
PARAMETERS = (
    "A model is its parameters.",
    "BatchNorm computes with running statistics as well. They are buffers, and they moved.",
    "What else than parameters changes what a model computes?",
)
STATE_DICT = (
    "state_dict() is a copy of the model's state.",
    "It holds the tensors themselves. The step wrote into them, so you compared the state after "
    "the step with itself.",
    "Whose memory do the values of state_dict() use?",
)

EXERCISE = Exercise(
    reference=what_moved,
    challenge=challenge,
    observe=observe,
    claims=(
        Claim(
            names_parameters_that_moved, 3, "What do you compare with what, and what would it miss?"
        ),
        Claim(
            names_buffers_that_moved,
            2,
            "What does a model hold beside its parameters, and how finely do you compare it?",
        ),
        Claim(names_nothing_that_stayed, 3, "What do you take for a move that is none?"),
        Claim(tells_new_nans_from_old_ones, 2, "What does your comparison say of NaN and NaN?"),
        Claim(runs_the_step_once, 1, "Which of your lines run the step or write to the model?"),
    ),
    misconceptions=(
        Misconception(*NORMS, specimen=compare_norms),
        Misconception(*NORMS, specimen=compare_norms_of_parameters),
        Misconception(*CLOSE, specimen=compare_with_allclose),
        Misconception(*CLOSE, specimen=compare_with_allclose_and_equal_nan),
        Misconception(*TOLERANCE, specimen=compare_with_a_tolerance),
        Misconception(*TOLERANCE, specimen=compare_each_number_with_a_tolerance),
        Misconception(*ABOVE_ZERO, specimen=look_for_a_difference_above_zero),
        Misconception(*ABOVE_ZERO, specimen=look_for_each_difference_above_zero),
        Misconception(
            "A NaN can be counted as a 0.",
            "Then a weight of 0 that became NaN has not moved for you, nor a NaN that became 0.",
            "By what, other than a value put in its place, can you tell a NaN from a 0?",
            replace_nans_by_zeros,
        ),
        Misconception(
            "What has not changed is equal to itself.",
            "NaN is not equal to NaN. A weight that was NaN before was named, though nobody had "
            "touched it.",
            "What is nan == nan, and which comparison lets you treat the two as one?",
            ask_for_equality,
        ),
        Misconception(*PARAMETERS, specimen=look_at_parameters_only),
        Misconception(*PARAMETERS, specimen=ask_for_equality_of_parameters_only),
        Misconception(*STATE_DICT, specimen=keep_the_state_dict),
        Misconception(*STATE_DICT, specimen=keep_the_state_dict_and_ask_for_equality),
        Misconception(
            "The tensors you got hold of before the step are the model's tensors after it.",
            "The step put a new parameter in the place of an old one. You looked at the old one, "
            "which nobody uses any more.",
            "Whom do you ask for the values after the step?",
            look_at_the_old_parameters,
        ),
        Misconception(
            "What is trainable moves, and what is frozen does not.",
            "requires_grad decides what gets a new gradient. An old gradient moved a frozen "
            "layer, and some that is trainable stayed where it was.",
            "How could you tell a move without looking at any flag?",
            name_what_is_trainable,
        ),
        Misconception(
            "What has a gradient moves.",
            "At a learning rate of zero it does not. And rotations, NaN and running statistics "
            "need no gradient.",
            "How could you tell a move without looking at any gradient?",
            name_what_has_a_gradient,
        ),
    ),
    hints=(
        "You need the numbers from before after the step. Print one of them right before and right "
        "after the step: did what you kept change along?",
        "state_dict() names parameters and buffers. Its values share memory with the model: clone "
        "each of them.",
        "Ask the model for its state again after the step. Compare without a tolerance, and look "
        "up what numpy.array_equal does with equal_nan=True.",
    ),
    lesson="04_explicit_freezing",
    section="How to prove a freeze",
    frameworks=("torch",),
    minutes=15,
    note="state_dict() leaves out buffers that are registered with persistent=False. If a model "
    "has some, look at named_buffers() too. And one step proves one step: what drifts with a warm "
    "optimizer may show only over several.",
)
