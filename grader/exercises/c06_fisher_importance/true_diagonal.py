"""The true Fisher diagonal of a torch model: the expectation over the model's own answers."""

import torch
from torch import Tensor, nn
from torch.func import functional_call, jacrev, vmap

from grader.instruments import fisher_models
from grader.instruments.fisher_models import all_right, challenge
from grader.judging.exercise import Exercise, beliefs_about, claim, needing, of_kind
from grader.judging.terms import Candidate, Evidence, Finding, Inputs, Part


def true_diagonal(model, inputs):
    """Measure the true Fisher diagonal of a classifier.

    For each parameter it is the mean over the samples of the expected squared score: each class
    in turn is the answer, and counts with the probability that the model gives it. Nothing is
    drawn. It is measured with every module in eval mode, also for frozen parameters. The model is
    left as it was: the mode of each module, flags, ``.grad`` and numbers.

    Args:
        model: a ``torch.nn.Module`` on the CPU that gives logits, shape (N, C), for N inputs.
        inputs: tensor with N samples along its first axis, N from 1 on.

    Returns:
        Dict from each name in ``model.named_parameters()`` to a tensor of the parameter's shape.
        For a parameter that the logits do not depend on it is zeros.

    Example:
        >>> model = nn.Linear(1, 2)
        >>> weight, bias = nn.init.zeros_(model.weight), nn.init.zeros_(model.bias)
        >>> with torch.no_grad():
        ...     bias[0] = math.log(4)  # the probabilities are 0.8 and 0.2
        >>> diagonal = true_diagonal(model, torch.tensor([[2.0]]))
        >>> [round(x.item(), 4) for part in diagonal.values() for x in part.flatten()]
        [0.64, 0.64, 0.16, 0.16]
    """
    params = {name: parameter.detach() for name, parameter in model.named_parameters()}

    def answers(params, one):
        return functional_call(model, params, (one[None],))[0].log_softmax(0)

    modes = {module: module.training for module in model.modules()}
    model.eval()
    chances = vmap(answers, (None, 0))(params, inputs).exp()
    scores = vmap(jacrev(answers), (None, 0))(params, inputs)
    for module, mode in modes.items():
        module.training = mode
    squares = {name: score.square() for name, score in scores.items()}
    return {n: torch.einsum("nc,nc...->...", chances, s) / len(inputs) for n, s in squares.items()}


def observe(candidate: Candidate, inputs: Inputs) -> Evidence:
    return fisher_models.observe(candidate, inputs, labelled=False)


@claim(4, "Which answers do you square the score of, and with what weight?", of_kind("plain"))
def expects_over_all_classes(seen: Evidence, expected: Evidence) -> Finding:
    """Every class is the answer in turn, weighted with its probability, for each sample."""
    return all_right(seen, expected)


SHARED = needing(expects_over_all_classes, *fisher_models.CLAIMS)


def _restore(model: nn.Module, modes: dict[nn.Module, bool]) -> None:
    for module, mode in modes.items():
        module.training = mode


def measured(
    model: nn.Module,
    inputs: Tensor,
    ready: Part = nn.Module.eval,
    score: Part = lambda logits: logits.log_softmax(1),
    weights: Part = lambda logits: logits.softmax(1),
    expected: Part = lambda p, scores: torch.einsum("nc,nc...->n...", p, scores**2),
    over: Part = lambda rows: rows.mean(0),
    counted: Part = lambda p: True,
    after: Part = _restore,
) -> dict[str, Tensor]:
    """The right answer in parts."""
    modes = {module: module.training for module in model.modules()}
    params = {name: p.detach() for name, p in model.named_parameters()}
    names = [name for name, p in model.named_parameters() if counted(p)]

    def logits(params: dict[str, Tensor], one: Tensor) -> Tensor:
        return functional_call(model, params, (one[None],))

    ready(model)
    p = weights(torch.cat([logits(params, one) for one in inputs]))
    rows = [jacrev(lambda params, one=one: score(logits(params, one))[0])(params) for one in inputs]
    after(model, modes)
    return {n: over(expected(p, torch.stack([row[n] for row in rows]))) for n in names}


believing = beliefs_about(measured)
BELIEFS = (
    believing(
        "Every class counts alike.",
        "A class that the model takes for impossible has an enormous score. It hardly ever is "
        "the answer, so it hardly counts.",
        "How often would each class be drawn, if the model chose the answer?",
        weights=lambda logits: torch.full_like(logits, 1 / logits.shape[1]),
    ),
    believing(
        "The most probable class is the answer.",
        "It is so often, not always. The rare answers have the large scores, and are left out.",
        "Which answers are left out, and how large are their scores?",
        weights=lambda logits: (logits >= logits.amax(1, keepdim=True)).to(logits.dtype),
    ),
    believing(
        "The expectation comes before the square.",
        "The expected score is zero, for any model. What is squared after it is rounding.",
        "What is the sum of p times the gradient of log p over all classes?",
        expected=lambda p, scores: torch.einsum("nc,nc...->n...", p, scores) ** 2,
    ),
    believing(
        "The square takes the probability with it.",
        "The weight of a class is its probability. You weigh with that squared.",
        "Do you square before the probability comes in, or after?",
        expected=lambda p, scores: torch.einsum("nc,nc...->n...", p**2, scores**2),
    ),
    believing(
        "The score is the gradient of the logit.",
        "A logit is no log-probability: the others have to be taken off. If all logits rise "
        "together, no answer changes.",
        "What is the score with respect to a bias that moves all logits alike?",
        score=lambda logits: logits * 1.0,
    ),
    believing(*fisher_models.PROBABILITY, score=lambda logits: logits.softmax(1)),
    believing(*fisher_models.TOTAL, over=lambda rows: rows.sum(0)),
    believing(*fisher_models.FROZEN, counted=lambda p: p.requires_grad),
    believing(*fisher_models.MODE, ready=lambda model: model),
    believing(*fisher_models.EVAL_STAYS, after=lambda model, modes: None),
    believing(*fisher_models.TRAIN_AFTER, after=lambda model, modes: model.train()),
)

EXERCISE = Exercise(
    reference=true_diagonal,
    challenge=challenge,
    observe=observe,
    hints=(
        "First for one sample: log_softmax gives the log-probabilities of all classes. Take the "
        "gradient of each, square it, and weigh it with that class' probability.",
        "The weight is a number: differentiate the log-probability alone, and multiply after the "
        "square. functional_call with detached parameters reaches the frozen ones too.",
        "jacrev of a function that gives C log-probabilities has the scores of all C classes, and "
        "vmap does so for all samples. Put each module's mode back.",
    ),
    lesson="06_fisher_importance",
    section="Whose labels?",
    frameworks=("torch",),
    minutes=20,
    difficulty=4,
    note="It costs a backward pass for each class. With many classes one drawn label a sample is "
    "right on average, and a linear layer lets the classes be added up before the large product.",
)
