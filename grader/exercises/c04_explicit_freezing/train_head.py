"""Train the head of a model whose frozen body holds a BatchNorm (Flax nnx)."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from flax.errors import TraceContextError

from grader.judging.evidence import alike, number, numbers
from grader.judging.exercise import Claim, Exercise, Misconception

STEPS, SAMPLES, WIDTH = 2, 8, 4


def train_head(model, optimizer, batches):
    """Train the head of a model and leave its body as it is, BatchNorm's statistics included.

    ``model(x)`` is ``model.head(model.body(x))``, with a BatchNorm in each. The body is frozen: it
    computes what it computes at inference, and neither a parameter nor a running statistic of it
    moves by a single bit. The head trains in the ordinary way: its BatchNorm normalises by the
    batch and collects statistics.

    Args:
        model: ``nnx.Module`` with the sub-modules ``body`` and ``head``, trained in place. It may
            come in training or in evaluation mode.
        optimizer: an ``optax.GradientTransformation``, perhaps with momentum and weight decay. It
            goes over the parameters of the head, in one run through all batches.
        batches: list of pairs ``(x, y)`` of float32 arrays, each of shape (N, 4). Each pair makes
            one step, in order, on the mean of the squared differences of ``model(x)`` and ``y``.
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


class Part(nnx.Module):
    """A BatchNorm and a dense layer."""

    def __init__(self, rngs):
        self.norm = nnx.BatchNorm(WIDTH, momentum=0.9, rngs=rngs)
        self.linear = nnx.Linear(WIDTH, WIDTH, rngs=rngs)

    def __call__(self, x):
        return self.linear(self.norm(x))


class Model(nnx.Module):
    """A body under a head."""

    def __init__(self, rngs):
        self.body = Part(rngs)
        self.head = Part(rngs)

    def __call__(self, x):
        return self.head(self.body(x))


def challenge(rng):
    def normal(*shape):
        return rng.normal(size=shape).astype(np.float32)

    def positive(*shape):
        return rng.uniform(0.5, 2, size=shape).astype(np.float32)

    def part():
        norm = {"scale": positive(WIDTH), "bias": normal(WIDTH)}
        norm |= {"mean": normal(WIDTH), "var": positive(WIDTH)}
        return {"norm": norm, "linear": {"kernel": normal(WIDTH, WIDTH), "bias": normal(WIDTH)}}

    def case(mode):
        return {
            "model": {"body": part(), "head": part()},
            "mode": mode,
            "x": normal(STEPS, SAMPLES, WIDTH),
            "y": normal(STEPS, SAMPLES, WIDTH),
            "learning_rate": float(rng.uniform(0.02, 0.04)),
            "momentum": 0.9,
            "weight_decay": float(rng.uniform(0.5, 1.0)),
        }

    return {
        "a model in training mode": case("train"),
        "a model in evaluation mode": case("eval"),
    }


def observe(candidate, inputs):
    model = nnx.eval_shape(lambda: Model(nnx.Rngs(0)))
    nnx.update(model, jax.tree.map(jnp.asarray, inputs["model"]))
    x, y = jnp.asarray(inputs["x"]), jnp.asarray(inputs["y"])
    optimizer = optax.chain(
        optax.add_decayed_weights(inputs["weight_decay"]),
        optax.sgd(inputs["learning_rate"], momentum=inputs["momentum"]),
    )
    before, output = _leaves(model), _body_output(model, x[0])
    getattr(model, inputs["mode"])()
    try:
        candidate(model, optimizer, list(zip(x, y, strict=True)))
    except TraceContextError as error:
        if "BatchStat" in str(error):
            error.args = (OUT_OF_REACH,)
        raise
    gone = dict.fromkeys(before, np.full(1, np.nan))
    after = gone | _leaves(model)
    body = [path for path in before if path.startswith("body.")]
    return {
        "moved": [path for path in body if before[path].tobytes() != after[path].tobytes()],
        "drift": {path: abs(after[path] - before[path]).max() for path in body},
        "output": abs(_body_output(model, x[0]) - output).max(),
        "head": {path: after[path] for path in before if path not in body},
    }


OUT_OF_REACH = (
    "a BatchNorm in training mode tried to write its statistics inside a transformation that was "
    "not given its module, as nnx.grad(loss)(model.head) is not given the body"
)


def _leaves(model):
    leaves = jax.tree_util.tree_leaves_with_path(nnx.as_pure(nnx.state(model)))
    return {".".join(key.key for key in keys): np.array(leaf) for keys, leaf in leaves}


def _body_output(model, x):
    model.body.eval()
    return model.body(x)


