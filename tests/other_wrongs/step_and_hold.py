"""Wrong answers to `step_and_hold` that come from none of its beliefs."""

import torch


def _fill(optimizer, kept):
    with torch.no_grad():
        for parameter, keep in kept:
            parameter[~keep] = 0
            for value in optimizer.state[parameter].values():
                if torch.is_tensor(value) and value.shape == parameter.shape:
                    value[~keep] = 0


def step_twice(optimizer, kept):
    optimizer.step()
    optimizer.step()
    _fill(optimizer, kept)


def forget_the_step(optimizer, kept):
    _fill(optimizer, kept)


def hold_the_first_parameter_only(optimizer, kept):
    optimizer.step()
    _fill(optimizer, kept[:1])


def clear_the_gradients_at_the_end(optimizer, kept):
    optimizer.step()
    _fill(optimizer, kept)
    optimizer.zero_grad()


def step_by_hand(optimizer, kept):
    rate = optimizer.param_groups[0]["lr"]
    with torch.no_grad():
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                parameter -= rate * parameter.grad
    _fill(optimizer, kept)


def leave_a_small_number(optimizer, kept):
    optimizer.step()
    _fill(optimizer, kept)
    for parameter, keep in kept:
        parameter.data[~keep] = 1e-12


def switch_weight_decay_off(optimizer, kept):
    for group in optimizer.param_groups:
        group["weight_decay"] = 0.0
    optimizer.step()
    _fill(optimizer, kept)


def zero_the_rows_that_lost_an_entry(optimizer, kept):
    optimizer.step()
    _fill(
        optimizer,
        [(p, keep & keep.any(1, keepdim=True) & (keep.sum(1) > 2)[:, None]) for p, keep in kept],
    )


def put_the_old_weights_back(optimizer, kept):
    """Held, but where they were and not at zero."""
    old = [parameter.detach().clone() for parameter, _ in kept]
    optimizer.step()
    with torch.no_grad():
        for (parameter, keep), before in zip(kept, old, strict=True):
            parameter[~keep] = before[~keep]


def clip_the_gradients(optimizer, kept):
    torch.nn.utils.clip_grad_norm_(
        [p for group in optimizer.param_groups for p in group["params"]], 0.1
    )
    optimizer.step()
    _fill(optimizer, kept)


def remove_nan_from_all_gradients(optimizer, kept):
    for parameter, _ in kept:
        parameter.grad = parameter.grad.nan_to_num(0, 0, 0)
    optimizer.step()
    _fill(optimizer, kept)


def clear_the_momentum_of_sgd_only(optimizer, kept):
    optimizer.step()
    with torch.no_grad():
        for parameter, keep in kept:
            parameter[~keep] = 0
            momentum = optimizer.state[parameter].get("momentum_buffer")
            if momentum is not None:
                momentum[~keep] = 0


def count_the_steps_anew(optimizer, kept):
    optimizer.step()
    _fill(optimizer, kept)
    for parameter, _ in kept:
        if "step" in optimizer.state[parameter]:
            optimizer.state[parameter]["step"].fill_(1)


def scale_the_kept(optimizer, kept):
    """As dropout does: what is left is made larger."""
    optimizer.step()
    _fill(optimizer, kept)
    for parameter, keep in kept:
        parameter.data /= keep.float().mean()


def invert_the_flags_in_place(optimizer, kept):
    """At the next step they are the other way round."""
    optimizer.step()
    for _, keep in kept:
        keep.logical_not_()
    _fill(optimizer, [(parameter, ~gone) for parameter, gone in kept])


def remove_nan_from_all_weights(optimizer, kept):
    optimizer.step()
    for parameter, keep in kept:
        parameter.data = (parameter.data * keep).nan_to_num(0, 0, 0)
    _fill(optimizer, kept)


def leave_the_hook(optimizer, kept):
    """Nothing can be opened again."""
    optimizer.register_step_post_hook(lambda *given: _fill(optimizer, kept))
    optimizer.step()


def clear_the_memory_before_the_step_only(optimizer, kept):
    _fill(optimizer, kept)
    optimizer.step()
    for parameter, keep in kept:
        parameter.data[~keep] = 0
