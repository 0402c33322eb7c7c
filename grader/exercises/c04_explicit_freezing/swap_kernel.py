"""Replace one kernel in a pytree of parameters (JAX)."""

import copy

import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util

from grader.instruments import surgery
from grader.judging.exercise import Exercise, Misconception, claim, needing
from grader.judging.terms import Evidence, Finding


def swap_kernel(params, path, kernel):
    """Replace the kernel of one layer in a pytree of parameters.

    Args:
        params: nested dict of arrays of any dtype, of any depth. It must come through unharmed.
            Two paths may lead to the very same layer dict, or array (tied weights). A key may hold
            a ``"/"``, as in Haiku's ``"mlp/linear_0"``.
        path: tuple of keys that leads from the top of ``params`` to one layer, for instance
            ``("encoder", "Dense_1")``. A layer is a dict; its leaf ``"kernel"`` is replaced.
        kernel: the new array, of the shape of the one it replaces.

    Returns:
        A nested dict like ``params`` in which that one leaf is ``kernel``, its dtype included.
        Every other leaf is the same array or an equal one, also where its layer is tied to the one
        at ``path``.

    Raises:
        KeyError: ``path`` leads nowhere, to an array or past one, or to a dict without a kernel of
            its own. The message holds each key of ``path``.
        ValueError: ``kernel`` has another shape. The message holds both shapes.
    """
    place = (*path, "kernel")
    leaves = jax.tree_util.tree_leaves_with_path(params)
    old = {tuple(key.key for key in keys): leaf for keys, leaf in leaves}.get(place)
    if old is None:
        raise KeyError(f"there is no kernel at {path}")
    if old.shape != kernel.shape:
        raise ValueError(f"the kernel at {path} is {old.shape}, yours {kernel.shape}")

    def swap_there(keys, leaf):
        return kernel if tuple(key.key for key in keys) == place else leaf

    return jax.tree_util.tree_map_with_path(swap_there, params)


def challenge(rng):
    dense, norm = surgery.dense, surgery.norm

    def case(params, *path, **more):
        kernel = dense(rng)["kernel"]
        plain = {"params": params, "path": list(path), "kernel": kernel, "tied": [], "fails": False}
        return plain | more

    def encoder(*names):
        return {"encoder": {name: dense(rng) for name in names}, "head": dense(rng)}

    def twice(name):
        return {"encoder": {name: dense(rng)}, "decoder": {name: dense(rng)}}

    within = encoder("Dense_0")
    within["encoder"] |= dense(rng)
    mixed = encoder("Dense_0") | {"head": dense(rng, "float16"), "step": np.array([7], np.int32)}
    half, sideways = dense(rng, "float16")["kernel"], dense(rng)["kernel"].T.copy()
    normed = {"encoder": {"Dense_0": dense(rng), "LayerNorm_0": norm(rng)}}
    layers = [["encoder", "Dense_0"], ["decoder", "Dense_0"]]
    arrays = [[*layer, "kernel"] for layer in layers]
    return {
        "at the top": case(encoder("Dense_0", "Dense_1"), "head"),
        "two levels deep": case(encoder("Dense_0", "Dense_1"), "encoder", "Dense_1"),
        "three levels deep": case({"model": encoder("Dense_0")}, "model", "encoder", "Dense_0"),
        "one name in two places": case(twice("Dense_0"), "decoder", "Dense_0"),
        "names that begin alike": case(encoder("Dense_1", "Dense_10"), "encoder", "Dense_1"),
        "a layer within a layer": case(within, "encoder"),
        "a key with a slash": case({"mlp/linear_0": dense(rng), "head": dense(rng)}, "head"),
        "neighbours of other dtypes": case(mixed, "encoder", "Dense_0"),
        "one layer at two paths": case(twice("Dense_0"), "decoder", "Dense_0", tied=layers),
        "one array in two layers": case(twice("Dense_0"), "decoder", "Dense_0", tied=arrays),
        "a float16 kernel": case(encoder("Dense_0"), "encoder", "Dense_0", kernel=half),
        "no such layer": case(encoder("Dense_0"), "encoder", "Dense_9", fails=True),
        "a path without its first key": case(encoder("Dense_0"), "Dense_0", fails=True),
        "a layer without a kernel": case(normed, "encoder", "LayerNorm_0", fails=True),
        "a path to a dict of layers": case(encoder("Dense_0"), "encoder", fails=True),
        "an empty path": case(encoder("Dense_0"), fails=True),
        "a path to a kernel": case(encoder("Dense_0"), "head", "kernel", fails=True),
        "a path past a kernel": case(encoder("Dense_0"), "head", "kernel", "x", fails=True),
        "a kernel of the transposed shape": case(
            encoder("Dense_0"), "encoder", "Dense_0", kernel=sideways, fails=True
        ),
    }