STATISTICS = ("mean", "var")


def _still(seen, expected, are_meant):
    moved = [path for path in seen["moved"] if are_meant(path)]
    words = ", ".join(f"{path} by up to {number(seen['drift'][path])}" for path in moved)
    return not moved, f"these moved: {words or 'none'}"


def body_parameters_stay(seen, expected):
    """No parameter of the body moves by a single bit."""
    return _still(seen, expected, lambda path: not path.endswith(STATISTICS))


def body_statistics_stay(seen, expected):
    """Neither running statistic of the body's BatchNorm moves by a single bit."""
    return _still(seen, expected, lambda path: path.endswith(STATISTICS))


def body_computes_the_same(seen, expected):
    """In evaluation mode the body gives the same output for the same input as before."""
    return seen["output"] == 0, f"the body's output moved by up to {number(seen['output'])}"


def _ends(seen, expected, are_meant):
    meant = [path for path in expected["head"] if are_meant(path)]
    ends, right = seen["head"], expected["head"]
    astray = [path for path in meant if not alike(ends[path], right[path])]
    words = [
        f"{path} ends at {numbers(ends[path].ravel(), 3)}, where "
        f"{numbers(right[path].ravel(), 3)} was expected"
        for path in astray[:1]
    ]
    more = f", and {len(astray) - 1} more" if len(astray) > 1 else ""
    return not astray, (words or ["all end where they should"])[0] + more


def head_trains(seen, expected):
    """The head's parameters end where the optimizer takes them on the body's fixed outputs."""
    return _ends(seen, expected, lambda path: not path.endswith(STATISTICS))


def head_statistics_go_on(seen, expected):
    """The head's BatchNorm normalises by the batch and goes on collecting statistics."""
    return _ends(seen, expected, lambda path: path.endswith(STATISTICS))


HEAD = nnx.All(nnx.Param, nnx.PathContains("head"))


def _body_in_evaluation(model):
    model.train()
    model.body.eval()


def _train(model, optimizer, batches, wrt=HEAD, change=lambda gradients: gradients, look=None):
    """Take the steps in whatever mode the model is in; `look` at each batch first."""

    def loss_of(model, x, y):
        return jnp.mean((model(x) - y) ** 2)

    run = nnx.Optimizer(model, optimizer, wrt=wrt)
    for x, y in batches:
        if look:
            look(model, x, y)
        gradients = nnx.grad(loss_of, argnums=nnx.DiffState(0, wrt))(model, x, y)
        run.update(model, change(gradients))


def rely_on_the_filter(model, optimizer, batches):
    _train(model, optimizer, batches)


def go_back_to_training_mode(model, optimizer, batches):
    model.eval()
    model.train()
    _train(model, optimizer, batches)


def put_all_in_evaluation_mode(model, optimizer, batches):
    model.eval()
    _train(model, optimizer, batches)


def expect_training_mode(model, optimizer, batches):
    model.body.eval()
    _train(model, optimizer, batches)


def take_evaluation_for_a_freeze(model, optimizer, batches):
    _body_in_evaluation(model)
    _train(model, optimizer, batches, nnx.Param)


def freeze_the_head(model, optimizer, batches):
    _body_in_evaluation(model)
    _train(model, optimizer, batches, nnx.All(nnx.Param, nnx.PathContains("body")))


def zero_the_gradients_of_the_body(model, optimizer, batches):
    def zero(keys, gradient):
        return jnp.zeros_like(gradient) if keys[0].key == "body" else gradient

    _body_in_evaluation(model)
    _train(
        model, optimizer, batches, nnx.Param, lambda g: jax.tree_util.tree_map_with_path(zero, g)
    )


def filter_by_path_alone(model, optimizer, batches):
    _body_in_evaluation(model)
    _train(model, optimizer, batches, nnx.PathContains("head"))


def start_the_optimizer_anew(model, optimizer, batches):
    _body_in_evaluation(model)
    for batch in batches:
        _train(model, optimizer, [batch])


def put_the_statistics_back(model, optimizer, batches):
    kept = jax.tree.map(jnp.copy, nnx.state(model.body, nnx.BatchStat))
    model.train()
    _train(model, optimizer, batches)
    nnx.update(model.body, kept)


def look_at_the_loss(model, optimizer, batches):
    _body_in_evaluation(model)
    _train(model, optimizer, batches, look=lambda model, x, y: jnp.mean((model(x) - y) ** 2))


def differentiate_the_head_alone(model, optimizer, batches):
    model.train()
    run = nnx.Optimizer(model.head, optimizer, wrt=nnx.Param)
    for x, y in batches:

        def loss_of(head, x=x, y=y):
            return jnp.mean((head(model.body(x)) - y) ** 2)

        run.update(model.head, nnx.grad(loss_of)(model.head))


