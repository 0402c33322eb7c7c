"""A training step in torch that keeps the middle of a network where it is.

The optimizer is warm and the gradients of its last step are still there when the first of five
frozen steps comes. What counts is what moved over the five, by how much, and what moves after them.
"""

import numpy as np
import torch

from grader import twins
from grader.evidence import alike, number
from grader.exercise import Claim, Exercise, Misconception
from grader.torch_nets import net


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
        eval mode. The flags, gradients and mode of ``frozen`` are yours to change. The optimizer
        still holds every parameter: whoever makes ``frozen`` trainable again can go on with it.
    """
    frozen.requires_grad_(False)
    frozen.eval()
    optimizer.zero_grad()  # every gradient is None now, the old ones of `frozen` too
    loss(above(frozen(below(x)))).backward()
    optimizer.step()


PARTS = {"below": "layer10", "frozen": "layer1", "above": "head"}
"""The layers of the twins' run, as parts of the network."""

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
    "above.dense{2}": ["Linear", 4, 2],
}


def challenge(rng):
    run = twins.warm_run(rng)

    def batch():
        x, y = rng.normal(size=(6, 3)), rng.normal(size=(6, 2))
        return {"x": x.astype(np.float32), "y": y.astype(np.float32)}

    def case(layers, optimizer, settings):
        drawn = rng.integers(1, 10, 3)
        return {
            "layers": {path.format(*drawn): list(layer) for path, layer in layers.items()},
            "seed": int(rng.integers(1000)),
            "optimizer": optimizer,
            "settings": settings,
            "warmup": [batch() for _ in range(3)],
            "steps": [batch() for _ in range(5)],
        }

    decay = float(rng.uniform(0.1, 0.2))
    return {
        twins.CASE: {
            "params": run["params"],
            "optimizer": "AdamW",
            "settings": {
                "lr": run["learning_rate"],
                "betas": [run["b1"], run["b2"]],
                "eps": run["eps"],
                "weight_decay": run["weight_decay"],
            },
            "warmup": [{"gradients": tree} for tree in run["warmup"]],
            "steps": [{"gradients": tree} for tree in run["gradients"]],
        },
        "learning through the middle": case(DENSE, "AdamW", {"lr": 0.02, "weight_decay": decay}),
        "BatchNorm below, BatchNorm and dropout in the middle": case(
            NORMED, "SGD", {"lr": 0.01, "momentum": 0.9, "weight_decay": decay}
        ),
    }


def observe(candidate, inputs):
    given = "params" in inputs
    model = _given_net(inputs["params"]) if given else _drawn_net(inputs)
    optimizer = getattr(torch.optim, inputs["optimizer"])(model.parameters(), **inputs["settings"])
    for task in inputs["warmup"]:
        _train(model, optimizer, *_task(model, task))
    before = _values(model)
    for task in inputs["steps"]:
        candidate(model.below, model.frozen, model.above, optimizer, *_task(model, task))
    after, names = _values(model), dict(model.named_parameters())
    moved = {name: _largest(after[name] - before[name]) for name in before}
    evidence = {
        "parameters moved": {name: by for name, by in moved.items() if name in names},
        "buffers moved": {name: by for name, by in moved.items() if name not in names},
        "after": {name: array for name, array in after.items() if not name.startswith("frozen.")},
        "moved later": _moved_later(model, optimizer),
    }
    return evidence | {"trainable": _in_flax_layout(after)} if given else evidence


class _Given(torch.nn.Module):
    """Adds to its input a number that is linear in its parameters, so their gradients are given."""

    def __init__(self, layer):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.from_numpy(layer["kernel"].T.copy()))
        self.bias = torch.nn.Parameter(torch.from_numpy(layer["bias"].copy()))

    def forward(self, x):
        kernel, bias = map(torch.from_numpy, (self.gradients["kernel"], self.gradients["bias"]))
        return x + (self.weight.T * kernel).sum() + (self.bias * bias).sum()


