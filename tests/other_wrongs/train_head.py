"""Wrong answers to `train_head` that come from none of its beliefs."""

import jax
import jax.numpy as jnp
import optax
from flax import nnx

_HEAD = nnx.All(nnx.Param, nnx.PathContains("head"))


def _mse(model, x, y):
    return jnp.mean((model(x) - y) ** 2)


def _run(model, optimizer, batches, wrt=_HEAD, loss=_mse):
    """The right answer, but for what is given."""
    model.head.train()
    model.body.eval()
    state = nnx.Optimizer(model, optimizer, wrt=wrt)
    for x, y in batches:
        state.update(model, nnx.grad(loss, argnums=nnx.DiffState(0, wrt))(model, x, y))


def do_nothing(model, optimizer, batches):
    pass


def take_full_batches_only(model, optimizer, batches):
    full = max(len(x) for x, _ in batches)
    _run(model, optimizer, [batch for batch in batches if len(batch[0]) == full])


def cut_all_batches_to_the_shortest(model, optimizer, batches):
    short = min(len(x) for x, _ in batches)
    _run(model, optimizer, [(x[:short], y[:short]) for x, y in batches])


def take_one_step_on_all_samples(model, optimizer, batches):
    xs, ys = zip(*batches, strict=True)
    _run(model, optimizer, [(jnp.concatenate(xs), jnp.concatenate(ys))])


def take_the_batches_backwards(model, optimizer, batches):
    _run(model, optimizer, batches[::-1])


def go_twice_through_the_batches(model, optimizer, batches):
    _run(model, optimizer, [*batches, *batches])


def add_the_squares_up(model, optimizer, batches):
    _run(model, optimizer, batches, loss=lambda *a: jnp.sum((a[0](a[1]) - a[2]) ** 2))


def take_the_absolute_error(model, optimizer, batches):
    _run(model, optimizer, batches, loss=lambda *a: jnp.mean(jnp.abs(a[0](a[1]) - a[2])))


def climb(model, optimizer, batches):
    _run(model, optimizer, batches, loss=lambda *a: -_mse(*a))


def train_the_dense_layer_of_the_head_only(model, optimizer, batches):
    _run(model, optimizer, batches, wrt=nnx.All(_HEAD, nnx.PathContains("linear")))


def train_the_kernels_of_the_head_only(model, optimizer, batches):
    _run(model, optimizer, batches, wrt=nnx.All(_HEAD, nnx.PathContains("kernel")))


def take_an_optimizer_of_its_own(model, optimizer, batches):
    _run(model, optax.sgd(0.03), batches)


def clip_the_gradients(model, optimizer, batches):
    _run(model, optax.chain(optax.clip_by_global_norm(0.01), optimizer), batches)


def leave_the_body_out(model, optimizer, batches):
    """The head learns from the inputs in place of the body's outputs."""
    _run(model, optimizer, batches, loss=lambda model, x, y: _mse(model.head, x, y))


def write_over_the_statistics_of_the_body(model, optimizer, batches):
    _run(model, optimizer, batches)
    model.body.norm.mean[...] = jnp.zeros(4)


def collect_without_normalising(model, optimizer, batches):
    """The head is in evaluation mode for the gradient, in training mode for one more pass."""
    model.eval()
    state = nnx.Optimizer(model, optimizer, wrt=_HEAD)
    for x, y in batches:
        state.update(model, nnx.grad(_mse, argnums=nnx.DiffState(0, _HEAD))(model, x, y))
        model.head.train()
        model(x)
        model.head.eval()


def wake_the_body_from_the_second_step_on(model, optimizer, batches):
    model.train()
    model.body.eval()
    state = nnx.Optimizer(model, optimizer, wrt=_HEAD)
    for x, y in batches:
        state.update(model, nnx.grad(_mse, argnums=nnx.DiffState(0, _HEAD))(model, x, y))
        model.train()


def forget_the_statistics_of_the_head(model, optimizer, batches):
    """The parameters are written back, and what its BatchNorm collected is not."""
    copy = nnx.clone(model)
    _run(copy, optimizer, batches)
    nnx.update(model, nnx.state(copy, nnx.Param))


def forget_the_step(model, optimizer, batches):
    model.head.train()
    model.body.eval()
    for x, y in batches:
        nnx.grad(_mse, argnums=nnx.DiffState(0, _HEAD))(model, x, y)


def write_the_statistics_of_the_head_inside_a_gradient(model, optimizer, batches):
    """The loss closes over variables that jax.grad was not given."""
    model.head.train()
    model.body.eval()
    form, params, others = nnx.split(model.head, nnx.Param, ...)
    memory = optimizer.init(params)
    for x, y in batches:
        features = model.body(x)

        def loss(params, x=features, y=y):
            return _mse(nnx.merge(form, params, others), x, y)

        updates, memory = optimizer.update(jax.grad(loss)(params), memory, params)
        params = optax.apply_updates(params, updates)
    nnx.update(model.head, params)


def put_another_head_in_its_place(model, optimizer, batches):
    head, body = nnx.clone(model.head), model.body
    head.train()
    body.eval()
    run = nnx.Optimizer(head, optimizer, wrt=nnx.Param)
    for x, y in batches:
        run.update(head, nnx.grad(lambda h, x=x, y=y: jnp.mean((h(body(x)) - y) ** 2))(head))
    model.head = head


def divide_by_the_largest_batch(model, optimizer, batches):
    head = nnx.All(nnx.Param, nnx.PathContains("head"))
    run, most = nnx.Optimizer(model, optimizer, wrt=head), max(y.size for _, y in batches)
    model.train()
    model.body.eval()
    for x, y in batches:
        slope = nnx.grad(
            lambda m, x=x, y=y: jnp.sum((m(x) - y) ** 2) / most, argnums=nnx.DiffState(0, head)
        )
        run.update(model, slope(model))
