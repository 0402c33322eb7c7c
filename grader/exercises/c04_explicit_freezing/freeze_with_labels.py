"""Freeze sub-trees of the parameters with an optax transformation over labels (JAX)."""

import operator
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from grader.instruments import twins
from grader.instruments.moves import drift, end_alike, moved, told
from grader.instruments.optax_state import handed_over, named, owner, trained
from grader.instruments.words import listed
from grader.judging.exercise import Exercise, beliefs_about, claim
from grader.judging.terms import Candidate, Challenge, Evidence, Finding, Inputs, Part


def freeze_with_labels(optimizer, params, frozen):
    """Build an optimizer under which whole sub-trees of the parameters stay where they are.

    The optimizer that you are given has trained all of ``params`` for some steps. Now your
    transformation takes over for five more. The averages gathered so far are not lost: the checker
    copies them into the state that your ``init(params)`` makes. You need do nothing for it.

    Args:
        optimizer: an ``optax.GradientTransformation``, for instance ``optax.adamw(0.01)``. It
            treats each leaf by itself: it holds no clip by the norm of all gradients.
        params: nested dict of arrays. A key may hold a ``"/"``, as in Haiku's ``"mlp/linear_0"``,
            which is one key.
        frozen: tuple of names, each a key at the top of ``params``; it may be empty.

    Returns:
        An ``optax.GradientTransformation``. Under it no leaf below a frozen name moves by a single
        bit, whatever its gradient, and the state holds nothing for it. All other leaves train
        exactly as under ``optimizer``.

    Example:
        >>> params, gradients = ({"body": jnp.ones(2), "head": jnp.ones(2)} for _ in range(2))
        >>> optimizer = freeze_with_labels(optax.sgd(0.5), params, ("body",))
        >>> updates, _ = optimizer.update(gradients, optimizer.init(params), params)
        >>> stepped = optax.apply_updates(params, updates)
        >>> stepped["body"].tolist(), stepped["head"].tolist()
        ([1.0, 1.0], [0.5, 0.5])
    """
    labels = {name: "frozen" if name in frozen else "trainable" for name in params}
    return optax.partition({"trainable": optimizer, "frozen": optax.set_to_zero()}, labels)


Run = dict[str, Any]
"""What `twins.warm_run` gives: parameters, gradients, names that are frozen, settings."""


def challenge(rng: np.random.Generator) -> Challenge:
    def run(**changed: Any) -> Run:
        return {**twins.warm_run(rng), **changed}

    first = run()
    not_numbers = run()
    for gradients in not_numbers["gradients"]:
        gradients["layer1"]["kernel"][0] = np.nan, np.inf, -np.inf, 0
    return {
        twins.CASE: _with_adamw(first),
        "warm averages, no weight decay; layer10 is frozen, layer1 is not": _with_adamw(
            run(weight_decay=0.0, frozen=["layer10"])
        ),
        "warm momentum of SGD": _with_momentum(run()),
        "NaN among the frozen gradients": _with_momentum(not_numbers),
        "frozen names again, deeper down and in longer names": _with_momentum(
            _with_namesakes(run())
        ),
        "nothing is frozen": _with_momentum(run(frozen=[])),
    }


def _with_adamw(run: Run) -> Inputs:
    trees = {key: run.pop(key) for key in ("params", "warmup", "gradients", "frozen")}
    return {**trees, "optimizer": "adamw", "settings": run}


def _with_momentum(run: Run) -> Inputs:
    settings = {"learning_rate": 0.05, "momentum": 0.9}
    return {**_with_adamw(run), "optimizer": "sgd", "settings": settings}


NAMESAKES = ["head", "layer1"]


