"""The trainable share of a torch model, counted in numbers.

What the answer does not look at is put in its way: buffers, old gradients, train and eval mode.
"""

from functools import partial

from numpy.random import Generator
from torch import Tensor, nn

from grader.instruments.refusals import refusal, refused
from grader.instruments.snapshots import changed, snapshot
from grader.instruments.torch_cases import built, case
from grader.instruments.words import compared, listed
from grader.judging.exercise import Exercise, belief, beliefs_about, claim, of_kind
from grader.judging.terms import Candidate, Challenge, Evidence, Finding, Inputs, Part


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

    Example:
        >>> model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 1))
        >>> frozen = model[0].requires_grad_(False)
        >>> trainable_fraction(model)
        0.25
    """
    trainable = total = 0
    for parameter in model.parameters():  # a shared one comes once
        total += parameter.numel()
        if parameter.requires_grad:
            trainable += parameter.numel()
    return trainable / total


def challenge(rng: Generator) -> Challenge:
    of = partial(case, rng, kind="plain")
    a, b, c = (int(size) for size in rng.integers(3, 20, 3))
    square, head = ["Linear", b, b], ["Linear", b, c]
    dense = {"body.first": ["Linear", a, b], "body.second": square, "head": head}
    bare = {"body": head, "scale": ["Parameter", a], "gain": ["Parameter"]}
    nothing = {"none": ["Parameter", 0]}
    flags = partial(of, dense, ["body"], kind="flags")
    normed = {"body.dense": ["Linear", a, b], "body.norm": ["BatchNorm1d", b], "head": head}
    tied = of({"embed": ["Embedding", c, b], "body": square, "head": head}, kind="shared")
    tied["tied"] = [["embed.weight", "head.weight"]]
    return {
        "frozen body": of(dense, ["body"]),
        "one frozen weight": of(dense, ["body.second.weight"]),
        "everything trainable": of(dense),
        "everything frozen": of(dense, ["body", "head"]),
        "a frozen convolution": of({"conv": ["Conv2d", a, b, 2], "head": head}, ["conv"]),
        "bare parameters of shapes (N,), () and (0,)": of(bare | nothing, ["scale"]),
        "two layers alike, all ones": of({"first": square, "second": square}, ["first"], fills=1),
        "all zeros": of(dense, ["head"], fills=0),
        "a frozen body in half precision": of(dense, ["body"], in_half_precision=["body"]),
        "BatchNorm": of(normed, ["body.dense"], kind="buffers"),
        "tied weights": {**tied, "frozen": ["body"]},
        "frozen tied weights": {**tied, "frozen": ["embed"]},
        "a frozen body in train mode, a trainable head in eval mode": flags(in_eval_mode=["head"]),
        "a frozen body with old gradients": flags(with_gradients=["body"]),
        "no parameters": of({"squash": ["Tanh"]}, kind="empty"),
        "an empty parameter alone": of(nothing, kind="empty"),
    }


def observe(candidate: Candidate, inputs: Inputs) -> Evidence:
    model = built(inputs)
    before = snapshot(model)
    if inputs["kind"] == "empty":
        seen = {"ending": refusal(candidate, model, fitting=(ZeroDivisionError, ValueError))}
    else:
        seen = {"fraction": candidate(model)}
    return {"kind": inputs["kind"], **seen, "changed": changed(before, model)}


def _fraction(seen: Evidence, expected: Evidence) -> Finding:
    return compared(seen["fraction"], expected["fraction"], "the fraction")


@claim(3, "What do you add up, and how often do you meet each of it?", of_kind("plain"))
def counts_numbers(seen: Evidence, expected: Evidence) -> Finding:
    """Each number in a parameter counts as one, wherever in the model it lies."""
    return _fraction(seen, expected)


@claim(2, "How often do you meet the weight that embed and head share?", of_kind("shared"))
def counts_shared_parameters_once(seen: Evidence, expected: Evidence) -> Finding:
    """A parameter that two modules share counts once."""
    return _fraction(seen, expected)


@claim(1, "Which of the tensors that you count could be trained at all?", of_kind("buffers"))
def counts_no_buffers(seen: Evidence, expected: Evidence) -> Finding:
    """Buffers, such as the running statistics of BatchNorm, do not count."""
    return _fraction(seen, expected)


@claim(2, "What do you ask a parameter to tell if it is trainable?", of_kind("flags"))
def looks_at_requires_grad(seen: Evidence, expected: Evidence) -> Finding:
    """requires_grad decides, whatever gradients there are and whatever mode a module is in."""
    return _fraction(seen, expected)


@claim(1, "What would a fraction of nothing mean to your caller?", of_kind("empty"), counts_numbers)
def refuses_the_empty_model(seen: Evidence, expected: Evidence) -> Finding:
    """A model without a number to count raises a ZeroDivisionError or a ValueError."""
    return refused(seen["ending"])


@claim(1, "Which line of yours sets something in order to count?", needs=counts_numbers)
def leaves_the_model_alone(seen: Evidence, expected: Evidence) -> Finding:
    """The model is left as it was: its flags, gradients, numbers and modes."""
    return not seen["changed"], f"changed: {listed(seen['changed'])}"


def counted(
    model: nn.Module,
    tensors: Part = lambda model: model.parameters(),
    size: Part = Tensor.numel,
    trainable: Part = lambda tensor: tensor.requires_grad,
    over: Part = lambda yes, no: yes / (yes + no),
) -> float:
    """The right answer in parts."""
    pairs = [(size(tensor), trainable(tensor)) for tensor in tensors(model)]
    return over(*(sum(count for count, is_yes in pairs if is_yes == yes) for yes in (True, False)))


believing = beliefs_about(counted)
BELIEFS = (
    believing(
        "The fraction of trainable parameters is that of trainable tensors.",
        "A bias counts as much as a weight matrix a hundred times its size then.",
        "Which is larger in your model, the part of the weights or that of the biases?",
        size=lambda tensor: 1,
    ),
    believing(
        "Each name is a parameter of its own.",
        "Two names can mean one parameter. A tied weight has two names and one set of numbers.",
        "How many numbers would you have to store to save this model?",
        tensors=lambda model: dict(model.named_parameters(remove_duplicate=False)).values(),
    ),
    believing(
        "parameters() gives what a module holds itself, so summing over modules() is safe.",
        "parameters() goes through all children. A weight two levels deep was counted three times.",
        "What does parameters() of the whole model hold already?",
        tensors=lambda model: [p for module in model.modules() for p in module.parameters()],
    ),
    believing(
        "A model is the sum of its children.",
        "A model can hold a parameter itself, outside of any child, and two children can share "
        "one.",
        "Which parameters does the model reach that none of its children, or two, reach?",
        tensors=lambda model: [p for module in model.children() for p in module.parameters()],
    ),
    believing(
        "Buffers are frozen parameters.",
        "Running statistics are not trained, frozen or not. They made your total too large.",
        "Which list of a module do the running statistics of BatchNorm stand in?",
        tensors=lambda model: [*model.parameters(), *model.buffers()],
    ),
    believing(
        "Every tensor that holds a parameter's numbers carries its flag.",
        "Your count finds nothing trainable in any model. A detached tensor, such as p.data or a "
        "value of state_dict(), has requires_grad False, whatever the parameter has.",
        "What is requires_grad of each object that you ask, and of the parameter itself?",
        tensors=lambda model: model.state_dict().values(),
    ),
    believing(
        "The trainable fraction is trainable over frozen.",
        "That is a ratio of two parts. It exceeds 1 as soon as more is trainable than frozen.",
        "Which two numbers would give 1 for a model of which everything is trainable?",
        over=lambda yes, no: yes / no,
    ),
    believing(
        "Trainable is what has a gradient.",
        "Before the first step nothing has one, and a frozen layer can hold an old one.",
        "At which moment does a parameter get its gradient, and who takes it away?",
        trainable=lambda tensor: tensor.grad is not None,
    ),
    believing(
        "requires_grad=True marks what is held fixed.",
        "It asks for a gradient, so it marks what learns. You return the frozen share.",
        "Which fraction belongs to a model of which nothing is frozen?",
        trainable=lambda tensor: not tensor.requires_grad,
    ),
    believing(
        "A model without parameters is a frozen one.",
        "It is as much a trainable one. Zero over zero has no value, and a 0 hides that.",
        "What would your caller conclude from a 0 for a model that was built empty by mistake?",
        over=lambda yes, no: yes / (yes + no or 1),
    ),
)


@belief(
    "Trainable is what is in train mode.",
    "train() and eval() change how dropout and BatchNorm compute. They touch no flag.",
    "Does a parameter in eval mode get a gradient?",
)
def count_what_is_in_train_mode(model: nn.Module) -> float:
    modes = {p: module.training for module in model.modules() for p in module.parameters(False)}
    return sum(p.numel() for p in modes if modes[p]) / sum(p.numel() for p in modes)


EXERCISE = Exercise(
    reference=trainable_fraction,
    challenge=challenge,
    observe=observe,
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
    difficulty=2,
    note="A fraction of parameters is no fraction of time. The forward pass runs through frozen "
    "layers as before, and a trainable layer near the input makes the backward pass go through all "
    "that lies above it.",
)
