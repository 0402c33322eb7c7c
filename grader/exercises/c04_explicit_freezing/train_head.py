"""Train the head of a model whose frozen body holds a BatchNorm (Flax nnx)."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from flax.errors import TraceContextError
from numpy.random import Generator

from grader.instruments import nnx_models
from grader.instruments.moves import drift, end_alike, moved, told
from grader.judging.evidence import alike, number
from grader.judging.exercise import Exercise, belief, beliefs_about, claim
from grader.judging.terms import Candidate, Challenge, Evidence, Finding, Inputs, Part


def train_head(model, optimizer, batches):
    """Train the head of a model and leave its body as it is, BatchNorm's statistics included.

    ``model(x)`` is ``model.head(model.body(x))``, with a BatchNorm in the body and perhaps one in
    the head. The body is frozen: it computes what it computes at inference, and neither a parameter
    nor a running statistic of it moves by a single bit. The head trains in the ordinary way: a
    BatchNorm in it normalises by the batch and collects statistics.

    Args:
        model: ``nnx.Module`` with the sub-modules ``body`` and ``head``, trained in place. It may
            come in training or in evaluation mode.
        optimizer: an ``optax.GradientTransformation``, perhaps with momentum and weight decay. It
            steps the parameters of the head; its memory lasts from the first batch to the last.
        batches: list of pairs ``(x, y)`` of float32 arrays, both of shape (N, 4); N may differ from
            pair to pair. Each pair makes one step, in order, on the mean of the squared differences
            of ``model(x)`` and ``y``.

    Example:
        >>> class Net(nnx.Module):
        ...     def __call__(self, x):
        ...         return self.head(self.body(x))
        >>> model, rngs = Net(), nnx.Rngs(0)
        >>> model.body, model.head = nnx.BatchNorm(4, rngs=rngs), nnx.Linear(4, 4, rngs=rngs)
        >>> train_head(model, optax.sgd(0.5), [(jnp.zeros((2, 4)), jnp.ones((2, 4)))])
        >>> model.body.var.tolist(), model.head.bias.tolist()
        ([1.0, 1.0, 1.0, 1.0], [0.25, 0.25, 0.25, 0.25])
    """
    trainable = nnx.All(nnx.Param, nnx.PathContains("head"))
    run = nnx.Optimizer(model, optimizer, wrt=trainable)
    model.train()
    model.body.eval()

    def loss_of(model, x, y):
        return jnp.mean((model(x) - y) ** 2)

    for x, y in batches:
        gradients = nnx.grad(loss_of, argnums=nnx.DiffState(0, trainable))(model, x, y)
        run.update(model, gradients)


def challenge(rng: Generator) -> Challenge:
    return {
        "a model in training mode": nnx_models.run(rng, "train"),
        "a model in evaluation mode": nnx_models.run(rng, "eval"),
        "a head without BatchNorm": nnx_models.run(rng, "train", norm_in_head=False),
    }


def observe(candidate: Candidate, inputs: Inputs) -> Evidence:
    model = nnx_models.built(inputs)
    x, y = ([jnp.asarray(array) for array in inputs[name]] for name in "xy")
    optimizer = optax.chain(
        optax.add_decayed_weights(inputs["weight_decay"]),
        optax.sgd(inputs["learning_rate"], momentum=inputs["momentum"]),
    )
    asked: list[bool] = []

    def update(*given: Any, **more: Any) -> Any:
        asked.append(True)
        return optimizer.update(*given, **more)

    before, parts = nnx_models.leaves(model), (model.body, model.head)
    try:
        candidate(model, optimizer._replace(update=update), list(zip(x, y, strict=True)))
    except TraceContextError as error:
        if "BatchStat" in str(error):
            error.args = (OUT_OF_REACH,)
        raise
    kept = model.body is parts[0] and model.head is parts[1]
    model.body, model.head = parts
    after = dict.fromkeys(before, np.full(1, np.nan)) | nnx_models.leaves(model)
    model.body.eval()
    return {
        "moved": moved(before, after),
        "asked the optimizer": any(asked),
        "kept": kept,
        "output": np.array(model.body(x[0])),
        **{part: {p: after[p] for p in before if p.startswith(part)} for part in ("body", "head")},
    }


OUT_OF_REACH = (
    "a BatchNorm in training mode tried to write its statistics inside a transformation that was "
    "not given its module, as nnx.grad(loss)(model.head) is not given the body"
)

Arrays = dict[str, np.ndarray]
NOTHING = (False, "nothing moved, in the head neither")


def _parameters(part: Arrays) -> Arrays:
    return {path: array for path, array in part.items() if path not in _statistics(part)}


def _statistics(part: Arrays) -> Arrays:
    return {path: array for path, array in part.items() if path.endswith((".mean", ".var"))}


def _stay(seen: Evidence, expected: Evidence, kind: Callable[[Arrays], Arrays]) -> Finding:
    """Whether these are, to the bit, as the reference left them: as they were."""
    right, ours = kind(expected["body"]), kind(seen["body"])
    went = moved(right, ours)
    words = f"these moved: {told(drift(right, ours), went)}"
    return (not went, words) if seen["moved"] else NOTHING


@claim(3, "Which variables does your optimizer hold?")
def body_parameters_stay(seen: Evidence, expected: Evidence) -> Finding:
    """No parameter of the body moves by a single bit, while the head does move."""
    return _stay(seen, expected, _parameters)


@claim(3, "What moves the running statistics, if not a gradient?")
def body_statistics_stay(seen: Evidence, expected: Evidence) -> Finding:
    """Neither running statistic of the body's BatchNorm moves by a single bit meanwhile."""
    return _stay(seen, expected, _statistics)


