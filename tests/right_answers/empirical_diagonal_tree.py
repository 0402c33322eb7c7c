"""Right answers to `empirical_diagonal_tree`, each in a style of its own."""

import jax
import jax.numpy as jnp
import optax


def loop_over_samples(apply, params, inputs, labels):
    def loss(params, row):
        logits = apply(params, inputs[row : row + 1])
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels[row : row + 1])[0]

    total = jax.tree.map(jnp.zeros_like, params)
    for row in range(len(inputs)):
        slopes = jax.grad(loss)(params, row)
        total = jax.tree.map(lambda t, g: t + g * g, total, slopes)
    return jax.tree.map(lambda t: t / len(inputs), total)


def differentiate_all_losses_at_once(apply, params, inputs, labels):
    def losses(params):
        logits = apply(params, inputs)
        own = jnp.take_along_axis(logits, labels[:, None], 1)[:, 0]
        return jax.nn.logsumexp(logits, axis=1) - own

    rows = jax.jacrev(losses)(params)
    return jax.tree.map(lambda row: jnp.mean(jnp.square(row), axis=0), rows)


def flatten_the_tree(apply, params, inputs, labels):
    leaves, form = jax.tree.flatten(params)

    def loss(leaves, one, label):
        chances = jax.nn.log_softmax(apply(jax.tree.unflatten(form, leaves), one))
        return -(jax.nn.one_hot(label, chances.shape[1]) * chances).sum()

    batches = inputs[:, None]
    slopes = jax.vmap(jax.grad(loss), (None, 0, 0))(leaves, batches, labels[:, None])
    return jax.tree.unflatten(form, [(g**2).sum(0) / len(inputs) for g in slopes])