def _with_namesakes(run: Run) -> Run:
    """The run with more: the frozen `head` has a namesake in the encoder, `scale` is no layer."""

    def grown(tree: Mapping[str, Any]) -> Mapping[str, Any]:
        encoder = {"head": tree["layer1"], "dense": tree["layer10"]}
        more = dict.fromkeys(("lm_head", "layer1/norm"), tree["layer10"])
        return {"encoder": encoder, **more, "scale": tree["head"]["bias"], **tree}

    trees = {key: [grown(tree) for tree in run[key]] for key in ("warmup", "gradients")}
    return {**run, **trees, "params": grown(run["params"]), "frozen": [*NAMESAKES, "scale"]}


def observe(candidate: Candidate, inputs: Inputs) -> Evidence:
    frozen, optimizer = inputs["frozen"], getattr(optax, inputs["optimizer"])(**inputs["settings"])
    params = jax.tree.map(jnp.asarray, inputs["params"])
    params, warm = trained(optimizer, params, optimizer.init(params), inputs["warmup"])
    transformation = candidate(optimizer, params, tuple(frozen))
    if transformation is None:
        return None
    state = handed_over(warm, transformation.init(params))
    after, state = trained(transformation, params, state, inputs["gradients"])
    paths = [path for path, _ in named(params)]
    kept = ["/".join([name, *path]) for name in frozen for path, _ in named(params[name])]
    start, end = ({"/".join(p): np.array(leaf) for p, leaf in named(t)} for t in (params, after))
    held = {"/".join(owner(names, paths) or ()) for names, _ in named(state)}
    return {
        "frozen": {path: end[path] for path in kept},
        "moved": moved(start, end),
        "held": [path for path in kept if path in held],
        "trainable": {path: leaf for path, leaf in end.items() if path not in kept},
    }


def _has_frozen(expected: Evidence) -> bool:
    return bool(expected["frozen"])


@claim(3, "What does your transformation do with a frozen leaf?", _has_frozen)
def nothing_frozen_moves(seen: Evidence, expected: Evidence) -> Finding:
    """In five steps no leaf below a frozen name moves by a single bit, and others do move."""
    start, end = expected["frozen"], seen["frozen"]
    if not seen["moved"]:
        return False, "no leaf moved, frozen or not"
    went = moved(start, end)
    return not went, f"these frozen leaves moved: {told(drift(start, end), went)}"


@claim(2, "Which leaves does the optimizer's init get to see?", _has_frozen, nothing_frozen_moves)
def state_holds_nothing_frozen(seen: Evidence, expected: Evidence) -> Finding:
    """After these steps the state holds nothing for any leaf below a frozen name."""
    return not seen["held"], f"for frozen leaves the state holds: {listed(seen['held'])}"


@claim(3, "Which label does each path get, one by one?", needs=nothing_frozen_moves)
def the_rest_trains_as_before(seen: Evidence, expected: Evidence) -> Finding:
    """Every other leaf ends where the optimizer alone would have taken it."""
    due = "the optimizer alone takes it to {}"
    return end_alike(seen["trainable"], expected["trainable"], due)


def labelled(
    optimizer: optax.GradientTransformation,
    params: Mapping[str, Any],
    frozen: tuple[str, ...],
    is_frozen: Part = lambda names, frozen: names[0] in frozen,
    still: Part = optax.set_to_zero,
    joined: Part = lambda optimizer, still, chosen: optax.partition(
        {True: still, False: optimizer}, chosen
    ),
) -> optax.GradientTransformation:
    """The right answer in parts."""
    chosen = jax.tree.map_with_path(
        lambda keys, _: is_frozen([key.key for key in keys], frozen), params
    )
    return joined(optimizer, still(), chosen)


