"""Set one kernel in a pytree of parameters to zero (JAX)."""

import copy

import jax
import jax.numpy as jnp
import numpy as np

from grader.instruments import surgery
from grader.judging.exercise import Exercise, Misconception, claim, needing
from grader.judging.terms import Evidence, Finding


def zero_kernel(params, path):
    """Set the kernel of one layer in a pytree of parameters to zero.

    Args:
        params: nested dict of arrays, of any depth. It must come through unharmed. The arrays are
            JAX's or, as some checkpoints load them, numpy's. Two paths may lead to the very same
            layer dict, or array (tied weights).
        path: tuple of keys that leads from the top of ``params`` to one layer, for instance
            ``("encoder", "Dense_1")``. A layer is a dict; its leaf ``"kernel"`` becomes zero.

    Returns:
        A nested dict like ``params`` in which that one leaf is all zeros, in its own shape and
        dtype, whatever it held before. Every other leaf is the same array or an equal one, also
        where its layer is tied to the one at ``path``.

    Raises:
        KeyError: ``path`` leads nowhere, to an array or past one, or to a dict without a kernel of
            its own. The message holds each key of ``path``.
    """
    place = (*path, "kernel")
    leaves = jax.tree_util.tree_leaves_with_path(params)
    if place not in {tuple(key.key for key in keys) for keys, _ in leaves}:
        raise KeyError(f"there is no kernel at {path}")

    def zero_there(keys, leaf):
        return jnp.zeros_like(leaf) if tuple(key.key for key in keys) == place else leaf

    return jax.tree_util.tree_map_with_path(zero_there, params)


PARTS = ("encoder", "decoder", "backbone", "head", "stem", "readout")


def challenge(rng):
    body, other, head = map(str, rng.choice(PARTS, 3, replace=False))
    one, two = (f"Dense_{k}" for k in rng.choice(range(1, 10), 2, replace=False))

    def case(params, *path, **more):
        plain = {"params": params, "path": list(path), "tied": [], "numpy": False, "fails": False}
        return plain | more

    def tree(*names, dtype="float32"):
        layers = {name: surgery.dense(rng, dtype) for name in names}
        return {body: layers, head: surgery.dense(rng)}

    def twice(name):
        return {body: {name: surgery.dense(rng)}, other: {name: surgery.dense(rng)}}

    diverged = tree(one)
    diverged[body][one]["kernel"][0, :3] = np.nan, np.inf, -np.inf
    within = tree(one)
    within[body] |= surgery.dense(rng)
    normed = {body: {one: surgery.dense(rng), "LayerNorm_0": surgery.norm(rng)}}
    layers = [[body, one], [other, one]]
    arrays = [[*layer, "kernel"] for layer in layers]
    return {
        "at the top": case(tree(one, two), head),
        "two levels deep": case(tree(one, two), body, two),
        "three levels deep": case({"model": tree(one)}, "model", body, one),
        "one name in two places": case(twice(one), other, one),
        "names that begin alike": case(tree(one, f"{one}0"), body, one),
        "a layer within a layer": case(within, body),
        "one layer at two paths": case(twice(one), other, one, tied=layers),
        "one array in two layers": case(twice(one), other, one, tied=arrays),
        "a float16 layer": case(tree(one, dtype="float16"), body, one),
        "NaN and infinity in the kernel": case(diverged, body, one),
        "numpy arrays": case(tree(one), body, one, numpy=True),
        "no such layer": case(tree(one), body, two, fails=True),
        "a path without its first key": case(tree(one), one, fails=True),
        "a layer without a kernel": case(normed, body, "LayerNorm_0", fails=True),
        "a path to a dict of layers": case(tree(one), body, fails=True),
        "an empty path": case(tree(one), fails=True),
        "a path to a kernel": case(tree(one), head, "kernel", fails=True),
        "a path past a kernel": case(tree(one), head, "kernel", "x", fails=True),
    }


def observe(candidate, inputs):
    params = surgery.grown(inputs["params"], np.array if inputs["numpy"] else jnp.asarray)
    if inputs["tied"]:
        surgery.tie(params, *inputs["tied"])
    return surgery.left_behind(candidate, params, inputs["path"], may_fail=inputs["fails"])