class _EveryOther(torch.nn.Dropout):
    """Dropout without chance, alike on all machines: in train mode every other unit is dropped."""

    def forward(self, x):
        return x * torch.tensor([0.0, 2.0]).repeat(x.shape[-1] // 2) if self.training else x


def _drawn_net(inputs):
    model = net(inputs["layers"], inputs["seed"])
    if "frozen.drop" in inputs["layers"]:
        model.frozen.drop = _EveryOther()
    return model


def _given_net(params):
    model = torch.nn.Sequential()
    for part, layer in PARTS.items():
        model.add_module(part, _Given(params[layer]))
    return model


def _task(model, task):
    """Input and loss of one step."""
    if "x" in task:
        x, y = torch.from_numpy(task["x"]), torch.from_numpy(task["y"])
        return x, lambda output: ((output - y) ** 2).mean()
    for part, layer in PARTS.items():
        model.get_submodule(part).gradients = task["gradients"][layer]
    return torch.zeros(1), torch.sum


def _train(model, optimizer, x, loss):
    """A step of everything, which leaves its gradients behind."""
    optimizer.zero_grad()
    loss(model(x)).backward()
    optimizer.step()


def _values(model):
    return {name: value.numpy().copy() for name, value in model.state_dict().items()}


def _largest(change):
    return float(np.abs(change).max())


def _moved_later(model, optimizer):
    """Which parameters the caller's optimizer moves, once all are trainable and have a gradient."""
    before = _values(model)
    for parameter in model.parameters():
        parameter.requires_grad_(True)
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    after = _values(model)
    names = dict(model.named_parameters())
    return sorted(name for name in names if not np.array_equal(before[name], after[name]))


def _in_flax_layout(after):
    """The trainable layers as the twin has them."""
    leaves = {}
    for part in ("below", "above"):
        leaves[f"{PARTS[part]}/kernel"] = after[f"{part}.weight"].T
        leaves[f"{PARTS[part]}/bias"] = after[f"{part}.bias"]
    return leaves


def keeps_the_parameters(seen, expected):
    """While the rest learns for five steps, no parameter of the frozen part moves by a bit."""
    return _still(seen, "parameters moved")


def keeps_the_buffers(seen, expected):
    """While the rest learns for five steps, BatchNorm in the frozen part keeps its statistics."""
    return _still(seen, "buffers moved") if expected["buffers moved"] else None


def lets_the_layers_below_learn(seen, expected):
    """The gradient passes through the frozen part, so that the part below it goes on learning."""
    moved = {name: by for name, by in seen["parameters moved"].items() if name.startswith("below.")}
    still = [name for name, by in moved.items() if by == 0]
    return not still, f"not moved at all: {', '.join(still) or 'nothing'}"


def trains_the_rest_as_ever(seen, expected):
    """The parts below and above end where five plain steps of this optimizer take them."""
    after = {name: (seen["after"][name], right) for name, right in expected["after"].items()}
    odd = [(_distance(*pair), name) for name, pair in after.items() if not alike(*pair)]
    if not odd:
        return True, "every parameter and buffer is where plain steps take it"
    by, name = max(odd)
    return False, f"{name} is off by up to {number(by)} from where plain steps take it"


def leaves_the_optimizer_whole(seen, expected):
    """Once the middle is trainable again, the same optimizer moves every parameter."""
    left = [name for name in expected["moved later"] if name not in seen["moved later"]]
    return not left, f"in a later step of everything these stay: {', '.join(left) or 'none'}"


def _still(seen, kind):
    """Whether the frozen part kept still while anything else moved, and what moved how far."""
    if not any(by != 0 for by in seen["parameters moved"].values()):
        return False, "nothing moved in any of the three parts"
    moved = {name: by for name, by in seen[kind].items() if by != 0 and "frozen." in name}
    words = [f"{name} by up to {number(by)}" for name, by in moved.items()]
    return not words, f"moved in the frozen part: {', '.join(words) or 'nothing'}"


def _distance(ours, right):
    """By how much two arrays differ where they differ most; more than anything if by NaN."""
    return float(np.nan_to_num(np.abs(np.subtract(ours, right)), nan=np.inf).max())


def clear_at_the_end(below, frozen, above, optimizer, x, loss):
    frozen.requires_grad_(False).eval()
    loss(above(frozen(below(x)))).backward()
    optimizer.step()
    optimizer.zero_grad()


def lower_the_flag_and_train_on(below, frozen, above, optimizer, x, loss):
    frozen.requires_grad_(False)
    loss(above(frozen(below(x)))).backward()
    optimizer.step()
    optimizer.zero_grad()


def never_clear(below, frozen, above, optimizer, x, loss):
    frozen.requires_grad_(False).eval()
    loss(above(frozen(below(x)))).backward()
    optimizer.step()


def clear_to_zeros(below, frozen, above, optimizer, x, loss):
    frozen.requires_grad_(False).eval()
    optimizer.zero_grad(set_to_none=False)
    loss(above(frozen(below(x)))).backward()
    optimizer.step()


def clear_to_zeros_without_decay(below, frozen, above, optimizer, x, loss):
    optimizer.param_groups[0]["weight_decay"] = 0.0
    clear_to_zeros(below, frozen, above, optimizer, x, loss)


def lower_the_flag_after_backward(below, frozen, above, optimizer, x, loss):
    frozen.eval()
    optimizer.zero_grad()
    loss(above(frozen(below(x)))).backward()
    frozen.requires_grad_(False)
    optimizer.step()


def run_the_middle_without_recording(below, frozen, above, optimizer, x, loss):
    frozen.eval()
    optimizer.zero_grad()
    with torch.no_grad():
        hidden = frozen(below(x))
    loss(above(hidden)).backward()
    optimizer.step()


def trust_no_grad(below, frozen, above, optimizer, x, loss):
    optimizer.zero_grad()
    with torch.no_grad():
        hidden = frozen(below(x))
    loss(above(hidden)).backward()
    optimizer.step()


def trust_eval(below, frozen, above, optimizer, x, loss):
    frozen.eval()
    optimizer.zero_grad()
    loss(above(frozen(below(x)))).backward()
    optimizer.step()


def leave_the_middle_in_train_mode(below, frozen, above, optimizer, x, loss):
    frozen.requires_grad_(False)
    optimizer.zero_grad()
    loss(above(frozen(below(x)))).backward()
    optimizer.step()


def put_batchnorm_alone_in_eval_mode(below, frozen, above, optimizer, x, loss):
    frozen.requires_grad_(False)
    for module in frozen.modules():
        module.train(not isinstance(module, torch.nn.BatchNorm1d))
    optimizer.zero_grad()
    loss(above(frozen(below(x)))).backward()
    optimizer.step()


def look_at_the_loss_first(below, frozen, above, optimizer, x, loss):
    loss(above(frozen(below(x))))
    take_frozen_step(below, frozen, above, optimizer, x, loss)


def look_at_the_loss_before(below, frozen, above, optimizer, x, loss):
    frozen.eval()
    loss(above(frozen(below(x))))
    take_frozen_step(below, frozen, above, optimizer, x, loss)


def look_at_the_loss_after(below, frozen, above, optimizer, x, loss):
    take_frozen_step(below, frozen, above, optimizer, x, loss)
    loss(above(frozen(below(x))))


def put_everything_in_eval_mode(below, frozen, above, optimizer, x, loss):
    below.eval()
    above.eval()
    take_frozen_step(below, frozen, above, optimizer, x, loss)


def set_the_learning_rate_to_zero(below, frozen, above, optimizer, x, loss):
    optimizer.param_groups[0]["lr"] = 0.0
    take_frozen_step(below, frozen, above, optimizer, x, loss)


def build_another_optimizer(below, frozen, above, optimizer, x, loss):
    kept = ("lr", "betas", "eps", "momentum", "weight_decay")
    settings = {key: value for key, value in optimizer.param_groups[0].items() if key in kept}
    fresh = type(optimizer)([*below.parameters(), *above.parameters()], **settings)
    take_frozen_step(below, frozen, above, fresh, x, loss)


def take_the_middle_out_for_good(below, frozen, above, optimizer, x, loss):
    optimizer.param_groups[0]["params"] = [*below.parameters(), *above.parameters()]
    take_frozen_step(below, frozen, above, optimizer, x, loss)


LOOKING = (
    "Looking at the loss changes nothing.",
    "x went through the network once more than the step needs. In train mode each pass moves the "
    "running statistics of BatchNorm, so those of `below` moved twice in each step.",
    "Which value that your step computes anyway could you look at?",
)

EXERCISE = Exercise(
    reference=take_frozen_step,
    challenge=challenge,
    observe=observe,
    claims=(
        Claim(keeps_the_parameters, 4, "What is in .grad of the middle when step() is called?"),
        Claim(keeps_the_buffers, 2, "In which mode does BatchNorm update its statistics?"),
        Claim(lets_the_layers_below_learn, 2, "By which way does the gradient reach `below`?"),
        Claim(trains_the_rest_as_ever, 3, "Which gradients, averages and modes do you step with?"),
        Claim(leaves_the_optimizer_whole, 2, "What did you change in the optimizer for good?"),
    ),
    misconceptions=(
        Misconception(
            "The optimizer skips what has requires_grad=False.",
            "It skips what has no gradient. The gradients of the step before were still there at "
            "your first step; they moved the frozen part, and the rest took them in once more.",
            "At which moment of your first step are the old gradients taken away?",
            clear_at_the_end,
        ),
        Misconception(
            "requires_grad=False is all that a freeze needs.",
            "It stops new gradients. The old ones were still there at your first step, and the "
            "optimizer used them. And BatchNorm updates its statistics with no gradient at all.",
            "What of the middle can change without a new gradient?",
            lower_the_flag_and_train_on,
        ),
        Misconception(
            "backward() puts new gradients in place of the old ones.",
            "It adds to them. The frozen part was moved by its last gradient again and again, and "
            "in the rest the gradients piled up.",
            "What does .grad hold after two calls of backward() in a row?",
            never_clear,
        ),
        Misconception(
            "A gradient of zeros moves nothing.",
            "The optimizer takes a step with it: its averages from before still point somewhere, "
            "and weight decay shrinks the weights.",
            "Which value of .grad makes the optimizer pass a parameter over?",
            clear_to_zeros,
        ),
        Misconception(
            "Without weight decay a gradient of zeros moves nothing.",
            "The averages of a warm optimizer outlive the gradient. And the rest lost its decay.",
            "What is left of the average of past gradients after one gradient of zero?",
            clear_to_zeros_without_decay,
        ),
        Misconception(
            "requires_grad=False takes effect wherever in the step it is set.",
            "It decides what backward() will compute. After backward() the gradient is there, and "
            "your first step used it.",
            "Which call reads the flag, and when in your step does it run?",
            lower_the_flag_after_backward,
        ),
        Misconception(
            "To freeze a layer is to run it under no_grad, or to detach what it returns.",
            "That cuts the way back to all that lies below. The part below got no gradient.",
            "The gradient of `below` is a product of factors. Which of them does `frozen` give?",
            run_the_middle_without_recording,
        ),
        Misconception(
            "Under no_grad nothing in a layer can change.",
            "no_grad turns off the recording for backward(). BatchNorm in train mode updates its "
            "statistics all the same, and the part below got no gradient.",
            "Which of the two, no_grad or eval(), does BatchNorm look at?",
            trust_no_grad,
        ),
        Misconception(
            "eval(), or a flag set on the module itself, freezes its parameters.",
            "eval() changes how BatchNorm and dropout compute. module.requires_grad = False adds "
            "an attribute that nobody reads. The parameters still got gradients and moved.",
            "What do you have to tell a parameter, so that no gradient is computed for it?",
            trust_eval,
        ),
        Misconception(
            "A layer whose parameters are frozen is frozen.",
            "The middle ran in train mode: eval() was not called, or train() came after it. Each "
            "pass then moves the running statistics of BatchNorm, which are buffers.",
            "Which call sets the mode of the middle last, before x runs through it?",
            leave_the_middle_in_train_mode,
        ),
        Misconception(
            "Only BatchNorm computes in train mode what it does not compute in eval mode.",
            "Dropout does as well. A frozen part that still drops units is another function at "
            "each step, and the rest was trained on that.",
            "Which modules of `frozen` have an attribute training, and what is it in each?",
            put_batchnorm_alone_in_eval_mode,
        ),
        Misconception(*LOOKING, specimen=look_at_the_loss_first),
        Misconception(*LOOKING, specimen=look_at_the_loss_before),
        Misconception(*LOOKING, specimen=look_at_the_loss_after),
        Misconception(
            "With a frozen part in it, the whole network belongs in eval mode.",
            "The BatchNorm of the trainable part then stops following its data, and its layer is "
            "trained on another function.",
            "Which of the three parts should go on updating its running statistics?",
            put_everything_in_eval_mode,
        ),
        Misconception(
            "A learning rate of zero freezes the part that is meant.",
            "All three parts are in one group, so it stopped all three, and it stays zero for "
            "whoever uses the optimizer next.",
            "Which parameters does a group's learning rate apply to?",
            set_the_learning_rate_to_zero,
        ),
        Misconception(
            "An optimizer can be rebuilt at any time; its settings are all it knows.",
            "A new one starts with empty averages, at every step again. The trainable parts took "
            "other steps than theirs.",
            "Where does an optimizer keep its averages, and what is there in a new one?",
            build_another_optimizer,
        ),
        Misconception(
            "Raising requires_grad again is enough to go on training a part.",
            "You took the part out of the optimizer. It gets gradients later on, and nobody takes "
            "a step with them.",
            "How would the optimizer learn that a parameter is to be trained again?",
            take_the_middle_out_for_good,
        ),
    ),
    hints=(
        "Before step(), print for each parameter of `frozen` whether its .grad is None. Do it in "
        "the first step, too.",
        "optimizer.step() passes over a parameter only if its .grad is None. So two things are "
        "needed: no new gradient, and no old one.",
        "The gradient has to pass through `frozen` to reach `below`. Mark the parameters of "
        "`frozen`, not the tensors that run through it. Its buffers are another matter: see the "
        "lesson's section on BatchNorm.",
        "Flags and eval mode of `frozen` first. Then clear all gradients to None, then backward(), "
        "then step().",
    ),
    lesson="04_explicit_freezing",
    section="What still moves a frozen layer",
    frameworks=("torch",),
    minutes=20,
    twin="freeze_with_labels",
    note="zero_grad() sets gradients to None since PyTorch 2.0; before, it filled them with zeros, "
    "and this step moved the frozen part. A later model.train() puts the frozen BatchNorm back "
    "into train mode: call eval() at each step, as here, or override train().",
)
