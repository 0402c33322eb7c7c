"""The trainable share of a torch model, counted in numbers.

What the answer does not look at is put in its way: buffers, old gradients, train and eval mode.
"""

from grader.evidence import alike, number
from grader.exercise import Claim, Exercise, Misconception, attempt
from grader.torch_nets import give_gradients, net


def trainable_fraction(model):
    """Say what fraction of a model's parameters is trainable.

    What counts is numbers: a weight of shape (3, 2) is six of them. A parameter that two modules
    share is there once. Buffers are no parameters. The model stays as it is, its flags too.

    Args:
        model: a ``torch.nn.Module`` on the CPU.

    Returns:
        The trainable numbers over all numbers, a float from 0 to 1.

    Raises:
        ZeroDivisionError: the model has no parameters, or none with a number in it. A ValueError
            that says so is as good.
    """
    trainable = total = 0
    for parameter in model.parameters():  # a shared one comes once
        total += parameter.numel()
        if parameter.requires_grad:
            trainable += parameter.numel()
    return trainable / total


NORMED = {"body.dense": ["Linear", 3, 4], "body.norm": ["BatchNorm1d", 4], "head": ["Linear", 4, 1]}
TIED = {"embed": ["Embedding", 6, 3], "body": ["Linear", 3, 3], "head": ["Linear", 3, 6]}
CONV = {"body.conv": ["Conv2d", 2, 3, 2], "head": ["Linear", 3, 2]}
BARE = {"scale": ["Parameter", 5], "gain": ["Parameter"], "none": ["Parameter", 0]}
SHARED = ("embed.weight", "head.weight")


def challenge(rng):
    def case(layers, frozen=(), **more):
        return {
            "layers": {path: list(layer) for path, layer in layers.items()},
            "frozen": list(frozen),
            "tied": [],
            "in eval mode": [],
            "with gradients": [],
            "empty": False,
            "seed": int(rng.integers(1000)),
            **more,
        }

    def dense():
        hidden, classes = (int(size) for size in rng.integers(3, 9, 2))
        return {
            "body.first": ["Linear", 5, hidden],
            "body.second": ["Linear", hidden, hidden],
            "head": ["Linear", hidden, classes],
        }

    return {
        "frozen body": case(dense(), ["body"]),
        "one frozen weight": case(dense(), ["body.second.weight"]),
        "everything trainable": case(dense()),
        "everything frozen": case(dense(), ["body", "head"]),
        "a frozen convolution": case(CONV, ["body"]),
        "parameters outside of any layer, of shapes (5,), () and (0,)": case(
            {"body.dense": ["Linear", 2, 3], **BARE}, ["scale"]
        ),
        "BatchNorm": case(NORMED, ["body.dense"]),
        "tied weights": case(TIED, ["body"], tied=[list(SHARED)]),
        "frozen tied weights": case(TIED, ["embed"], tied=[list(SHARED)]),
        "a frozen body in train mode, a trainable head in eval mode": case(
            dense(), ["body"], **{"in eval mode": ["head"]}
        ),
        "a frozen body with old gradients": case(dense(), ["body"], **{"with gradients": ["body"]}),
        "no parameters": case({"squash": ["Tanh"]}, empty=True),
        "an empty parameter alone": case({"none": ["Parameter", 0]}, empty=True),
    }


def observe(candidate, inputs):
    model = _model(inputs)
    if inputs["empty"]:
        return {"no fraction": _refusal(candidate, model)}
    names, before = list(model.named_parameters(remove_duplicate=False)), _state(model)
    fraction, after = candidate(model), _state(model)
    return {
        "fraction": fraction,
        "changed": sorted(what for what in before if after.get(what) != before[what]),
        "second names": len(names) - len(list(model.parameters())),
        "buffers": len(list(model.buffers())),
        "gradients or eval mode": bool(inputs["with gradients"] or inputs["in eval mode"]),
    }


def _model(inputs):
    model = net(inputs["layers"], inputs["seed"], inputs["tied"])
    for path in inputs["with gradients"]:
        give_gradients(model.get_submodule(path), inputs["seed"])
    for path in inputs["in eval mode"]:
        model.get_submodule(path).eval()
    for name, parameter in model.named_parameters():
        above = any(f"{name}.".startswith(f"{path}.") for path in inputs["frozen"])
        parameter.requires_grad_(not above)
    return model


def _state(model):
    """What a count has no business with: modes, flags, gradients, numbers."""
    state = {f"mode of {path or 'model'}": m.training for path, m in model.named_modules()}
    for name, parameter in model.named_parameters():
        gradient = None if parameter.grad is None else parameter.grad.numpy().tobytes()
        state[f"requires_grad of {name}"] = parameter.requires_grad
        state[f"gradient of {name}"] = gradient
    numbers = {name: value.numpy().tobytes() for name, value in model.state_dict().items()}
    return state | numbers


