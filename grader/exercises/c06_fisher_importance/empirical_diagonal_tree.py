"""The empirical Fisher diagonal in JAX, for parameters in a tree."""

from collections.abc import Callable
from operator import is_
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from grader.instruments.diagonals import SQUARED_MEAN, agree, in_units
from grader.judging.exercise import Exercise, beliefs_about, claim, of_kind
from grader.judging.terms import Candidate, Challenge, Evidence, Finding, Inputs, Part


def empirical_diagonal_tree(apply, params, inputs, labels):
    """Measure the empirical Fisher diagonal of a classifier in JAX.

    For each parameter it is the mean, over the samples, of the squared gradient of the sample's
    own loss: the cross-entropy of its logits and its label.

    Args:
        apply: function of a tree of parameters and a *batch* of inputs that gives logits, shape
            (N, C), for any N from 1 on. Samples of a batch do not influence one another.
        params: tree of float arrays: dicts and lists, as deep as you like.
        inputs: array with N samples along its first axis.
        labels: int array of shape (N,), classes from 0 to C - 1.

    Returns:
        Tree like ``params``, with an array of the parameter's shape in each place. For a parameter
        that the logits do not depend on it is zeros.

    Example:
        >>> params = {"head": [jnp.zeros((1, 2)), jnp.zeros(2)]}
        >>> def apply(params, x):
        ...     return x @ params["head"][0] + params["head"][1]
        >>> inputs, labels = jnp.array([[2.0], [0.0]]), jnp.array([0, 1])
        >>> diagonal = empirical_diagonal_tree(apply, params, inputs, labels)
        >>> [part.tolist() for part in diagonal["head"]]
        [[[0.5, 0.5]], [0.25, 0.25]]
    """

    def loss(params, one, label):
        return -jax.nn.log_softmax(apply(params, one[None])[0])[label]

    each = jax.vmap(jax.grad(loss), in_axes=(None, 0, 0))(params, inputs, labels)
    return jax.tree.map(lambda gradients: (gradients**2).mean(0), each)


WIDTH, CLASSES = 4, 3
"""One width of hidden units and one number of classes, since JAX compiles for each shape."""


def _dense(params: Any, x: jax.Array) -> jax.Array:
    flat = jnp.moveaxis(x, -1, 1).reshape(len(x), -1)  # not as a flat sample would lie
    hidden = jnp.tanh(flat @ params["body"]["first"]["kernel"] + params["body"]["first"]["bias"])
    return hidden @ params["head"]["kernel"] + params["head"]["bias"]


def _tied(params: Any, x: jax.Array) -> jax.Array:
    hidden = x.reshape(len(x), -1) @ params["stack"][0]
    for _ in range(2):
        hidden = jnp.tanh(hidden @ params["stack"][1])
    return hidden @ params["head"]


APPLIED: dict[str, Callable[[Any, jax.Array], jax.Array]] = {"dense": _dense, "tied": _tied}


def challenge(rng: np.random.Generator) -> Challenge:
    def normal(*shape: int) -> np.ndarray:
        return rng.normal(scale=0.6, size=shape).astype(np.float32)

    def case(kind: str, samples: int, shape: tuple[int, ...] = (6,), **own: Any) -> dict[str, Any]:
        first = {"kernel": normal(6, WIDTH), "bias": normal(WIDTH)}
        head = {"kernel": normal(WIDTH, CLASSES), "bias": normal(CLASSES)}
        return {
            "kind": kind,
            "apply": "dense",
            "params": {"body": {"first": first}, "head": head},
            "inputs": rng.normal(size=(samples, *shape)).astype(np.float32),
            "labels": rng.permutation(np.arange(samples) % CLASSES).astype(np.int32),
        } | own

    samples = 6  # in twos as well; JAX compiles for each number
    tied = {"stack": [normal(6, WIDTH), normal(WIDTH, WIDTH)], "head": normal(WIDTH, CLASSES)}
    sure, unused = case("range", samples), case("unused", samples)
    sure["params"]["head"]["kernel"] *= 1e3
    unused["params"] |= {"spare": [normal(2, 5), {"deeper": normal()}]}
    return {
        "a batch": case("plain", samples),
        "one sample": case("plain", 1),
        "samples of two axes": case("axes", samples, (2, 3)),
        "a list of kernels, one used twice": case("tied", samples, apply="tied", params=tied),
        "parameters that nothing uses": unused,
        "logits near 1000": sure,
        "all samples alike": case("alike", samples, inputs=np.ones((samples, 6), np.float32)),
    }


def observe(candidate: Candidate, inputs: Inputs) -> Evidence:
    params = jax.tree.map(jnp.asarray, inputs["params"])
    leaves, form = jax.tree.leaves(params), str(jax.tree.structure(params))
    data, labels = jnp.asarray(inputs["inputs"]), jnp.asarray(inputs["labels"])
    returned = candidate(APPLIED[inputs["apply"]], params, data, labels)
    same = str(jax.tree.structure(params)) == form
    stay = same and all(map(is_, jax.tree.leaves(params), leaves))
    return {
        "kind": inputs["kind"],
        "diagonal": in_units(returned, 1.0),
        "form": str(jax.tree.structure(returned)).removeprefix("PyTreeDef"),
        "params stay": stay,
    }


def _right(seen: Evidence, expected: Evidence) -> Finding:
    return agree(seen["diagonal"], expected["diagonal"])