believing = beliefs_about(labelled)
BELIEFS = (
    believing(
        "What the optimizer does not touch stays.",
        "Where optax.masked does not let the optimizer work, it passes on what came in, as "
        "optax.identity does: the raw gradient, and that is then added. The frozen leaves climbed "
        "the loss.",
        "What does apply_updates add to a leaf that the optimizer never touched?",
        joined=lambda optimizer, still, chosen: optax.masked(
            optimizer, jax.tree.map(operator.not_, chosen)
        ),
    ),
    believing(
        "Without a gradient an optimizer leaves a parameter alone.",
        "You zeroed the gradients, then came the optimizer. Its averages from before still "
        "push, and AdamW's decay shrinks whatever it is given.",
        "Which terms of the AdamW update are left when the gradient is zero?",
        joined=lambda optimizer, still, chosen: optax.chain(optax.masked(still, chosen), optimizer),
    ),
    believing(
        "What does not move costs nothing.",
        "Nothing frozen moved, yet the optimizer goes on averaging its gradients: two more "
        "arrays of its size, computed in every step to be thrown away.",
        "Who gets to see the frozen leaves before their updates are zeroed?",
        joined=lambda optimizer, still, chosen: optax.chain(optimizer, optax.masked(still, chosen)),
    ),
    believing(
        "optax.zero_nans sets updates to zero.",
        "It zeroes those entries that are NaN and passes on all others: raw gradients, which "
        "are then added.",
        "Which transformation zeroes every entry?",
        still=optax.zero_nans,
    ),
    believing(
        "An update times zero is zero.",
        "Not if it is NaN or infinite: zero times these is NaN, and one NaN update ruins the "
        "frozen leaf for good.",
        "What should become of an update that nobody is going to look at?",
        still=lambda: optax.scale(0.0),
    ),
    believing(
        "What True says in a tree of truth values goes without saying.",
        "Libraries disagree. optax.masked reads True as 'work here', optax.freeze and "
        "optax.selective_transform as 'freeze this'. Here the frozen part trained and the rest "
        "stood still.",
        "Which leaves did move, and what do they have in common?",
        is_frozen=lambda names, frozen: names[0] not in frozen,
    ),
    believing(
        "A name that begins like mine means my layer.",
        "layer10 begins with layer1, so it was frozen too, and it was meant to train.",
        "Do you ask how a name begins, or whether it is in the tuple?",
        is_frozen=lambda names, frozen: names[0].startswith(frozen),
    ),
    believing(
        "A path whose text contains a frozen name lies below that name.",
        "layer10/kernel contains layer1, and encoder/head/kernel contains head. Both were "
        "frozen too, and both were meant to train.",
        "Do you look for a text in a text, or for a key in a tuple of names?",
        is_frozen=lambda names, frozen: any(name in "/".join(names) for name in frozen),
    ),
    believing(
        "A frozen name means every layer of that name.",
        "The names are keys at the top of params. The encoder has a head of its own, which was "
        "meant to train.",
        "Which of the keys on a leaf's path do you compare?",
        is_frozen=lambda names, frozen: not set(frozen).isdisjoint(names),
    ),
    believing(
        "A layer is its kernel.",
        "The biases below a frozen name trained on.",
        "How many leaves lie below each frozen name?",
        is_frozen=lambda names, frozen: names[0] in frozen and names[-1] == "kernel",
    ),
)

EXERCISE = Exercise(
    reference=freeze_with_labels,
    challenge=challenge,
    observe=observe,
    hints=(
        "Write down, for one frozen and one trainable leaf, what goes in and what comes out of "
        "each link of your transformation.",
        "optax.partition gives every label a transformation of its own. Each sees only the leaves "
        "with its label, in init as well. Which two labels do you need?",
        "The labels may be a shorter tree: one label for each key at the top of params goes for "
        "all that lies below it. For the frozen ones there is optax.set_to_zero().",
    ),
    lesson="04_explicit_freezing",
    section="Labels, masks and the order of a chain",
    frameworks=("jax",),
    minutes=20,
    difficulty=4,
    twin="take_frozen_step",
    note="optax.selective_transform does the same with a tree of truth values, True for frozen. "
    "With partition the frozen labels can train later, each with an optimizer of its own.",
)