def _refusal(candidate, model):
    """The error that came, or what was returned in its place."""
    returned, error = attempt(candidate, model)
    if error:
        fitting = isinstance(error, ZeroDivisionError | ValueError)
        return "a fitting error" if fitting else type(error).__name__
    return f"no error, but {returned}"


def counts_numbers(seen, expected):
    """Each number in a parameter counts as one, wherever in the model it lies."""
    if _special(expected):
        return None
    return _fraction(seen, expected)


def counts_shared_parameters_once(seen, expected):
    """A parameter that two modules share counts once."""
    return _fraction(seen, expected) if expected.get("second names") else None


def counts_no_buffers(seen, expected):
    """Buffers, such as the running statistics of BatchNorm, do not count."""
    return _fraction(seen, expected) if expected.get("buffers") else None


def looks_at_requires_grad(seen, expected):
    """requires_grad decides, whatever gradients there are and whatever mode a module is in."""
    return _fraction(seen, expected) if expected.get("gradients or eval mode") else None


def refuses_the_empty_model(seen, expected):
    """A model without a number to count raises a ZeroDivisionError or a ValueError."""
    if "no fraction" not in expected:
        return None
    return seen == expected, f"there was {seen['no fraction']}"


def leaves_the_model_alone(seen, expected):
    """The model is left as it was: its flags, gradients, numbers and modes."""
    if "no fraction" in expected:
        return None
    return not seen["changed"], f"changed: {', '.join(seen['changed']) or 'nothing'}"


def _special(expected):
    return "no fraction" in expected or any(
        expected[key] for key in ("second names", "buffers", "gradients or eval mode")
    )


def _fraction(seen, expected):
    ours, right = seen["fraction"], expected["fraction"]
    digits = "{:.6g}" if number(ours) == number(right) else "{:.3g}"
    words = f"you return {digits.format(ours)}, the fraction is {digits.format(right)}"
    return alike(ours, right), words


def _share(pairs):
    """The share of the trainable among (count, trainable)."""
    pairs = list(pairs)
    return sum(count for count, trainable in pairs if trainable) / sum(count for count, _ in pairs)


def count_tensors(model):
    return _share((1, p.requires_grad) for p in model.parameters())


def count_layers(model):
    layers = [list(module.parameters(recurse=False)) for module in model.modules()]
    return _share((1, any(p.requires_grad for p in layer)) for layer in layers if layer)


def count_every_name(model):
    named = model.named_parameters(remove_duplicate=False)
    return _share((p.numel(), p.requires_grad) for _, p in named)


def count_below_every_module(model):
    parts = [p for module in model.modules() for p in module.parameters()]
    return _share((p.numel(), p.requires_grad) for p in parts)


def count_below_the_children(model):
    parts = [p for module in model.children() for p in module.parameters()]
    return _share((p.numel(), p.requires_grad) for p in parts)


def count_buffers(model):
    parameters = [(p.numel(), p.requires_grad) for p in model.parameters()]
    return _share(parameters + [(buffer.numel(), False) for buffer in model.buffers()])


def count_the_state_dict(model):
    trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    total = sum(value.numel() for value in model.state_dict().values())
    return _share([(trainable, True), (total - trainable, False)])


def read_flags_off_the_state_dict(model):
    values = model.state_dict().values()
    return _share((value.numel(), value.requires_grad) for value in values)


def divide_by_the_frozen(model):
    parts = [(p.numel(), p.requires_grad) for p in model.parameters()]
    frozen = sum(count for count, trainable in parts if not trainable)
    return sum(count for count, trainable in parts if trainable) / frozen


def count_what_has_a_gradient(model):
    return _share((p.numel(), p.grad is not None) for p in model.parameters())


def count_what_is_in_train_mode(model):
    parts = {p: module.training for module in model.modules() for p in module.parameters(False)}
    return _share((p.numel(), training) for p, training in parts.items())


def count_the_frozen(model):
    return _share((p.numel(), not p.requires_grad) for p in model.parameters())


def give_percent(model):
    return 100 * _share((p.numel(), p.requires_grad) for p in model.parameters())


def divide_to_whole_numbers(model):
    return int(_share((p.numel(), p.requires_grad) for p in model.parameters()))


def call_an_empty_model_frozen(model):
    if not sum(p.numel() for p in model.parameters()):
        return 0.0
    return _share((p.numel(), p.requires_grad) for p in model.parameters())