@claim(1, "What does the body's output depend on?")
def body_computes_the_same(seen: Evidence, expected: Evidence) -> Finding:
    """In evaluation mode the body gives the same output for the same input as before."""
    ours, right = seen["output"], expected["output"]
    words = f"the body's output moved by up to {number(np.abs(ours - right).max())}"
    return (alike(ours, right), words) if seen["moved"] else NOTHING


@claim(3, "Which batch, loss, optimizer and modes enter each step?")
def head_trains(seen: Evidence, expected: Evidence) -> Finding:
    """The head's parameters end where the optimizer takes them on the body's fixed outputs."""
    if not seen["kept"]:
        return False, "another object stands where the caller's own body or head stood"
    return end_alike(_parameters(seen["head"]), _parameters(expected["head"]))


@claim(
    1,
    "In which mode is the head while it trains?",
    lambda expected: bool(_statistics(expected["head"])),
)
def head_statistics_go_on(seen: Evidence, expected: Evidence) -> Finding:
    """The head's BatchNorm normalises by the batch and goes on collecting statistics."""
    return end_alike(_statistics(seen["head"]), _statistics(expected["head"]))


HEAD = nnx.All(nnx.Param, nnx.PathContains("head"))


def _body_in_evaluation(model: Any) -> None:
    model.train()
    model.body.eval()


def _square(model: Any, x: jax.Array, y: jax.Array) -> jax.Array:
    return jnp.mean((model(x) - y) ** 2)


def trained(
    model: Any,
    optimizer: optax.GradientTransformation,
    batches: list[Any],
    which: Part = lambda model: model,
    modes: Part = _body_in_evaluation,
    wrt: Any = HEAD,
    runs: Part = lambda batches: [batches],
    look: Part = lambda *batch: None,
    change: Part = lambda gradients: gradients,
) -> None:
    """The right answer in parts."""
    model = which(model)
    modes(model)
    for run in runs(batches):
        state = nnx.Optimizer(model, optimizer, wrt=wrt)
        for x, y in run:
            look(model, x, y)
            gradients = nnx.grad(_square, argnums=nnx.DiffState(0, wrt))(model, x, y)
            state.update(model, change(gradients))


def _zero_in_body(gradients: Any) -> Any:
    return jax.tree_util.tree_map_with_path(
        lambda keys, leaf: jnp.zeros_like(leaf) if keys[0].key == "body" else leaf, gradients
    )