@claim(3, "How do you make the zeros, and out of what?", surgery.no_error)
def kernel_is_zero(seen: Evidence, expected: Evidence) -> Finding:
    """The kernel at the path is all zeros, in its own shape and dtype."""
    return surgery.kernel_as_expected(seen, expected)


SHARED = needing(
    kernel_is_zero,
    surgery.other_leaves_stay,
    surgery.input_is_unharmed,
    surgery.missing_path_is_named,
)


def _kernel_at(params, path):
    """The kernel at the path, or the error that the task asks for."""
    for key in (*path, "kernel"):
        if not isinstance(params, dict) or key not in params:
            raise KeyError(f"there is no kernel at {path}")
        params = params[key]
    return params


def _changed(params, chosen, change):
    """The params with `change` applied to each kernel whose '/'-joined path is `chosen`."""

    def apply(keys, leaf):
        *layer, name = (key.key for key in keys)
        return change(leaf) if name == "kernel" and chosen("/".join(layer)) else leaf

    return jax.tree_util.tree_map_with_path(apply, params)


def _changed_at(params, path, change):
    _kernel_at(params, path)
    return _changed(params, "/".join(path).__eq__, change)


def copy_the_top_only(params, path):
    zeros = jnp.zeros_like(_kernel_at(params, path))
    changed = dict(params)
    surgery.at(changed, path)["kernel"] = zeros
    return changed


def copy_deeply(params, path):
    zeros = jnp.zeros_like(_kernel_at(params, path))
    changed = copy.deepcopy(params)
    surgery.at(changed, path)["kernel"] = zeros
    return changed


def go_by_the_array(params, path):
    old = _kernel_at(params, path)
    return jax.tree.map(lambda leaf: jnp.zeros_like(leaf) if leaf is old else leaf, params)


def go_by_the_last_name(params, path):
    _kernel_at(params, path)
    return _changed(params, lambda layer: layer.split("/")[-1] == path[-1], jnp.zeros_like)


def go_by_the_beginning(params, path):
    _kernel_at(params, path)
    return _changed(params, lambda layer: layer.startswith("/".join(path)), jnp.zeros_like)


def go_by_all_below(params, path):
    hits = []

    def zero(keys, leaf):
        names = tuple(key.key for key in keys)
        if names[-1] != "kernel" or names[: len(path)] != path:
            return leaf
        hits.append(leaf)
        return jnp.zeros_like(leaf)

    changed = jax.tree_util.tree_map_with_path(zero, params)
    if not hits:
        raise KeyError(f"there is no kernel at {path}")
    return changed


def zero_the_bias_too(params, path):
    _kernel_at(params, path)
    changed = jax.tree.map(lambda leaf: leaf, params)
    layer = surgery.at(changed, path)
    layer |= jax.tree.map(jnp.zeros_like, layer)
    return changed


def return_the_layer_only(params, path):
    zeros = jnp.zeros_like(_kernel_at(params, path))
    return {**surgery.at(params, path), "kernel": zeros}


def make_default_zeros(params, path):
    return _changed_at(params, path, lambda kernel: jnp.zeros(kernel.shape))


def multiply_by_zero(params, path):
    return _changed_at(params, path, lambda kernel: kernel * 0)


def multiply_in_place(params, path):
    _kernel_at(params, path)
    changed = jax.tree.map(lambda leaf: leaf, params)
    surgery.at(changed, path)["kernel"] *= 0
    return changed


def hope_for_a_match(params, path):
    return _changed(params, "/".join(path).__eq__, jnp.zeros_like)


def leave_it_to_the_bare_key_error(params, path):
    surgery.at(params, (*path, "kernel"))
    return _changed_at(params, path, jnp.zeros_like)


