"""Train the head alone, then everything, with an optimizer and a memory for each part (JAX).

Source: Kumar et al. 2022, "Fine-Tuning can Distort Pretrained Features and Underperform
Out-of-Distribution", arXiv:2202.10054.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from grader.instruments.moves import end_alike
from grader.instruments.two_parts import run, trained
from grader.instruments.words import listed
from grader.judging.exercise import Exercise, beliefs_about, claim, of_kind
from grader.judging.terms import Candidate, Challenge, Evidence, Finding, Inputs, Part


def head_then_all(params, head_optimizer, body_optimizer, loss, head_batches, all_batches):
    """Train a head on a frozen body, then both, and forget nothing in between.

    Each part has an optimizer of its own, with a memory of its own. For each of ``head_batches``
    the head makes a step, and the body stays as it is to the bit. Then, for each of
    ``all_batches``, both make a step, on slopes taken at the same place. The head's memory goes on
    from what it was; the body's begins with the first step that the body makes.

    Args:
        params: dict with the keys "body" and "head", each a nested dict of arrays. It stays as it
            is.
        head_optimizer, body_optimizer: ``optax.GradientTransformation``, perhaps with weight decay,
            that steps the one part or the other.
        loss: function of such a dict, ``x`` and ``y``, which gives a scalar.
        head_batches, all_batches: lists of pairs ``(x, y)``. Either may be empty.

    Returns:
        Dict like ``params``, with the parameters after the last step.

    Example:
        >>> params = {"body": {"w": jnp.array(1.0)}, "head": {"w": jnp.array(1.0)}}
        >>> def loss(params, x, y):
        ...     return params["body"]["w"] * x + params["head"]["w"] * y
        >>> quick, slow = optax.sgd(0.5), optax.sgd(0.25)
        >>> trained = head_then_all(params, quick, slow, loss, [(1.0, 1.0)], [(1.0, 1.0)])
        >>> trained["body"]["w"].item(), trained["head"]["w"].item()
        (0.75, 0.0)
    """

    def stepped(part, slope, optimizer, memory):
        step, memory = optimizer.update(slope, memory, part)
        return optax.apply_updates(part, step), memory

    def of_head(head, x, y):
        return loss({"body": body, "head": head}, x, y)

    body, head = params["body"], params["head"]
    known, fresh = head_optimizer.init(head), body_optimizer.init(body)
    for x, y in head_batches:
        head, known = stepped(head, jax.grad(of_head)(head, x, y), head_optimizer, known)
    for x, y in all_batches:
        slopes = jax.grad(loss)({"body": body, "head": head}, x, y)
        head, known = stepped(head, slopes["head"], head_optimizer, known)
        body, fresh = stepped(body, slopes["body"], body_optimizer, fresh)
    return {"body": body, "head": head}


def challenge(rng: np.random.Generator) -> Challenge:
    def of(kind: str, head: int, both: int, *optimizers: str) -> Inputs:
        return {"kind": kind, **run(rng, head, both, *optimizers)}

    return {
        "the head alone, SGD": of("head", 4, 0, "sgd", "sgd"),
        "the head alone, AdamW": of("head", 3, 0, "adamw", "adamw"),
        "first the head, then all, SGD": of("plain", 3, 3, "sgd", "sgd"),
        "all from the start, SGD": of("plain", 0, 3, "sgd", "sgd"),
        "first the head, then all, momentum": of("memory", 3, 3, "momentum", "momentum"),
        "first the head, then all, AdamW": of("memory", 4, 2, "adamw", "adamw"),
        "a head with AdamW on a body with momentum": of("memory", 3, 3, "adamw", "momentum"),
        "a head with momentum on a body with AdamW": of("memory", 2, 4, "momentum", "adamw"),
    }


def observe(candidate: Candidate, inputs: Inputs) -> Evidence:
    seen = trained(candidate, inputs)
    return {"kind": inputs["kind"], **seen} if isinstance(seen, dict) else seen


def _ends(seen: Evidence, expected: Evidence, part: str) -> Finding:
    return end_alike(seen[part], expected[part])


@claim(2, "Which parameters does each step of the first part move?", of_kind("head"))
def trains_the_head(seen: Evidence, expected: Evidence) -> Finding:
    """In the first part the head ends where its optimizer takes it on the given body."""
    return _ends(seen, expected, "head")


@claim(2, "What moves a parameter whose slope is zero?", of_kind("head"), trains_the_head)
def keeps_the_body(seen: Evidence, expected: Evidence) -> Finding:
    """In the first part the body stays as it is, to the bit."""
    still = seen["body moved"]
    return not still, f"these moved: {listed(still[:4])}"


@claim(2, "At which parameters do you take the slopes of a step?", of_kind("plain"))
def trains_both(seen: Evidence, expected: Evidence) -> Finding:
    """In the second part body and head end where their optimizers take them."""
    met, words = _ends(seen, expected, "head")
    return _ends(seen, expected, "body") if met else (met, words)


@claim(3, "What does the head's optimizer know of the first part?", of_kind("memory"), trains_both)
def remembers_the_first_part(seen: Evidence, expected: Evidence) -> Finding:
    """The head goes on with the memory that it has from the first part."""
    return _ends(seen, expected, "head")


@claim(2, "When does the body's memory begin?", of_kind("memory"), trains_both)
def gives_the_body_its_own(seen: Evidence, expected: Evidence) -> Finding:
    """The body begins with an empty memory, with its first step, in its own optimizer."""
    return _ends(seen, expected, "body")


@claim(1, "Which dict do you write into?", needs=trains_both)
def leaves_params_alone(seen: Evidence, expected: Evidence) -> Finding:
    """The params given are as they were, and what is returned has the same leaves."""
    if seen["leaves"] != expected["leaves"]:
        return False, f"you return the leaves {listed(seen['leaves'][:6])}"
    return not seen["changed"], f"changed: {listed(seen['changed'][:3])}"


Batches = Sequence[tuple[Any, Any]]
State = tuple[Any, Any]
"""A part and the memory of its optimizer."""


def _stepped(state: State, slope: Any, optimizer: optax.GradientTransformation) -> State:
    part, memory = state
    step, memory = optimizer.update(slope, memory, part)
    return optax.apply_updates(part, step), memory


def _anew(state: State, slope: Any, optimizer: optax.GradientTransformation) -> State:
    return _stepped((state[0], optimizer.init(state[0])), slope, optimizer)


def _still(state: State, slope: Any, optimizer: optax.GradientTransformation) -> State:
    return state


def _on_zeros(state: State, slope: Any, optimizer: optax.GradientTransformation) -> State:
    return _stepped(state, jax.tree.map(jnp.zeros_like, slope), optimizer)


def finished(
    params: Any,
    head_optimizer: optax.GradientTransformation,
    body_optimizer: optax.GradientTransformation,
    loss: Callable[..., Any],
    head_batches: Batches,
    all_batches: Batches,
    step: Part = _stepped,
    body_first: Part = _still,
    between: Part = lambda state, optimizer: state,
    head_later: Part | None = None,
    at_once: bool = True,
    own: Part = lambda head, body: (head, body),
) -> Any:
    """The right answer in parts."""

    def slopes(x: Any, y: Any) -> Any:
        return jax.grad(loss)({"body": body[0], "head": head[0]}, x, y)

    head = (params["head"], head_optimizer.init(params["head"]))
    body = (params["body"], body_optimizer.init(params["body"]))
    for x, y in head_batches:
        slope = slopes(x, y)
        head = step(head, slope["head"], head_optimizer)
        body = body_first(body, slope["body"], body_optimizer)
    head_optimizer, body_optimizer = own(head_optimizer, body_optimizer)
    head, body = between(head, head_optimizer), body
    for x, y in all_batches:
        slope = slopes(x, y)
        head = (head_later or step)(head, slope["head"], head_optimizer)
        slope = slope if at_once else slopes(x, y)
        body = step(body, slope["body"], body_optimizer)
    return {"body": body[0], "head": head[0]}


def _empty(state: State, optimizer: optax.GradientTransformation) -> State:
    return state[0], optimizer.init(state[0])


believing = beliefs_about(finished)
BELIEFS = (
    believing(
        "With other parameters to train, an optimizer has to begin anew.",
        "The head's parameters are the same as before. With an empty memory its first steps are "
        "those of a cold start: Adam's have the full rate, whatever the slope.",
        "How many steps has the head made when the second part begins?",
        between=_empty,
    ),
    believing(
        "An optimizer has no memory.",
        "Momentum and Adam keep averages from step to step. You begin them anew with each batch.",
        "How often is init called for the head?",
        step=_anew,
    ),
    believing(
        "A parameter with a slope of zero stays where it is.",
        "Weight decay moves it all the same. And Adam counts those steps, so that its first true "
        "one is another.",
        "Does the body's optimizer have to hear of the first part at all?",
        body_first=_on_zeros,
    ),
    believing(
        "The first part only needs a loss that falls.",
        "The body was trained along. That is plain fine-tuning: slopes through a random head "
        "bend the features before there is anything to be learned from them.",
        "Which parts have moved after the first batch?",
        body_first=_stepped,
    ),
    believing(
        "After its own part the head is done.",
        "It was right for the features of before. The body moves now, and the head has to follow.",
        "Which parts make a step for each of all_batches?",
        head_later=_still,
    ),
    believing(
        "The head may step first, and the body on what is then.",
        "Both slopes belong to one place. The body's was taken where the head had moved on.",
        "How often is the loss differentiated for a batch?",
        at_once=False,
    ),
    believing(
        "The body's optimizer is the one of the second part.",
        "Each part keeps its own. The head has changed its rate, and its memory with it.",
        "Which optimizer steps the head in the second part?",
        own=lambda head, body: (body, body),
        between=_empty,
    ),
)

EXERCISE = Exercise(
    reference=head_then_all,
    challenge=challenge,
    observe=observe,
    hints=(
        "An optax state belongs to the parameters that init was given. How many states do you "
        "need, and when is each of them made?",
        "In the first part differentiate by the head alone: a function of the head that puts it "
        "into a dict beside the body.",
        "step, state = optimizer.update(slope, state, part), then optax.apply_updates(part, step). "
        "In the second part take one jax.grad of the whole dict and use its two entries.",
    ),
    lesson="09_transfer",
    section="Head first, then all",
    frameworks=("jax",),
    minutes=20,
    difficulty=4,
    note="In torch the same is one optimizer to which the body is added as a group: the state is "
    "kept by parameter, and a new one begins with none. optax.partition does it in one state, if "
    "both labels are there from the start.",
)