HEAD_ALONE = (
    "Who trains the head alone leaves the body alone.",
    "A filter governs what the optimizer touches. BatchNorm's mean and variance move in the "
    "forward pass, whenever the body is in training mode. model.train() puts every sub-module into "
    "that mode, the frozen body among them, and undoes an eval() before it.",
    "Which mode is the body in after the last of your mode switches, and which line of a training "
    "step moves the mean of its BatchNorm?",
)
believing = beliefs_about(trained)
BELIEFS = (
    believing(*HEAD_ALONE, modes=lambda model: None),
    believing(*HEAD_ALONE, modes=nnx.Module.train),
    believing(
        "eval() on the whole model is the way to freeze BatchNorm.",
        "It freezes every BatchNorm, the one in the head as well, and that one was meant to train.",
        "On which sub-modules can eval() be called?",
        modes=nnx.Module.eval,
    ),
    believing(
        "A model that I am given is in training mode.",
        "It came from an evaluation and still was in evaluation mode. So the head's BatchNorm "
        "stood still.",
        "Which modes does your function set, and which does it take as it finds them?",
        modes=lambda model: model.body.eval(),
    ),
    believing(
        "eval() freezes the weights.",
        "It changes how layers such as BatchNorm compute. Gradients flow as before, and the "
        "optimizer moved every parameter of the body.",
        "Which variables did you hand to the optimizer?",
        wrt=nnx.Param,
    ),
    believing(
        "The filter names what is to be frozen.",
        "wrt names what is differentiated and trained. The body trained, and the head stood still.",
        "With respect to which variables should the loss be differentiated?",
        wrt=nnx.All(nnx.Param, nnx.PathContains("body")),
    ),
    believing(
        "A parameter with a gradient of zero stays where it is.",
        "It was still the optimizer's to move, and weight decay needs no gradient.",
        "Does the optimizer have to know of the body's parameters at all?",
        wrt=nnx.Param,
        change=_zero_in_body,
    ),
    believing(
        "All that lies below the head is a parameter.",
        "The head's BatchNorm has a mean and a variance below the same path. The optimizer's "
        "weight decay shrank them.",
        "Of which types are the variables that your filter lets through?",
        wrt=nnx.PathContains("head"),
    ),
    believing(
        "An optimizer has no memory.",
        "You made a new one for each batch, so its momentum began at zero each time.",
        "How often is your nnx.Optimizer built?",
        runs=lambda batches: [[batch] for batch in batches],
    ),
    believing(
        "Looking at the loss changes nothing.",
        "A forward pass in training mode moves BatchNorm's statistics, also when it is made "
        "for a print alone. Those of the head have moved twice for each batch.",
        "How often does each batch pass through the head?",
        look=_square,
    ),
    believing(
        "It is enough that some model was trained.",
        "The caller's model came back as it was. What you trained is a copy, such as nnx.clone and "
        "nnx.merge make. The task asks for the caller's own object.",
        "Which object does your optimizer update, and who holds it?",
        which=nnx.clone,
    ),
)


@belief(
    "It is enough to put the statistics back afterwards.",
    "They are the same to the bit, yet while training the body normalised by the batch. "
    "The head has learned from outputs that the body will not give at inference.",
    "Which numbers does a BatchNorm in training mode normalise by?",
)
def put_the_statistics_back(
    model: Any, optimizer: optax.GradientTransformation, batches: list[Any]
) -> None:
    kept = jax.tree.map(jnp.copy, nnx.state(model.body, nnx.BatchStat))
    trained(model, optimizer, batches, modes=nnx.Module.train)
    nnx.update(model.body, kept)


@belief(
    "For nnx.grad(loss)(model.head) the body is a constant.",
    "Its parameters are. But it was in training mode, so its BatchNorm tried to write its "
    "statistics, and nnx.grad, which was given the head alone, does not allow that.",
    "In which mode does the body write nothing?",
)
def differentiate_the_head_alone(
    model: Any, optimizer: optax.GradientTransformation, batches: list[Any]
) -> None:
    model.train()
    run = nnx.Optimizer(model.head, optimizer, wrt=nnx.Param)
    for x, y in batches:
        slope = nnx.grad(lambda head, x=x, y=y: _square(lambda x: head(model.body(x)), x, y))
        run.update(model.head, slope(model.head))


EXERCISE = Exercise(
    reference=train_head,
    challenge=challenge,
    observe=observe,
    hints=(
        "Two things can move in the body: what the optimizer holds, and what the forward pass "
        "updates. Which one does a filter stop?",
        "nnx.All(nnx.Param, nnx.PathContains('head')) picks the head's parameters. Both "
        "nnx.Optimizer(..., wrt=...) and nnx.grad(..., argnums=nnx.DiffState(0, ...)) take it.",
        "train() and eval() can be called on a sub-module. Which goes first, so that the body ends "
        "in evaluation mode and the head in training mode?",
    ),
    lesson="04_explicit_freezing",
    section="BatchNorm moves without a gradient",
    frameworks=("jax",),
    minutes=25,
    difficulty=5,
    note="Whoever calls model.train() after you, say at the start of the next epoch, wakes the "
    "body's BatchNorm again. In a loop of your own put body.eval() right after it.",
)