def observe(candidate, inputs):
    params = surgery.grown(inputs["params"], jnp.asarray)
    if inputs["tied"]:
        surgery.tie(params, *inputs["tied"])
    kernel = jnp.asarray(inputs["kernel"])
    return surgery.left_behind(candidate, params, inputs["path"], kernel, may_fail=inputs["fails"])


@claim(3, "Which line of yours puts the new array into the tree?", surgery.no_error)
def kernel_is_the_given_one(seen: Evidence, expected: Evidence) -> Finding:
    """The kernel at the path is the one given, in its numbers and in its dtype."""
    return surgery.kernel_as_expected(seen, expected)


SHARED = needing(
    kernel_is_the_given_one,
    surgery.other_leaves_stay,
    surgery.input_is_unharmed,
    surgery.missing_path_is_named,
    surgery.other_shape_is_refused,
)


def _kernel_at(params, path):
    """The kernel at the path, or the error that the task asks for."""
    for key in (*path, "kernel"):
        if not isinstance(params, dict) or key not in params:
            raise KeyError(f"there is no kernel at {path}")
        params = params[key]
    return params


def _same_shape(old, kernel):
    if old.shape != kernel.shape:
        raise ValueError(f"the kernel is {old.shape}, yours {kernel.shape}")


def _replaced(params, chosen, kernel):
    """The params with `kernel` in place of each kernel whose '/'-joined path is `chosen`."""

    def replace(keys, leaf):
        *layer, name = (key.key for key in keys)
        return kernel if name == "kernel" and chosen("/".join(layer)) else leaf

    return jax.tree_util.tree_map_with_path(replace, params)


def _replaced_at(params, path, kernel):
    return _replaced(params, "/".join(path).__eq__, kernel)


def copy_the_top_only(params, path, kernel):
    _same_shape(_kernel_at(params, path), kernel)
    changed = dict(params)
    surgery.at(changed, path)["kernel"] = kernel
    return changed


def copy_deeply(params, path, kernel):
    _same_shape(_kernel_at(params, path), kernel)
    changed = copy.deepcopy(params)
    surgery.at(changed, path)["kernel"] = kernel
    return changed


def go_by_the_array(params, path, kernel):
    old = _kernel_at(params, path)
    _same_shape(old, kernel)
    return jax.tree.map(lambda leaf: kernel if leaf is old else leaf, params)


def go_by_the_last_name(params, path, kernel):
    _same_shape(_kernel_at(params, path), kernel)
    return _replaced(params, lambda layer: layer.split("/")[-1] == path[-1], kernel)


def go_by_the_beginning(params, path, kernel):
    _same_shape(_kernel_at(params, path), kernel)
    return _replaced(params, lambda layer: layer.startswith("/".join(path)), kernel)


def go_by_all_below(params, path, kernel):
    hits = []

    def replace(keys, leaf):
        names = tuple(key.key for key in keys)
        if names[-1] != "kernel" or names[: len(path)] != path:
            return leaf
        _same_shape(leaf, kernel)
        hits.append(leaf)
        return kernel

    changed = jax.tree_util.tree_map_with_path(replace, params)
    if not hits:
        raise KeyError(f"there is no kernel at {path}")
    return changed


def join_and_split(params, path, kernel):
    _same_shape(_kernel_at(params, path), kernel)
    flat = traverse_util.flatten_dict(params, sep="/")
    flat["/".join([*path, "kernel"])] = kernel
    return traverse_util.unflatten_dict(flat, sep="/")


def return_the_layer_only(params, path, kernel):
    _same_shape(_kernel_at(params, path), kernel)
    return {**surgery.at(params, path), "kernel": kernel}


def take_the_kernel_for_the_layer(params, path, kernel):
    _same_shape(_kernel_at(params, path), kernel)
    changed = jax.tree.map(lambda leaf: leaf, params)
    surgery.at(changed, path[:-1])[path[-1]] = {"kernel": kernel}
    return changed


def cast_to_the_old_dtype(params, path, kernel):
    old = _kernel_at(params, path)
    _same_shape(old, kernel)
    return _replaced_at(params, path, kernel.astype(old.dtype))


def add_what_is_not_there(params, path, kernel):
    changed = layer = jax.tree.map(lambda leaf: leaf, params)
    for key in path:
        layer = layer.setdefault(key, {})
    layer["kernel"] = kernel
    return changed


def hope_for_a_match(params, path, kernel):
    return _replaced_at(params, path, kernel)


def leave_it_to_the_bare_key_error(params, path, kernel):
    _same_shape(surgery.at(params, (*path, "kernel")), kernel)
    return _replaced_at(params, path, kernel)


def take_any_shape(params, path, kernel):
    _kernel_at(params, path)
    return _replaced_at(params, path, kernel)


