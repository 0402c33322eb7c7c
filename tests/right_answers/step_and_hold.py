"""Right answers to `step_and_hold`, each in a style of its own."""

import torch


def choose_with_where(optimizer, kept):
    optimizer.step()
    for parameter, keep in kept:
        parameter.data = torch.where(keep, parameter.data, 0.0)
        state = optimizer.state[parameter]
        for name, value in list(state.items()):
            if torch.is_tensor(value) and value.shape == parameter.shape:
                state[name] = torch.where(keep, value, 0.0)


def hide_the_gradients_for_a_moment(optimizer, kept):
    """What goes in is 0, so what comes out is; the true gradients are put back."""
    gradients = [parameter.grad for parameter, _ in kept]
    for parameter, keep in kept:
        parameter.data.masked_fill_(~keep, 0)
        parameter.grad = parameter.grad.masked_fill(~keep, 0)
        for value in optimizer.state[parameter].values():
            if torch.is_tensor(value) and value.dim():
                value.masked_fill_(~keep, 0)
    optimizer.step()
    for (parameter, _), gradient in zip(kept, gradients, strict=True):
        parameter.grad = gradient


def name_what_is_stored(optimizer, kept):
    optimizer.step()
    names = ("exp_avg", "exp_avg_sq", "max_exp_avg_sq", "momentum_buffer")
    with torch.no_grad():
        for parameter, keep in kept:
            parameter[~keep] = 0
            for name in names:
                value = optimizer.state[parameter].get(name)
                if value is not None:
                    value[~keep] = 0


@torch.no_grad()
def go_through_the_groups(optimizer, kept):
    flags = {id(parameter): keep for parameter, keep in kept}
    optimizer.step()
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            if id(parameter) in flags:
                gone = ~flags[id(parameter)]
                parameter.masked_fill_(gone, 0)
                for value in optimizer.state[parameter].values():
                    if getattr(value, "shape", None) == parameter.shape:
                        value.masked_fill_(gone, 0)


def copy_zeros_to_flat_places(optimizer, kept):
    optimizer.step()
    for parameter, keep in kept:
        places = (~keep).flatten().nonzero().squeeze(1)
        tensors = [parameter.data]
        tensors += [
            v for v in optimizer.state[parameter].values() if torch.is_tensor(v) and v.dim()
        ]
        for tensor in tensors:
            tensor.view(-1).index_fill_(0, places, 0.0)


def register_a_hook_for_one_step(optimizer, kept):
    def hold(optimizer, *given):
        for parameter, keep in kept:
            parameter.data[~keep] = 0
            for value in optimizer.state[parameter].values():
                if torch.is_tensor(value) and value.shape == keep.shape:
                    value[~keep] = 0

    handle = optimizer.register_step_post_hook(hold)
    optimizer.step()
    handle.remove()
