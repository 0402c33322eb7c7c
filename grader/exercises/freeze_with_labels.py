"""Freeze sub-trees of the parameters with an optax transformation over labels (JAX)."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from grader import twins
from grader.evidence import alike, number, numbers
from grader.exercise import Claim, Exercise, Misconception
from grader.optax_state import handed_over, named, owner


def freeze_with_labels(optimizer, params, frozen):
    """Build an optimizer under which whole sub-trees of the parameters stay where they are.

    The optimizer that you are given has trained all of ``params`` for some steps. Now your
    transformation takes over for five more. The averages gathered so far are not lost: the checker
    copies them into the state that your ``init(params)`` makes. You need do nothing for it.

    Args:
        optimizer: an ``optax.GradientTransformation``, for instance ``optax.adamw(0.01)``. It
            treats each leaf by itself: it holds no clip by the norm of all gradients.
        params: nested dict of arrays.
        frozen: tuple of names, each a key at the top of ``params``; it may be empty.

    Returns:
        An ``optax.GradientTransformation``. Under it no leaf below a frozen name moves by a single
        bit, whatever its gradient, and the state holds nothing for it. All other leaves train
        exactly as under ``optimizer``.
    """
    labels = {name: "frozen" if name in frozen else "trainable" for name in params}
    return optax.partition({"trainable": optimizer, "frozen": optax.set_to_zero()}, labels)


def challenge(rng):
    def case(run, optimizer="adamw"):
        other = ("params", "warmup", "gradients", "frozen")
        settings = {key: value for key, value in run.items() if key not in other}
        return {key: run[key] for key in other} | {"optimizer": optimizer, "settings": settings}

    def momentum(run):
        kept = {key: run[key] for key in ("params", "warmup", "gradients", "frozen")}
        return case({**kept, "learning_rate": 0.05, "momentum": 0.9}, "sgd")

    first = twins.warm_run(rng)
    without_decay, without_number = twins.warm_run(rng), twins.warm_run(rng)
    for gradients in without_number["gradients"]:
        gradients["layer1"]["kernel"][0] = np.nan, np.inf, -np.inf, 0
    return {
        twins.CASE: case(first),
        "warm averages, no weight decay": case({**without_decay, "weight_decay": 0.0}),
        "warm momentum of SGD": momentum(twins.warm_run(rng)),
        "NaN among the frozen gradients": case(without_number),
        "a frozen name again deeper down": case(_nested(twins.warm_run(rng))),
        "nothing is frozen": case({**twins.warm_run(rng), "frozen": []}),
    }


def _nested(run):
    """The run with its layers moved: the frozen `head` has a namesake in the encoder."""

    def nest(tree):
        return {"encoder": {"head": tree["layer1"], "layer10": tree["layer10"]}, **tree}

    trees = {key: [nest(tree) for tree in run[key]] for key in ("warmup", "gradients")}
    return {**run, **trees, "params": nest(run["params"]), "frozen": ["head", "layer1"]}


def observe(candidate, inputs):
    frozen, optimizer = inputs["frozen"], getattr(optax, inputs["optimizer"])(**inputs["settings"])
    params = jax.tree.map(jnp.asarray, inputs["params"])
    params, warm = _trained(optimizer, params, optimizer.init(params), inputs["warmup"])
    transformation = candidate(optimizer, params, tuple(frozen))
    if transformation is None:
        return None
    state = handed_over(warm, transformation.init(params))
    after, state = _trained(transformation, params, state, inputs["gradients"])
    before, after = ({path: np.array(p) for path, p in named(tree)} for tree in (params, after))
    held = {owner(names, before) for names, _ in named(state)} - {None}
    kept = [path for path in before if path[0] in frozen]
    return {
        "moved": ["/".join(p) for p in kept if before[p].tobytes() != after[p].tobytes()],
        "drift": {"/".join(p): abs(after[p] - before[p]).max() for p in kept},
        "held": ["/".join(p) for p in kept if p in held],
        "trainable": {"/".join(p): leaf for p, leaf in after.items() if p not in kept},
    }


def _trained(transformation, params, state, gradients):
    for gradient in gradients:
        gradient = jax.tree.map(jnp.asarray, gradient)
        updates, state = transformation.update(gradient, state, params)
        params = optax.apply_updates(params, updates)
    return params, state


def nothing_frozen_moves(seen, expected):
    """In five steps no leaf below a frozen name moves by a single bit."""
    if not expected["drift"]:
        return None
    moved = [f"{path} by up to {number(seen['drift'][path])}" for path in seen["moved"]]
    return not moved, f"these frozen leaves moved: {', '.join(moved) or 'none'}"


def state_holds_nothing_frozen(seen, expected):
    """After these steps the state holds nothing for any leaf below a frozen name."""
    if not expected["drift"]:
        return None
    words = ", ".join(seen["held"]) or "none of them"
    return not seen["held"], f"the state holds arrays for {words}"


def the_rest_trains_as_before(seen, expected):
    """Every other leaf ends where the optimizer alone would have taken it."""
    ends, right = seen["trainable"], expected["trainable"]
    astray = [path for path in right if not alike(ends[path], right[path])]
    words = [
        f"{path} ends at {numbers(ends[path].ravel(), 3)}, where the optimizer alone takes it to "
        f"{numbers(right[path].ravel(), 3)}"
        for path in astray[:1]
    ]
    more = f", and {len(astray) - 1} more" if len(astray) > 1 else ""
    return not astray, (words or ["all end where they should"])[0] + more


def _frozen_leaves(params, is_frozen):
    """A tree like params of truth values: `is_frozen` of each leaf's names."""
    return jax.tree_util.tree_map_with_path(
        lambda keys, _: is_frozen([key.key for key in keys]), params
    )


