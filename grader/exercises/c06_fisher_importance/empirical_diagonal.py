"""The empirical Fisher diagonal of a torch model, each sample squared by itself."""

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn import functional as F

from grader.instruments import fisher_models
from grader.instruments.diagonals import SQUARED_MEAN
from grader.instruments.fisher_models import all_right, challenge
from grader.judging.exercise import Exercise, beliefs_about, claim, needing, of_kind
from grader.judging.terms import Candidate, Evidence, Finding, Inputs, Part


def empirical_diagonal(model, inputs, labels):
    """Measure the empirical Fisher diagonal of a classifier.

    For each parameter it is the mean, over the samples, of the squared gradient of the sample's
    own loss: the cross-entropy of its logits and its label. It is measured with every module in
    eval mode, also for frozen parameters. The model is left as it was: the mode of each module,
    flags, ``.grad`` and numbers.

    Args:
        model: a ``torch.nn.Module`` on the CPU that gives logits, shape (N, C), for N inputs.
        inputs: tensor with N samples along its first axis, N from 1 on.
        labels: int64 tensor of shape (N,), classes from 0 to C - 1.

    Returns:
        Dict from each name in ``model.named_parameters()`` to a tensor of the parameter's shape.
        For a parameter that the logits do not depend on it is zeros.

    Example:
        >>> model = nn.Linear(1, 2)
        >>> zeros = [nn.init.zeros_(parameter) for parameter in model.parameters()]
        >>> inputs, labels = torch.tensor([[2.0], [0.0]]), torch.tensor([0, 1])
        >>> diagonal = empirical_diagonal(model, inputs, labels)
        >>> {name: part.tolist() for name, part in diagonal.items()}
        {'weight': [[0.5], [0.5]], 'bias': [0.25, 0.25]}
    """
    params = {name: parameter.detach() for name, parameter in model.named_parameters()}

    def loss(params, one, label):
        return F.cross_entropy(functional_call(model, params, (one[None],)), label[None])

    modes = {module: module.training for module in model.modules()}
    model.eval()
    each = vmap(grad(loss), in_dims=(None, 0, 0))(params, inputs, labels)
    for module, mode in modes.items():
        module.training = mode
    return {name: gradients.square().mean(0) for name, gradients in each.items()}


def observe(candidate: Candidate, inputs: Inputs) -> Evidence:
    return fisher_models.observe(candidate, inputs, labelled=True)


@claim(4, "Of how many samples is a gradient when you square it?", of_kind("plain", "left"))
def squares_each_sample(seen: Evidence, expected: Evidence) -> Finding:
    """The gradient of each sample's own loss is squared, and then the mean is taken."""
    return all_right(seen, expected)


SHARED = needing(squares_each_sample, *fisher_models.CLAIMS)


def _slopes(model: nn.Module, loss: Part, inputs: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """The gradient of the loss of some samples, whatever is frozen."""
    params = {name: p.detach() for name, p in model.named_parameters()}
    return grad(lambda params: loss(functional_call(model, params, (inputs,)), labels))(params)


def _piling_up(model: nn.Module, loss: Part, inputs: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """As backward() does it: on top of what lies in .grad."""
    slopes = _slopes(model, loss, inputs, labels)
    for name, p in model.named_parameters():
        if p.requires_grad:
            p.grad = slopes[name] if p.grad is None else p.grad + slopes[name]
            slopes[name] = p.grad
    return slopes


def _restore(model: nn.Module, modes: dict[nn.Module, bool]) -> None:
    for module, mode in modes.items():
        module.training = mode


def measured(
    model: nn.Module,
    inputs: Tensor,
    labels: Tensor,
    ready: Part = nn.Module.eval,
    asked: Part = lambda model, inputs, labels: labels,
    loss: Part = F.cross_entropy,
    size: Part = lambda samples: 1,
    slopes: Part = _slopes,
    square: Part = torch.square,
    over: Part = lambda total, batches: total / batches,
    counted: Part = lambda p: True,
    after: Part = _restore,
) -> dict[str, Tensor]:
    """The right answer in parts."""
    modes = {module: module.training for module in model.modules()}
    names = [name for name, p in model.named_parameters() if counted(p)]
    ready(model)
    labels = asked(model, inputs, labels)
    step = size(len(inputs))
    batches = list(zip(inputs.split(step), labels.split(step), strict=True))
    each = [slopes(model, loss, *batch) for batch in batches]
    after(model, modes)
    return {name: over(sum(square(s[name]) for s in each), len(batches)) for name in names}


def _clear_all(model: nn.Module, modes: dict[nn.Module, bool]) -> None:
    _restore(model, modes)
    model.zero_grad()


believing = beliefs_about(measured)
BELIEFS = (
    believing(
        *SQUARED_MEAN,
        size=lambda samples: samples,
    ),
    believing(
        "The squared gradient of a small batch is as good as that of a sample.",
        "A batch of two keeps about half of F, one of 32 about a thirtieth.",
        "How many samples does each backward pass of yours see?",
        size=lambda samples: 2,
    ),
    believing(*fisher_models.TOTAL, over=lambda total, batches: total),
    believing(*fisher_models.FROZEN, counted=lambda p: p.requires_grad),
    believing(*fisher_models.MODE, ready=lambda model: model),
    believing(*fisher_models.EVAL_STAYS, after=lambda model, modes: None),
    believing(*fisher_models.TRAIN_AFTER, after=lambda model, modes: model.train()),
    believing(*fisher_models.NOBODYS, after=_clear_all),
    believing(
        "backward() puts the gradient in place of the one before.",
        "It adds to what lies in .grad. From the second sample on you square a sum.",
        "What lies in .grad after two backward passes?",
        slopes=_piling_up,
    ),
    believing(
        "The class that the model finds most probable will do as the label.",
        "That is neither the data's label nor a drawn one, and its score is the smallest of all.",
        "Which of the three arguments does your code never read?",
        asked=lambda model, inputs, labels: model(inputs).argmax(1),
    ),
    believing(
        *fisher_models.PROBABILITY,
        loss=lambda logits, labels: F.nll_loss(logits.softmax(1), labels),
    ),
    believing(
        "F is the mean size of the gradients.",
        "It is a mean of squares: a gradient three times as large counts nine times as much.",
        "What does a gradient of 0.1 add to F?",
        square=torch.abs,
    ),
)

EXERCISE = Exercise(
    reference=empirical_diagonal,
    challenge=challenge,
    observe=observe,
    hints=(
        "First without speed: a batch of one sample, its gradient, its square; then the mean of "
        "the squares. Frozen parameters have no .grad, so ask torch.func.grad for a function of "
        "the parameters.",
        "functional_call(model, params, (one[None],)) runs the model with the parameters of a "
        "dict. Then grad(loss)(params, one, label) is a dict of gradients that touches no .grad.",
        "vmap(grad(loss), in_dims=(None, 0, 0)) does so for all samples. Keep module.training of "
        "every module before eval(), and put each back.",
    ),
    lesson="06_fisher_importance",
    section="The mean of squares",
    frameworks=("torch",),
    minutes=15,
    difficulty=3,
    note="vmap keeps a gradient of every parameter for every sample. For large models go through "
    "the samples in chunks, and add up squares; for linear layers there is a closed form.",
)
