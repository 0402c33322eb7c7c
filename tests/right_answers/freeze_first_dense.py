"""Right answers to `freeze_first_dense`, each in a style of its own."""

import jax
import jax.numpy as jnp
import optax
from flax import linen
from flax.training.train_state import TrainState


class _MLP(linen.Module):
    @linen.compact
    def __call__(self, x):
        return linen.Dense(1)(h) if (h := linen.relu(linen.Dense(8)(x))) is not None else None


def _mse(params, x, y):
    return ((_MLP().apply({"params": params}, x).squeeze(-1) - y) ** 2).mean()


def _start(seed, x):
    return _MLP().init(jax.random.PRNGKey(int(seed)), x[:1])["params"]


def _norm(params):
    return jnp.sqrt(jnp.sum(params["Dense_0"]["kernel"] ** 2))


def stop_the_gradient(seed, x, y, lr):
    def loss(params):
        return _mse({**params, "Dense_0": jax.lax.stop_gradient(params["Dense_0"])}, x, y)

    params = _start(seed, x)
    value, grads = jax.value_and_grad(loss)(params)
    after = jax.tree.map(lambda p, g: p - lr * g, params, grads)
    return jnp.array([value, _norm(after), _norm(params)])


def label_with_optax(seed, x, y, lr):
    params = _start(seed, x)
    labels = {"Dense_0": "frozen", "Dense_1": "trainable"}
    tx = optax.multi_transform({"frozen": optax.set_to_zero(), "trainable": optax.sgd(lr)}, labels)
    value, grads = jax.value_and_grad(_mse)(params, x, y)
    updates, _ = tx.update(grads, tx.init(params), params)
    after = optax.apply_updates(params, updates)
    return jnp.stack([value, _norm(after), _norm(params)])


def use_plain_dicts(seed, x, y, lr):
    params = _start(seed, x)
    value, grads = jax.value_and_grad(_mse)(params, x, y)
    head = {
        leaf: params["Dense_1"][leaf] - lr * grads["Dense_1"][leaf] for leaf in ("kernel", "bias")
    }
    after = {"Dense_0": params["Dense_0"], "Dense_1": head}
    return jnp.asarray([float(value), float(_norm(after)), float(_norm(params))])


def compile_the_step(seed, x, y, lr):
    @jax.jit
    def step(params):
        value, grads = jax.value_and_grad(_mse)(params, x, y)
        grads["Dense_0"] = jax.tree.map(jnp.zeros_like, grads["Dense_0"])
        return value, jax.tree.map(lambda p, g: p - lr * g, params, grads)

    params = _start(seed, x)
    value, after = step(params)
    return jnp.stack([value, _norm(after), _norm(params)])


def compile_everything(seed, x, y, lr):
    @jax.jit
    def run(params):
        value, grads = jax.value_and_grad(_mse)(params, x, y)
        grads = {**grads, "Dense_0": jax.tree.map(lambda g: 0 * g, grads["Dense_0"])}
        after = jax.tree.map(lambda p, g: p - lr * g, params, grads)
        return jnp.stack([value, _norm(after), _norm(params)])

    return run(_start(seed, x))


def keep_a_train_state(seed, x, y, lr):
    state = TrainState.create(apply_fn=_MLP().apply, params=_start(seed, x), tx=optax.sgd(lr))
    before = _norm(state.params)
    value, grads = jax.value_and_grad(_mse)(state.params, x, y)
    zeroed = jax.tree_util.tree_map_with_path(
        lambda path, g: g * 0.0 if "Dense_0" in jax.tree_util.keystr(path) else g, grads
    )
    state = state.apply_gradients(grads=zeroed)
    return [value, _norm(state.params), before]


def differentiate_the_head_only(seed, x, y, lr):
    params = _start(seed, x)
    value, grad = jax.value_and_grad(
        lambda head: _mse({"Dense_0": params["Dense_0"], "Dense_1": head}, x, y)
    )(params["Dense_1"])
    head = jax.tree.map(lambda p, g: p - lr * g, params["Dense_1"], grad)
    after = dict(params, Dense_1=head)
    return jnp.stack([value, _norm(after), _norm(params)])


def put_the_first_layer_back(seed, x, y, lr):
    params = _start(seed, x)
    value, grads = jax.value_and_grad(_mse)(params, x, y)
    stepped = jax.tree.map(lambda p, g: p - lr * g, params, grads)
    after = {**stepped, "Dense_0": params["Dense_0"]}
    return jnp.stack([value, _norm(after), _norm(params)])


def start_with_cold_momentum(seed, x, y, lr):
    params = _start(seed, x)
    tx = optax.selective_transform(
        optax.sgd(lr, momentum=0.9), freeze_mask={"Dense_0": True, "Dense_1": False}
    )
    value, grads = jax.value_and_grad(_mse)(params, x, y)
    updates, _ = tx.update(grads, tx.init(params), params)
    return jnp.stack([value, _norm(optax.apply_updates(params, updates)), _norm(params)])