def _partitioned(optimizer, params, is_frozen, held=None):
    """The right answer, but for which leaves are frozen and what becomes of them."""
    labels = jax.tree.map(
        lambda frozen: "frozen" if frozen else "trainable", _frozen_leaves(params, is_frozen)
    )
    return optax.partition({"trainable": optimizer, "frozen": held or optax.set_to_zero()}, labels)


def mask_the_frozen_out(optimizer, params, frozen):
    trainable = _frozen_leaves(params, lambda names: names[0] not in frozen)
    return optax.masked(optimizer, trainable)


def zero_the_gradients_first(optimizer, params, frozen):
    chosen = _frozen_leaves(params, lambda names: names[0] in frozen)
    return optax.chain(optax.masked(optax.set_to_zero(), chosen), optimizer)


def zero_the_updates_last(optimizer, params, frozen):
    chosen = _frozen_leaves(params, lambda names: names[0] in frozen)
    return optax.chain(optimizer, optax.masked(optax.set_to_zero(), chosen))


def zero_what_is_not_a_number(optimizer, params, frozen):
    return _partitioned(optimizer, params, lambda names: names[0] in frozen, optax.zero_nans())


def multiply_by_zero(optimizer, params, frozen):
    return _partitioned(optimizer, params, lambda names: names[0] in frozen, optax.scale(0.0))


def train_what_is_frozen(optimizer, params, frozen):
    return _partitioned(optimizer, params, lambda names: names[0] not in frozen)


def go_by_the_beginning(optimizer, params, frozen):
    return _partitioned(optimizer, params, lambda names: names[0].startswith(tuple(frozen)))


def go_by_part_of_the_path(optimizer, params, frozen):
    return _partitioned(
        optimizer, params, lambda names: any(name in "/".join(names) for name in frozen)
    )


def go_by_any_key(optimizer, params, frozen):
    return _partitioned(optimizer, params, lambda names: not set(frozen).isdisjoint(names))


def freeze_the_kernels_only(optimizer, params, frozen):
    return _partitioned(optimizer, params, lambda n: n[0] in frozen and n[-1] == "kernel")


EXERCISE = Exercise(
    reference=freeze_with_labels,
    challenge=challenge,
    observe=observe,
    claims=(
        Claim(nothing_frozen_moves, 3, "What does your transformation do with a frozen leaf?"),
        Claim(state_holds_nothing_frozen, 2, "Which leaves does the optimizer's init get to see?"),
        Claim(the_rest_trains_as_before, 3, "Which label does each path get, one by one?"),
    ),
    misconceptions=(
        Misconception(
            "What an optimizer does not touch stays: optax.masked(optimizer, trainable) freezes.",
            "masked says where the optimizer works. Elsewhere it passes on what came in, the raw "
            "gradient, and that is then added. The frozen leaves climbed the loss.",
            "What does apply_updates add to a leaf that the optimizer never touched?",
            mask_the_frozen_out,
        ),
        Misconception(
            "Without a gradient an optimizer leaves a parameter alone.",
            "You zeroed the gradients, then came the optimizer. Its averages from before still "
            "push, and AdamW's decay shrinks whatever it is given.",
            "Which terms of the AdamW update are left when the gradient is zero?",
            zero_the_gradients_first,
        ),
        Misconception(
            "What does not move costs nothing.",
            "Nothing frozen moved, yet the optimizer goes on averaging its gradients: two more "
            "arrays of its size, computed in every step to be thrown away.",
            "Who gets to see the frozen leaves before their updates are zeroed?",
            zero_the_updates_last,
        ),
        Misconception(
            "optax.zero_nans sets updates to zero.",
            "It zeroes those entries that are NaN and passes on all others: raw gradients, which "
            "are then added.",
            "Which transformation zeroes every entry?",
            zero_what_is_not_a_number,
        ),
        Misconception(
            "An update times zero is zero.",
            "Not if it is NaN or infinite: zero times these is NaN, and one NaN update ruins the "
            "frozen leaf for good.",
            "What should become of an update that nobody is going to look at?",
            multiply_by_zero,
        ),
        Misconception(
            "In a tree of labels or truth values, True means frozen.",
            "Libraries disagree. optax.masked reads True as 'work here', optax.freeze as 'freeze "
            "this'. Here the frozen part trained and the rest stood still.",
            "Which leaves did move, and what do they have in common?",
            train_what_is_frozen,
        ),
        Misconception(
            "A name that begins like mine means my layer.",
            "layer10 begins with layer1, so it was frozen too, and it was meant to train.",
            "Do you ask how a name begins, or whether it is in the tuple?",
            go_by_the_beginning,
        ),
        Misconception(
            "A path whose text contains a frozen name lies below that name.",
            "layer10/kernel contains layer1, and encoder/head/kernel contains head. Both were "
            "frozen too, and both were meant to train.",
            "Do you look for a text in a text, or for a key in a tuple of names?",
            go_by_part_of_the_path,
        ),
        Misconception(
            "A frozen name means every layer of that name.",
            "The names are keys at the top of params. The encoder has a head of its own, which was "
            "meant to train.",
            "Which of the keys on a leaf's path do you compare?",
            go_by_any_key,
        ),
        Misconception(
            "A layer is its kernel.",
            "The biases below a frozen name trained on.",
            "How many leaves lie below each frozen name?",
            freeze_the_kernels_only,
        ),
    ),
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
    twin="take_frozen_step",
    note="optax.selective_transform does the same with a tree of truth values, True for frozen. "
    "With partition the frozen labels can train later, each with an optimizer of its own.",
)
