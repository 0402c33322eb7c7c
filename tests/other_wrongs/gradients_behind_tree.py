"""Wrong answers to `gradients_behind_tree` that come from none of its beliefs."""

import jax
import jax.numpy as jnp
from flax.traverse_util import flatten_dict, unflatten_dict


def _gradients(loss, params, silent, quiet=lambda leaf: leaf * 0):
    def of_flat(leaves):
        hushed = {p: quiet(v) if p[: len(silent)] == silent else v for p, v in leaves.items()}
        return loss(unflatten_dict(hushed))

    return jax.grad(of_flat)(flatten_dict(params))


def _marked(gradients):
    return unflatten_dict({path: not g.any() for path, g in gradients.items()})


def return_the_gradients(loss, params, silent):
    return unflatten_dict(_gradients(loss, params, silent))


def return_paths(loss, params, silent):
    return ["/".join(p) for p, g in _gradients(loss, params, silent).items() if not g.any()]


def return_a_flat_dict_of_tuples(loss, params, silent):
    return {str(p): not g.any() for p, g in _gradients(loss, params, silent).items()}


def mark_layers(loss, params, silent):
    found = _marked(_gradients(loss, params, silent))
    return {key: all(jax.tree.leaves(branch)) for key, branch in found.items()}


def silence_nothing(loss, params, silent):
    return _marked(_gradients(loss, params, silent, quiet=lambda leaf: leaf))


def multiply_by_little(loss, params, silent):
    return _marked(_gradients(loss, params, silent, quiet=lambda leaf: leaf * 1e-3))


def silence_the_kernel_only(loss, params, silent):
    def of_flat(leaves):
        hushed = {
            p: v * 0 if p[: len(silent)] == silent and p[-1] == "kernel" else v
            for p, v in leaves.items()
        }
        return loss(unflatten_dict(hushed))

    return _marked(jax.grad(of_flat)(flatten_dict(params)))


def silence_the_first_key(loss, params, silent):
    return _marked(_gradients(loss, params, silent[:1]))


def zero_what_was_given(loss, params, silent):
    found = _marked(_gradients(loss, params, silent))
    place = params
    for key in silent:
        place = place[key]
    for key, value in list(place.items()):
        place[key] = jax.tree.map(jnp.zeros_like, value)
    return found


def leave_out_what_is_not_used(loss, params, silent):
    found = _gradients(loss, params, silent)
    plain = jax.grad(lambda leaves: loss(unflatten_dict(leaves)))(flatten_dict(params))
    return unflatten_dict({p: not g.any() and bool(plain[p].any()) for p, g in found.items()})


def add_up_the_entries(loss, params, silent):
    found = _gradients(loss, params, silent)
    return unflatten_dict({p: bool(abs(g.sum()) < 1e-6) for p, g in found.items()})


def ask_the_exact_sum(loss, params, silent):
    found = _gradients(loss, params, silent)
    return unflatten_dict({p: bool(g.sum() == 0) for p, g in found.items()})


def write_numbers(loss, params, silent):
    found = _gradients(loss, params, silent)
    return unflatten_dict({p: int(not g.any()) for p, g in found.items()})


def silence_equal_arrays_as_well(loss, params, silent):
    flat = flatten_dict(params)
    own = [id(v) for p, v in flat.items() if p[: len(silent)] == silent]
    hit = {p for p, v in flat.items() if id(v) in own}

    def of_flat(leaves):
        return loss(unflatten_dict({p: v * (p not in hit) for p, v in leaves.items()}))

    return _marked(jax.grad(of_flat)(flat))


def want_all_keys_in_any_order(loss, params, silent):
    def of_flat(leaves):
        return loss(unflatten_dict({p: v * (not set(silent) <= set(p)) for p, v in leaves.items()}))

    return _marked(jax.grad(of_flat)(flatten_dict(params)))
