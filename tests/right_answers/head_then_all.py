"""Right answers to `head_then_all`, each in a style of its own."""

import jax
import jax.numpy as jnp
import optax


def one_state_with_two_labels(
    params, head_optimizer, body_optimizer, loss, head_batches, all_batches
):
    """The body's state is made at the start and is not touched while the head trains alone."""
    params = jax.tree.map(lambda leaf: leaf, params)
    states = {"head": head_optimizer.init(params["head"])}
    trainers = {"head": head_optimizer}
    for x, y in head_batches:
        params, states = _step(params, states, trainers, loss, x, y)
    states["body"] = body_optimizer.init(params["body"])
    trainers["body"] = body_optimizer
    for x, y in all_batches:
        params, states = _step(params, states, trainers, loss, x, y)
    return params


def _step(params, states, trainers, loss, x, y):
    gradients = jax.grad(loss)(params, x, y)
    new, kept = dict(params), {}
    for part, trainer in trainers.items():
        updates, kept[part] = trainer.update(gradients[part], states[part], params[part])
        new[part] = optax.apply_updates(params[part], updates)
    return new, kept


def by_one_list_of_batches(params, head_optimizer, body_optimizer, loss, head_batches, all_batches):
    head, body = params["head"], params["body"]
    head_state, body_state = head_optimizer.init(head), None
    phases = [False] * len(head_batches) + [True] * len(all_batches)
    for both, (x, y) in zip(phases, [*head_batches, *all_batches], strict=True):
        of_head, of_body = jax.grad(
            lambda head, body, x=x, y=y: loss({"head": head, "body": body}, x, y), argnums=(0, 1)
        )(head, body)
        update, head_state = head_optimizer.update(of_head, head_state, head)
        head = optax.apply_updates(head, update)
        if both:
            if body_state is None:
                body_state = body_optimizer.init(body)
            update, body_state = body_optimizer.update(of_body, body_state, body)
            body = optax.apply_updates(body, update)
    return {"head": head, "body": body}


def with_compiled_steps(params, head_optimizer, body_optimizer, loss, head_batches, all_batches):
    body = params["body"]

    @jax.jit
    def step_head(head, state, x, y):
        slope = jax.grad(lambda h: loss({"body": body, "head": h}, x, y))(head)
        update, state = head_optimizer.update(slope, state, head)
        return optax.apply_updates(head, update), state

    @jax.jit
    def step_all(params, state, x, y):
        update, state = both.update(jax.grad(loss)(params, x, y), state, params)
        return optax.apply_updates(params, update), state

    head, state = params["head"], head_optimizer.init(params["head"])
    for x, y in head_batches:
        head, state = step_head(head, state, x, y)
    both = _Both(body_optimizer, head_optimizer)
    whole, states = {"body": body, "head": head}, (body_optimizer.init(body), state)
    for x, y in all_batches:
        whole, states = step_all(whole, states, x, y)
    return whole


class _Both:
    """Two transformations side by side."""

    def __init__(self, body, head):
        self.body, self.head = body, head

    def update(self, slopes, states, params):
        body, of_body = self.body.update(slopes["body"], states[0], params["body"])
        head, of_head = self.head.update(slopes["head"], states[1], params["head"])
        return {"body": body, "head": head}, (of_body, of_head)


def add_the_updates_by_hand(
    params, head_optimizer, body_optimizer, loss, head_batches, all_batches
):
    now = {part: params[part] for part in ("body", "head")}
    optimizers = {"body": body_optimizer, "head": head_optimizer}
    memory = {part: optimizers[part].init(now[part]) for part in now}
    for number, (x, y) in enumerate(list(head_batches) + list(all_batches)):
        slopes = jax.grad(loss)(now, x, y)
        moving = ("head",) if number < len(head_batches) else ("head", "body")
        later = dict(now)
        for part in moving:
            way, memory[part] = optimizers[part].update(slopes[part], memory[part], now[part])
            later[part] = jax.tree.map(jnp.add, now[part], way)
        now = later
    return now
