"""Wrong answers to `empirical_diagonal_tree` that come from none of its beliefs."""

import jax
import jax.numpy as jnp


def _each(apply, params, inputs, labels):
    def loss(params, one, label):
        return -jax.nn.log_softmax(apply(params, one[None])[0])[label]

    return jax.vmap(jax.grad(loss), in_axes=(None, 0, 0))(params, inputs, labels)


def _squares(apply, params, inputs, labels):
    each = _each(apply, params, inputs, labels)
    return jax.tree.map(lambda g: (g**2).mean(0), each)


def map_the_parameters_too(apply, params, inputs, labels):
    def loss(params, one, label):
        return -jax.nn.log_softmax(apply(params, one[None])[0])[label]

    each = jax.vmap(jax.grad(loss))(params, inputs, labels)
    return jax.tree.map(lambda g: (g**2).mean(0), each)


def keep_the_samples(apply, params, inputs, labels):
    return jax.tree.map(jnp.square, _each(apply, params, inputs, labels))


def take_the_root(apply, params, inputs, labels):
    return jax.tree.map(jnp.sqrt, _squares(apply, params, inputs, labels))


def take_the_largest_square(apply, params, inputs, labels):
    return jax.tree.map(lambda g: (g**2).max(0), _each(apply, params, inputs, labels))


def give_one_number_an_array(apply, params, inputs, labels):
    return jax.tree.map(jnp.mean, _squares(apply, params, inputs, labels))


def spread_the_mean_over_the_array(apply, params, inputs, labels):
    found = _squares(apply, params, inputs, labels)
    return jax.tree.map(lambda f: jnp.full_like(f, f.mean()), found)


def take_the_logarithm_of_a_softmax(apply, params, inputs, labels):
    def loss(params, one, label):
        return -jnp.log(jax.nn.softmax(apply(params, one[None])[0]))[label]

    each = jax.vmap(jax.grad(loss), in_axes=(None, 0, 0))(params, inputs, labels)
    return jax.tree.map(lambda g: (g**2).mean(0), each)


def look_at_the_first_sample(apply, params, inputs, labels):
    return _squares(apply, params, inputs[:1], labels[:1])


def return_a_flat_list(apply, params, inputs, labels):
    return jax.tree.leaves(_squares(apply, params, inputs, labels))


def leave_out_what_is_not_used(apply, params, inputs, labels):
    found = _squares(apply, params, inputs, labels)
    return {name: part for name, part in found.items() if name != "spare"}


def look_at_the_outer_dict_only(apply, params, inputs, labels):
    each = _each(apply, params, inputs, labels)
    return {name: (part["kernel"] ** 2).mean(0) for name, part in each.items()}


def use_the_gradient_of_the_logit(apply, params, inputs, labels):
    def logit(params, one, label):
        return apply(params, one[None])[0][label]

    each = jax.vmap(jax.grad(logit), in_axes=(None, 0, 0))(params, inputs, labels)
    return jax.tree.map(lambda g: (g**2).mean(0), each)


def multiply_by_the_squared_parameter(apply, params, inputs, labels):
    return jax.tree.map(lambda f, p: f * p**2, _squares(apply, params, inputs, labels), params)


def flatten_each_sample(apply, params, inputs, labels):
    return _squares(apply, params, inputs.reshape(len(inputs), -1), labels)


def write_into_params(apply, params, inputs, labels):
    found = _squares(apply, params, inputs, labels)
    for name in params:
        params[name] = found[name]
    return params


def return_tuples(apply, params, inputs, labels):
    def turned(tree):
        if isinstance(tree, dict):
            return {name: turned(part) for name, part in tree.items()}
        return tuple(map(turned, tree)) if isinstance(tree, list) else tree

    return turned(_squares(apply, params, inputs, labels))


def give_every_number_an_axis(apply, params, inputs, labels):
    return jax.tree.map(jnp.atleast_1d, _squares(apply, params, inputs, labels))