def turn_it_to_fit(params, path, kernel):
    fits = _kernel_at(params, path).shape == kernel.shape
    return _replaced_at(params, path, kernel if fits else kernel.T)


EXERCISE = Exercise(
    reference=swap_kernel,
    challenge=challenge,
    observe=observe,
    misconceptions=(
        Misconception(
            "A copy of the tree is a copy of all its layers.",
            "dict(params), params.copy() and {**params} copy the outermost dict and nothing below "
            "it. The layer is still the caller's own dict, and there you put the new kernel.",
            "Which dicts lie between the top of the tree and the kernel, and whose are they?",
            copy_the_top_only,
        ),
        Misconception(
            "In a deep copy everything is separate.",
            "copy.deepcopy keeps what was shared: two paths to one layer are, in the copy, two "
            "paths to one new layer. So both got the kernel.",
            "What does copy.deepcopy make of a dict that it meets for the second time?",
            copy_deeply,
        ),
        Misconception(
            "The array itself tells which leaf is meant.",
            "Tied weights are one array at two paths. A comparison of arrays, by `is` or by value, "
            "finds both, and you swapped both.",
            "What differs between two leaves that hold the same array?",
            go_by_the_array,
        ),
        Misconception(
            "A layer's last name is enough to find it.",
            "The encoder and the decoder both have a Dense_0. You swapped every kernel of that "
            "name.",
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
            "Below a path may lie other layers, each with a kernel of its own. You swapped these "
            "too, also where the path leads to nothing but a dict of layers.",
            "How long is the path of the kernel that is meant, and how long are the others?",
            go_by_all_below,
        ),
        Misconception(
            "Joined with '/', a path can be taken apart again.",
            "Not if a key holds a '/': the one key mlp/linear_0 came back as two.",
            "What can keep the keys of a path apart, whatever characters they hold?",
            join_and_split,
        ),
        Misconception(
            "The layer I changed is the answer.",
            "A model needs all of its params. You returned the one layer and lost the rest.",
            "What would model.apply miss in the dict that you returned?",
            return_the_layer_only,
        ),
        Misconception(
            "A layer is its kernel.",
            "A dense layer has a bias as well. You put a dict with the kernel alone in its place.",
            "Which leaves did the layer have before you replaced it?",
            take_the_kernel_for_the_layer,
        ),
        Misconception(
            "The new kernel should take the dtype of the old one.",
            "The task keeps the dtype of what is given. A cast, also the silent one of "
            "old.at[...].set(new), hides that half precision went in.",
            "What is the dtype of the kernel in the tree that you return?",
            cast_to_the_old_dtype,
        ),
        Misconception(
            "Assigning to a path fails where the path does not exist.",
            "A dict takes any key. Your code grew a new layer that no model reads, and no error "
            "said so.",
            "What must you look up before you assign?",
            add_what_is_not_there,
        ),
        Misconception(
            "If no path matches, JAX says so.",
            "A map over a tree in which nothing matches returns the tree as it was. A misspelt "
            "path then looks like success.",
            "How could your code know how many leaves it replaced?",
            hope_for_a_match,
        ),
        Misconception(
            "Python's own KeyError says enough.",
            "It holds the one key at which the look-up stopped. Which layer was meant, somewhere "
            "in a large tree, it does not say.",
            "Where in your code are both the failure and the whole path known?",
            leave_it_to_the_bare_key_error,
        ),
        Misconception(
            "Any array can stand in for a kernel.",
            "The tree took it, and the model will fail later and elsewhere, where nobody thinks "
            "of the swap.",
            "When is the last moment at which old and new kernel can be compared?",
            take_any_shape,
        ),
        Misconception(
            "A kernel that does not fit only has to be transposed.",
            "Torch stores (outputs, inputs), Flax (inputs, outputs). Turning whatever does not "
            "fit hides the mix-up, and a square kernel would go in unturned.",
            "Who knows which way round a kernel is meant, your function or its caller?",
            turn_it_to_fit,
        ),
    ),
    hints=(
        "Print jax.tree_util.tree_leaves_with_path(params). What is a leaf's path made of?",
        "Look the old kernel up before you build anything. Which two things can be amiss with it?",
        "jax.tree_util.tree_map_with_path builds a new dict for every path, so that tied layers "
        "come apart, and calls your function with (keys, leaf); each key has its name in .key.",
        "Compare tuple(key.key for key in keys) with (*path, 'kernel'). Return the new kernel "
        "where they are equal and the leaf itself elsewhere.",
    ),
    lesson="04_explicit_freezing",
    section="Zeroing gradients on a pytree by path",
    frameworks=("jax",),
    minutes=15,
    note="The tree you returned shares its untouched arrays with the one you were given. That is "
    "safe: JAX arrays never change. Dicts do, so it is the dicts on the way that must be new.",
)
