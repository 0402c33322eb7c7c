"""Right answers to `train_head`, each in a style of its own."""

import jax
import jax.numpy as jnp
import optax
from flax import nnx

_HEAD = nnx.All(nnx.Param, nnx.PathContains("head"))


def _mse(model, x, y):
    return optax.squared_error(model(x), y).mean()


def by_a_compiled_step(model, optimizer, batches):
    @nnx.jit
    def step(model, run, x, y):
        run.update(model, nnx.grad(_mse, argnums=nnx.DiffState(0, _HEAD))(model, x, y))

    run = nnx.Optimizer(model, optimizer, wrt=_HEAD)
    model.head.train()
    model.body.eval()
    for x, y in batches:
        step(model, run, x, y)


def by_training_the_head_as_a_model(model, optimizer, batches):
    model.body.eval()
    model.head.train()
    run = nnx.Optimizer(model.head, optimizer, wrt=nnx.Param)
    for x, y in batches:
        features = model.body(x)
        run.update(model.head, nnx.grad(_mse)(model.head, features, y))


def by_gradients_of_everything(model, optimizer, batches):
    run = nnx.Optimizer(model, optimizer, wrt=_HEAD)
    for x, y in batches:
        model.train()
        model.body.eval()
        run.update(model, nnx.grad(_mse)(model, x, y))


def by_a_filter_of_its_own(model, optimizer, batches):
    def trainable(path, variable):
        return isinstance(variable, nnx.Param) and path[0] == "head"

    model.head.train()
    model.body.set_attributes(use_running_average=True)
    run = nnx.Optimizer(model, optimizer, wrt=trainable)
    loss = nnx.value_and_grad(_mse, argnums=nnx.DiffState(0, trainable))
    for x, y in batches:
        _, gradients = loss(model, x, y)
        run.update(model, gradients)


def by_labels(model, optimizer, batches):
    model.train()
    model.body.eval()
    kinds = {"body": optax.set_to_zero(), "head": optimizer}
    names = jax.tree.map_with_path(
        lambda keys, _: keys[0].key, nnx.as_pure(nnx.state(model, nnx.Param))
    )
    run = nnx.Optimizer(model, optax.partition(kinds, names), wrt=nnx.Param)
    for x, y in batches:
        run.update(model, nnx.grad(_mse)(model, x, y))


def by_split_and_merge(model, optimizer, batches):
    model.train()
    model.body.eval()
    graph, params, rest = nnx.split(model, _HEAD, ...)
    state = optimizer.init(params)

    def loss(params, rest, x, y):
        whole = nnx.merge(graph, params, rest, copy=True)
        return jnp.mean((whole(x) - y) ** 2), nnx.split(whole, _HEAD, ...)[2]

    for x, y in batches:
        gradients, rest = jax.grad(loss, has_aux=True)(params, rest, x, y)
        updates, state = optimizer.update(gradients, state, params)
        params = optax.apply_updates(params, updates)
    nnx.update(model, params, rest)


def by_a_view_of_the_body(model, optimizer, batches):
    body = nnx.view(model.body, use_running_average=True)
    model.head.train()
    run = nnx.Optimizer(model.head, optimizer, wrt=nnx.Param)
    for x, y in batches:
        run.update(model.head, nnx.grad(lambda head, x=x, y=y: _mse(head, body(x), y))(model.head))