def train_a_copy(model, optimizer, batches):
    copy = nnx.clone(model)
    _body_in_evaluation(copy)
    _train(copy, optimizer, batches)


EXERCISE = Exercise(
    reference=train_head,
    challenge=challenge,
    observe=observe,
    claims=(
        Claim(body_parameters_stay, 3, "Which variables does your optimizer hold?"),
        Claim(body_statistics_stay, 3, "What moves the running statistics, if not a gradient?"),
        Claim(body_computes_the_same, 1, "What does the body's output depend on?"),
        Claim(head_trains, 3, "Which batch, loss, optimizer and modes enter each step?"),
        Claim(head_statistics_go_on, 1, "In which mode is the head while it trains?"),
    ),
    misconceptions=(
        Misconception(
            "A filter on the parameters of the head freezes all the rest.",
            "The filter governs what the optimizer touches. BatchNorm's mean and variance move in "
            "the forward pass, whenever the model is in training mode.",
            "Which line of a training step moves the mean of a BatchNorm?",
            rely_on_the_filter,
        ),
        Misconception(
            "eval() once is enough, whatever follows.",
            "model.train() sets the mode of every sub-module, the frozen body among them. It "
            "undid your eval().",
            "Which mode does the body have after the last of your mode switches?",
            go_back_to_training_mode,
        ),
        Misconception(
            "eval() on the whole model is the way to freeze BatchNorm.",
            "It freezes every BatchNorm, the one in the head as well, and that one was meant to "
            "train.",
            "On which sub-modules can eval() be called?",
            put_all_in_evaluation_mode,
        ),
        Misconception(
            "A model that I am given is in training mode.",
            "It came from an evaluation and still was in evaluation mode. So the head's BatchNorm "
            "stood still.",
            "Which modes does your function set, and which does it take as it finds them?",
            expect_training_mode,
        ),
        Misconception(
            "eval() freezes the weights.",
            "It changes how layers such as BatchNorm compute. Gradients flow as before, and the "
            "optimizer moved every parameter of the body.",
            "Which variables did you hand to the optimizer?",
            take_evaluation_for_a_freeze,
        ),
        Misconception(
            "The filter names what is to be frozen.",
            "wrt names what is differentiated and trained. The body trained, and the head stood "
            "still.",
            "With respect to which variables should the loss be differentiated?",
            freeze_the_head,
        ),
        Misconception(
            "A parameter with a gradient of zero stays where it is.",
            "It was still the optimizer's to move, and weight decay needs no gradient.",
            "Does the optimizer have to know of the body's parameters at all?",
            zero_the_gradients_of_the_body,
        ),
        Misconception(
            "All that lies below the head is a parameter.",
            "The head's BatchNorm has a mean and a variance below the same path. The optimizer's "
            "weight decay shrank them.",
            "Of which types are the variables that your filter lets through?",
            filter_by_path_alone,
        ),
        Misconception(
            "An optimizer has no memory.",
            "You made a new one for each batch, so its momentum began at zero each time.",
            "How often is your nnx.Optimizer built?",
            start_the_optimizer_anew,
        ),
        Misconception(
            "It is enough to put the statistics back afterwards.",
            "They are the same to the bit, yet while training the body normalised by the batch. "
            "The head has learned from outputs that the body will not give at inference.",
            "Which numbers does a BatchNorm in training mode normalise by?",
            put_the_statistics_back,
        ),
        Misconception(
            "Looking at the loss changes nothing.",
            "A forward pass in training mode moves BatchNorm's statistics, also when it is made "
            "for a print alone. Those of the head have moved twice for each batch.",
            "How often does each batch pass through the head?",
            look_at_the_loss,
        ),
        Misconception(
            "For nnx.grad(loss)(model.head) the body is a constant.",
            "Its parameters are. But it was in training mode, so its BatchNorm tried to write its "
            "statistics, and nnx.grad, which was given the head alone, does not allow that.",
            "In which mode does the body write nothing?",
            differentiate_the_head_alone,
        ),
        Misconception(
            "It is enough that some model was trained.",
            "The caller's model came back as it was. Either nothing trained, or a copy did, such "
            "as nnx.clone and nnx.merge make. The task asks for the caller's own object.",
            "Which object does your optimizer update, if any, and who holds it?",
            train_a_copy,
        ),
    ),
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
    note="Whoever calls model.train() after you, say at the start of the next epoch, wakes the "
    "body's BatchNorm again. In a loop of your own put body.eval() right after it.",
)