@claim(4, "Of how many samples is a gradient when you square it?", of_kind("plain", "alike"))
def squares_each_sample(seen: Evidence, expected: Evidence) -> Finding:
    """The gradient of each sample's own loss is squared, and then the mean is taken."""
    return _right(seen, expected)


@claim(2, "Which shape of inputs does apply ask for?", of_kind("axes"), needs=squares_each_sample)
def hands_over_batches(seen: Evidence, expected: Evidence) -> Finding:
    """The function gets a batch, if need be one of a single sample, whatever axes follow."""
    return _right(seen, expected)


@claim(
    2,
    "What does jax.grad return for a parameter that is used twice, or never?",
    of_kind("tied", "unused"),
    needs=squares_each_sample,
)
def goes_through_any_tree(seen: Evidence, expected: Evidence) -> Finding:
    """Each array of the tree has its numbers: one used twice for both uses, an unused one 0."""
    return _right(seen, expected)


@claim(1, "What is the logarithm of a probability of 0?", of_kind("range"), squares_each_sample)
def stands_large_logits(seen: Evidence, expected: Evidence) -> Finding:
    """Logits near 1000 give finite numbers, and right ones."""
    return _right(seen, expected)


@claim(
    1, "Which containers has params, and which has a tree of your own?", needs=squares_each_sample
)
def returns_a_tree_like_params(seen: Evidence, expected: Evidence) -> Finding:
    """The result has dicts and lists of its own where the parameters have them."""
    ours, right = seen["form"], expected["form"]
    if not seen["params stay"]:
        return False, "params itself is another tree now"
    return ours == right, f"your tree is {ours}, where {right} was expected"


def _cross_entropy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    picked = jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], 1)
    return -picked.mean()


def measured(
    apply: Callable[[Any, jax.Array], jax.Array],
    params: Any,
    inputs: jax.Array,
    labels: jax.Array,
    asked: Part = lambda logits, labels: labels,
    loss: Part = _cross_entropy,
    batch: Part = lambda one: one[None],
    size: Part = lambda samples: 1,
    square: Part = jnp.square,
    over: Part = lambda rows: rows.mean(0),
) -> Any:
    """The right answer in parts."""
    step = min(size(len(inputs)), len(inputs))

    def of_some(params: Any, some: jax.Array, theirs: jax.Array) -> jax.Array:
        logits = apply(params, batch(some[0]) if step == 1 else some)
        return loss(logits.reshape(-1, CLASSES), asked(logits.reshape(-1, CLASSES), theirs))

    batches = [part.reshape(-1, step, *part.shape[1:]) for part in (inputs, labels)]
    each = jax.vmap(jax.grad(of_some), (None, 0, 0))(params, *batches)
    return jax.tree.map(lambda rows: over(square(rows)), each)


believing = beliefs_about(measured)
BELIEFS = (
    believing(
        *SQUARED_MEAN,
        size=lambda samples: samples,
    ),
    believing(
        "The squared gradient of a small batch is as good as that of a sample.",
        "A batch of two keeps about half of F, one of 32 about a thirtieth.",
        "How many samples does each of your gradients see?",
        size=lambda samples: 2,
    ),
    believing(
        "F is the sum over the samples.",
        "It would grow with the data, and a strength λ with it. F is a mean.",
        "What becomes of your numbers if each sample is given twice?",
        over=lambda rows: rows.sum(0),
    ),
    believing(
        "F is the variance of the gradients.",
        "The mean is not taken off: samples that all pull alike have a variance of 0, and the "
        "answers hang on the parameter all the same.",
        "What is F where all samples have the gradient 2?",
        over=lambda rows: rows.mean(0) - jnp.sqrt(rows).mean(0) ** 2,
    ),
    believing(
        "What maps over samples can hand a bare sample to the model.",
        "apply asks for a batch. A bare sample has lost an axis, and the first one left is taken "
        "for the samples.",
        "What is the shape of one sample inside vmap, and what does apply ask for?",
        batch=lambda one: one,
    ),
    believing(
        "The class that the model finds most probable will do as the label.",
        "That is neither the data's label nor a drawn one, and its score is the smallest of all.",
        "Which of the arguments does your code never read?",
        asked=lambda logits, labels: logits.argmax(1),
    ),
    believing(
        "The score is the gradient of the probability.",
        "It is that of its logarithm: relative to the probability. That of a rare answer is far "
        "larger, seen that way.",
        "What is the derivative of log p, written with that of p?",
        loss=lambda logits, labels: jnp.take_along_axis(
            jax.nn.softmax(logits), labels[:, None], 1
        ).mean(),
    ),
    believing(
        "F is the mean size of the gradients.",
        "It is a mean of squares: a gradient three times as large counts nine times as much.",
        "What does a gradient of 0.1 add to F?",
        square=jnp.abs,
    ),
)

EXERCISE = Exercise(
    reference=empirical_diagonal_tree,
    challenge=challenge,
    observe=observe,
    hints=(
        "Write the loss of one sample as a function of the parameters, that sample and its label. "
        "apply wants a batch: one[None] is a batch of one.",
        "jax.grad of it differentiates by the first argument. jax.vmap with in_axes=(None, 0, 0) "
        "does so for each sample.",
        "The result is a tree with a first axis for the samples in each array. jax.tree.map "
        "squares and averages all of them.",
    ),
    lesson="06_fisher_importance",
    section="The mean of squares",
    frameworks=("jax",),
    minutes=15,
    difficulty=3,
    note="jax.jit around all of it compiles once for each shape. For many samples, jax.lax.map "
    "with batch_size= goes through them in chunks and keeps memory small.",
)