EXERCISE = Exercise(
    reference=trainable_fraction,
    challenge=challenge,
    observe=observe,
    claims=(
        Claim(counts_numbers, 3, "What do you add up, and how often do you meet each of it?"),
        Claim(
            counts_shared_parameters_once,
            2,
            "How often does your count meet the weight that embed and head share?",
        ),
        Claim(counts_no_buffers, 1, "Which of the tensors that you count could be trained at all?"),
        Claim(looks_at_requires_grad, 2, "What do you ask a parameter to tell if it is trainable?"),
        Claim(refuses_the_empty_model, 1, "What would a fraction of nothing mean to your caller?"),
        Claim(leaves_the_model_alone, 1, "Which line of yours sets something in order to count?"),
    ),
    misconceptions=(
        Misconception(
            "The fraction of trainable parameters is that of trainable tensors.",
            "A bias counts as much as a weight matrix a hundred times its size then.",
            "Which is larger in your model, the part of the weights or that of the biases?",
            count_tensors,
        ),
        Misconception(
            "The fraction of trainable parameters is that of trainable layers.",
            "Layers differ in size, and one layer can be frozen in part.",
            "How many numbers would change if you trained the largest layer alone?",
            count_layers,
        ),
        Misconception(
            "Each name is a parameter of its own.",
            "Two names can mean one parameter. A tied weight has two names and one set of numbers.",
            "How many numbers would you have to store to save this model?",
            count_every_name,
        ),
        Misconception(
            "parameters() gives what a module holds itself, so summing over modules() is safe.",
            "parameters() goes through all children. A weight two levels deep was counted "
            "three times.",
            "What does parameters() of the whole model hold already?",
            count_below_every_module,
        ),
        Misconception(
            "A model is the sum of its children.",
            "A model can hold a parameter itself, outside of any child, and two children can "
            "share one.",
            "Which parameters does the model reach that none of its children, or two, reach?",
            count_below_the_children,
        ),
        Misconception(
            "Buffers are frozen parameters.",
            "Running statistics are not trained, frozen or not. They made your total too large.",
            "Which list of a module do the running statistics of BatchNorm stand in?",
            count_buffers,
        ),
        Misconception(
            "state_dict() lists the parameters.",
            "It lists buffers too, and a shared parameter under each of its names.",
            "How do the keys of state_dict() differ from the names in named_parameters()?",
            count_the_state_dict,
        ),
        Misconception(
            "Every tensor that holds a parameter's numbers carries its flag.",
            "Your count finds nothing trainable in any model. A detached tensor, such as p.data or "
            "a value of state_dict(), has requires_grad False, whatever the parameter has.",
            "What is requires_grad of each object that you ask, and of the parameter itself?",
            read_flags_off_the_state_dict,
        ),
        Misconception(
            "The trainable fraction is trainable over frozen.",
            "That is a ratio of two parts. It exceeds 1 as soon as more is trainable than frozen.",
            "Which two numbers would give 1 for a model of which everything is trainable?",
            divide_by_the_frozen,
        ),
        Misconception(
            "Trainable is what has a gradient.",
            "Before the first step nothing has one, and a frozen layer can hold an old one.",
            "At which moment does a parameter get its gradient, and who takes it away?",
            count_what_has_a_gradient,
        ),
        Misconception(
            "Trainable is what is in train mode.",
            "train() and eval() change how dropout and BatchNorm compute. They touch no flag.",
            "Does a parameter in eval mode get a gradient?",
            count_what_is_in_train_mode,
        ),
        Misconception(
            "requires_grad=True marks what is held fixed.",
            "It asks for a gradient, so it marks what learns. You return the frozen share.",
            "Which fraction belongs to a model of which nothing is frozen?",
            count_the_frozen,
        ),
        Misconception(
            "A fraction is a number of percent.",
            "You return a hundred times the fraction. A fraction goes from 0 to 1.",
            "What do you return for a model of which everything is trainable?",
            give_percent,
        ),
        Misconception(
            "The quotient of two counts is a count.",
            "What you return is cut to a whole number, as // and int() do. So every model that is "
            "frozen in part gets a 0.",
            "What is 1 // 2 in Python, and what is 1 / 2?",
            divide_to_whole_numbers,
        ),
        Misconception(
            "A model without parameters is a frozen one.",
            "It is as much a trainable one. Zero over zero has no value, and a 0 hides that.",
            "What would your caller conclude from a 0 for a model that was built empty by mistake?",
            call_an_empty_model_frozen,
        ),
    ),
    hints=(
        "What does model.parameters() give, and does it give a shared parameter once or twice?",
        "p.numel() is the count of numbers in p, p.requires_grad the flag. You need two sums.",
        "Divide the sum of p.numel() over trainable p by the sum over all p. Look at the second "
        "sum before you divide.",
    ),
    lesson="04_explicit_freezing",
    section="What freezing saves",
    frameworks=("torch",),
    minutes=10,
    note="A fraction of parameters is no fraction of time. The forward pass runs through frozen "
    "layers as before, and a trainable layer near the input makes the backward pass go through all "
    "that lies above it.",
)