EXERCISE = Exercise(
    reference=zero_kernel,
    challenge=challenge,
    observe=observe,
    misconceptions=(
        Misconception(
            "A copy of the tree is a copy of all its layers.",
            "dict(params), params.copy() and {**params} copy the outermost dict and nothing below "
            "it. The layer is still the caller's own dict, and there you put the zeros.",
            "Which dicts lie between the top of the tree and the kernel, and whose are they?",
            copy_the_top_only,
        ),
        Misconception(
            "In a deep copy everything is separate.",
            "copy.deepcopy keeps what was shared: two paths to one layer are, in the copy, two "
            "paths to one new layer. So the kernel is gone at both.",
            "What does copy.deepcopy make of a dict that it meets for the second time?",
            copy_deeply,
        ),
        Misconception(
            "The array itself tells which leaf is meant.",
            "Tied weights are one array at two paths. A comparison of arrays, by `is` or by value, "
            "finds both, and you zeroed both.",
            "What differs between two leaves that hold the same array?",
            go_by_the_array,
        ),
        Misconception(
            "A layer's last name is enough to find it.",
            "Two parts of a model may each have a Dense_0. You zeroed every kernel of that name.",
            "What besides the last key tells the two layers apart?",
            go_by_the_last_name,
        ),
        Misconception(
            "A path that begins like mine belongs to my layer.",
            "encoder/Dense_10 begins with encoder/Dense_1. As texts one contains the other, as "
            "tuples of keys they differ.",
            "What do you compare: texts that begin alike, or keys that are equal?",
            go_by_the_beginning,
        ),
        Misconception(
            "What lies below a path is the layer at that path.",
            "Below a path may lie other layers, each with a kernel of its own. You zeroed these "
            "too, also where the path leads to nothing but a dict of layers.",
            "How long is the path of the kernel that is meant, and how long are the others?",
            go_by_all_below,
        ),
        Misconception(
            "To zero a layer's kernel is to zero the layer.",
            "The bias went to zero with it. A layer without kernel still adds its bias, which is "
            "often what one wants to look at.",
            "Which leaves lie below the path, and which of them was meant?",
            zero_the_bias_too,
        ),
        Misconception(
            "The layer I changed is the answer.",
            "A model needs all of its params. You returned the one layer and lost the rest.",
            "What would model.apply miss in the dict that you returned?",
            return_the_layer_only,
        ),
        Misconception(
            "Zeros are zeros, whatever made them.",
            "jnp.zeros(shape) is float32 unless told. One float32 leaf in a float16 tree makes "
            "JAX compute everything after it in float32.",
            "Which function makes zeros like an array that is there already?",
            make_default_zeros,
        ),
        Misconception(
            "Anything times zero, or minus itself, is zero.",
            "NaN times zero is NaN, and so is NaN minus NaN; with infinity likewise. In a kernel "
            "that has diverged they survive.",
            "What do you need to know of the old kernel to make the new one?",
            multiply_by_zero,
        ),
        Misconception(
            "`*=` makes a new array.",
            "On a JAX array it does. A numpy array is changed in place, and it is still the "
            "caller's. And zero times NaN is NaN.",
            "For which arrays is `a *= 0` the same as `a = a * 0`?",
            multiply_in_place,
        ),
        Misconception(
            "If no path matches, JAX says so.",
            "A map over a tree in which nothing matches returns the tree as it was. A misspelt "
            "path then looks like success.",
            "How could your code know how many leaves it zeroed?",
            hope_for_a_match,
        ),
        Misconception(
            "Python's own KeyError says enough.",
            "It holds the one key at which the look-up stopped. Which layer was meant, somewhere "
            "in a large tree, it does not say.",
            "Where in your code are both the failure and the whole path known?",
            leave_it_to_the_bare_key_error,
        ),
    ),
    hints=(
        "What tells the leaf you want from all other leaves of the tree?",
        "jax.tree_util.tree_map_with_path builds a new dict for every path, so that tied layers "
        "come apart, and calls your function with (keys, leaf); each key has its name in .key.",
        "Return jnp.zeros_like(leaf) where tuple(key.key for key in keys) equals "
        "(*path, 'kernel'), the leaf itself elsewhere. How do you notice that it never did?",
    ),
    lesson="04_explicit_freezing",
    section="Zeroing gradients on a pytree by path",
    frameworks=("jax",),
    minutes=15,
    note="The same map over a tree of gradients is how a layer is frozen: there the zeros say "
    "'do not move', here they say 'forget'.",
)
