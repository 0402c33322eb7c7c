"""Wrong answers to `head_then_all` that come from none of its beliefs."""

import jax
import optax


def _run(params, optimizers, memory, loss, batches, parts, change=lambda slope: slope):
    for x, y in batches:
        slopes = jax.grad(loss)(params, x, y)
        params = dict(params)
        for part in parts:
            given = change(slopes[part]), memory[part], params[part]
            step, memory[part] = optimizers[part].update(*given)
            params[part] = optax.apply_updates(params[part], step)
    return params


def _trained(
    params, head, body, loss, first, then, parts=("head", "body"), early=("head",), **more
):
    optimizers = {"head": head, "body": body}
    memory = {part: optimizers[part].init(params[part]) for part in params}
    params = _run(params, optimizers, memory, loss, first, early, **more)
    return _run(params, optimizers, memory, loss, then, parts, **more)


def stop_after_the_head(params, head, body, loss, first, then):
    return _trained(params, head, body, loss, first, [])


def train_the_body_first(params, head, body, loss, first, then):
    return _trained(params, head, body, loss, first, then, early=("body",))


def swap_the_optimizers(params, head, body, loss, first, then):
    return _trained(params, body, head, loss, first, then)


def swap_the_batches(params, head, body, loss, first, then):
    return _trained(params, head, body, loss, then, first)


def go_through_the_batches_backwards(params, head, body, loss, first, then):
    return _trained(params, head, body, loss, first[::-1], then[::-1])


def leave_the_last_batch_out(params, head, body, loss, first, then):
    return _trained(params, head, body, loss, first[:-1], then)


def go_through_the_first_batches_again(params, head, body, loss, first, then):
    return _trained(params, head, body, loss, first, [*first, *then])


def climb(params, head, body, loss, first, then):
    return _trained(
        params, head, body, loss, first, then, change=lambda s: jax.tree.map(lambda leaf: -leaf, s)
    )


def halve_the_slopes(params, head, body, loss, first, then):
    return _trained(
        params, head, body, loss, first, then, change=lambda s: jax.tree.map(lambda x: x / 2, s)
    )


def start_the_second_part_from_the_given_head(params, head, body, loss, first, then):
    optimizers = {"head": head, "body": body}
    memory = {part: optimizers[part].init(params[part]) for part in params}
    trained = _run(params, optimizers, memory, loss, first, ("head",))
    if not then:
        return trained
    return _run(params, optimizers, memory, loss, then, ("head", "body"))


def return_the_head_alone(params, head, body, loss, first, then):
    return _trained(params, head, body, loss, first, then)["head"]


def return_what_was_given(params, head, body, loss, first, then):
    _trained(params, head, body, loss, first, then)
    return params


def write_into_the_given(params, head, body, loss, first, then):
    params.update(_trained(params, head, body, loss, first, then))
    return params


def give_the_loss_as_well(params, head, body, loss, first, then):
    trained = _trained(params, head, body, loss, first, then)
    return trained | {"loss": loss(trained, *(first + then)[-1])}


def let_the_body_remember_the_heads_steps(params, head, body, loss, first, then):
    """Its optimizer is told the true slopes of the first part, and its steps are thrown away."""
    memory = {"head": head.init(params["head"]), "body": body.init(params["body"])}
    for x, y in first:
        slopes = jax.grad(loss)(params, x, y)
        step, memory["head"] = head.update(slopes["head"], memory["head"], params["head"])
        _, memory["body"] = body.update(slopes["body"], memory["body"], params["body"])
        params = params | {"head": optax.apply_updates(params["head"], step)}
    return _run(params, {"head": head, "body": body}, memory, loss, then, ("head", "body"))


def take_one_slope_for_all(params, head, body, loss, first, then):
    """The slopes of the second part are those of its first batch."""
    trained = _trained(params, head, body, loss, first, then[:1])
    return _trained(trained, head, body, loss, [], then[:1] * (len(then) - 1)) if then else trained


def begin_the_heads_memory_at_zero_slopes(params, head, body, loss, first, then):
    """A step on zeros is made between the parts."""
    optimizers = {"head": head, "body": body}
    memory = {part: optimizers[part].init(params[part]) for part in params}
    params = _run(params, optimizers, memory, loss, first, ("head",))
    zeros = jax.tree.map(lambda leaf: 0 * leaf, params["head"])
    _, memory["head"] = head.update(zeros, memory["head"], params["head"])
    return _run(params, optimizers, memory, loss, then, ("head", "body"))


def update_without_the_parameters(params, head, body, loss, first, then):
    """AdamW refuses to go without them."""
    bare = [optax.GradientTransformation(one.init, _bare(one.update)) for one in (head, body)]
    return _trained(params, *bare, loss, first, then)


def _bare(update):
    return lambda slope, memory, params: update(slope, memory)
