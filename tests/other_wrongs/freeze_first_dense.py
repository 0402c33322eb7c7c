"""Wrong answers to `freeze_first_dense` that come from none of its beliefs."""

import jax
import jax.numpy as jnp
from flax import linen


class _MLP(linen.Module):
    width: int = 8
    bend: object = linen.relu

    @linen.compact
    def __call__(self, x):
        hidden = self.bend(linen.Dense(self.width)(x))
        return linen.Dense(1)(hidden)[:, 0]


def _square(model, params, x, y):
    return jnp.mean((model.apply({"params": params}, x) - y) ** 2)


def _norm(params):
    return jnp.linalg.norm(params["Dense_0"]["kernel"])


def _stepped(params, grads, lr, frozen=("Dense_0",)):
    return {
        layer: leaves
        if layer in frozen
        else jax.tree.map(lambda p, g: p - lr * g, leaves, grads[layer])
        for layer, leaves in params.items()
    }


def _run(key, x, y, lr, model=None, loss=_square, norm=_norm, start=None):
    """The right answer, but for what is given."""
    model = model or _MLP()
    params = start or model.init(key, x)["params"]
    value, grads = jax.value_and_grad(lambda p: loss(model, p, x, y))(params)
    after = _stepped(params, grads, lr)
    return jnp.stack([value, norm(after), norm(params)])


def _key(seed):
    return jax.random.key(int(seed))


def always_draw_the_same_numbers(seed, x, y, lr):
    return _run(jax.random.key(0), x, y, lr)


def round_the_seed_up(seed, x, y, lr):
    return _run(jax.random.key(int(seed) + 1), x, y, lr)


def take_another_width(seed, x, y, lr):
    return _run(_key(seed), x, y, lr, _MLP(width=4))


def bend_with_tanh(seed, x, y, lr):
    return _run(_key(seed), x, y, lr, _MLP(bend=jnp.tanh))


def add_the_squares_up(seed, x, y, lr):
    return _run(_key(seed), x, y, lr, loss=lambda *a: len(x) * _square(*a))


def halve_the_loss(seed, x, y, lr):
    return _run(_key(seed), x, y, lr, loss=lambda *a: _square(*a) / 2)


def take_the_absolute_error(seed, x, y, lr):
    def loss(model, params, x, y):
        return jnp.mean(abs(model.apply({"params": params}, x) - y))

    return _run(_key(seed), x, y, lr, loss=loss)


def square_the_norm(seed, x, y, lr):
    return _run(_key(seed), x, y, lr, norm=lambda params: _norm(params) ** 2)


def take_the_spectral_norm(seed, x, y, lr):
    return _run(_key(seed), x, y, lr, norm=lambda p: jnp.linalg.norm(p["Dense_0"]["kernel"], ord=2))


def take_the_norm_of_the_head(seed, x, y, lr):
    return _run(_key(seed), x, y, lr, norm=lambda p: jnp.linalg.norm(p["Dense_1"]["kernel"]))


def take_the_average_over_the_rate(seed, x, y, lr):
    return _run(_key(seed), x, y, lr / len(x))


def decay_the_weights(seed, x, y, lr):
    def loss(model, params, x, y):
        return _square(model, params, x, y) + sum(jnp.sum(p**2) for p in jax.tree.leaves(params))

    return _run(_key(seed), x, y, lr, loss=loss)


def report_the_first_norm_twice(seed, x, y, lr):
    """Everything moves, and the norm after the step is not looked at."""
    params = _MLP().init(_key(seed), x)["params"]
    value, grads = jax.value_and_grad(lambda p: _square(_MLP(), p, x, y))(params)
    after = _stepped(params, grads, lr, frozen=())
    return jnp.stack([value, _norm(params), _norm(params)]) + 0 * _norm(after)


def freeze_the_bias_only(seed, x, y, lr):
    params = _MLP().init(_key(seed), x)["params"]
    value, grads = jax.value_and_grad(lambda p: _square(_MLP(), p, x, y))(params)
    after = jax.tree_util.tree_map_with_path(
        lambda path, p, g: p if path[0].key + path[1].key == "Dense_0bias" else p - lr * g,
        params,
        grads,
    )
    return jnp.stack([value, _norm(after), _norm(params)])


def freeze_every_kernel(seed, x, y, lr):
    params = _MLP().init(_key(seed), x)["params"]
    value, grads = jax.value_and_grad(lambda p: _square(_MLP(), p, x, y))(params)
    after = jax.tree_util.tree_map_with_path(
        lambda path, p, g: p if path[-1].key == "kernel" else p - lr * g, params, grads
    )
    return jnp.stack([value, _norm(after), _norm(params)])


def freeze_every_bias_too(seed, x, y, lr):
    params = _MLP().init(_key(seed), x)["params"]
    value, grads = jax.value_and_grad(lambda p: _square(_MLP(), p, x, y))(params)
    after = jax.tree_util.tree_map_with_path(
        lambda path, p, g: p - lr * g if path[0].key + path[1].key == "Dense_1kernel" else p,
        params,
        grads,
    )
    return jnp.stack([value, _norm(after), _norm(params)])


def take_two_steps(seed, x, y, lr):
    params = _MLP().init(_key(seed), x)["params"]
    value, grads = jax.value_and_grad(lambda p: _square(_MLP(), p, x, y))(params)
    after = _stepped(params, grads, lr)
    after = _stepped(after, jax.grad(lambda p: _square(_MLP(), p, x, y))(after), lr)
    return jnp.stack([value, _norm(after), _norm(params)])


def return_the_norms_alone(seed, x, y, lr):
    return _run(_key(seed), x, y, lr)[1:]


def return_the_loss_last(seed, x, y, lr):
    return jnp.roll(_run(_key(seed), x, y, lr), -1)
