"""Wrong answers to `renew_units` that come from none of its beliefs."""

import copy

import torch
from torch import nn


def _new(layer, norm, following, units, incoming):
    run = following.weight.shape[1] // len(units)
    out = (slice(None), units.repeat_interleave(run))
    new = [(layer.weight, units, incoming), (layer.bias, units, 0), (following.weight, out, 0)]
    if norm is not None:
        new += [(norm.weight, units, 1), (norm.bias, units, 0)]
        new += [(norm.running_mean, units, 0), (norm.running_var, units, 1)]
    return [entry for entry in new if entry[0] is not None]


def _forget(optimizer, tensor, place, keys=None):
    for key, kept in optimizer.state.get(tensor, {}).items():
        if torch.is_tensor(kept) and kept.shape == tensor.shape and (not keys or key in keys):
            kept[place] = 0


@torch.no_grad()
def _renew(new, optimizer, keys=None):
    for tensor, place, value in new:
        tensor[place] = value
        _forget(optimizer, tensor, place, keys)


def forget_the_first_average_only(layer, norm, following, units, incoming, optimizer):
    _renew(_new(layer, norm, following, units, incoming), optimizer, ["exp_avg"])


def forget_what_adam_keeps_only(layer, norm, following, units, incoming, optimizer):
    keys = ["exp_avg", "exp_avg_sq", "max_exp_avg_sq"]
    _renew(_new(layer, norm, following, units, incoming), optimizer, keys)


def set_the_step_count_to_zero(layer, norm, following, units, incoming, optimizer):
    _renew(_new(layer, norm, following, units, incoming), optimizer)
    for kept in optimizer.state.values():
        if "step" in kept:
            kept["step"] = torch.zeros(())


def drop_the_memory_of_each_parameter(layer, norm, following, units, incoming, optimizer):
    new = _new(layer, norm, following, units, incoming)
    _renew(new, optimizer)
    for tensor, _, _ in new:
        optimizer.state.pop(tensor, None)


def make_new_parameters(layer, norm, following, units, incoming, optimizer):
    for module in (layer, following):
        for name, parameter in [*module.named_parameters()]:
            setattr(module, name, nn.Parameter(parameter.detach().clone()))
    _renew(_new(layer, norm, following, units, incoming), optimizer)


def renew_a_copy(layer, norm, following, units, incoming, optimizer):
    layer, norm, following, optimizer = copy.deepcopy((layer, norm, following, optimizer))
    _renew(_new(layer, norm, following, units, incoming), optimizer)


def reset_the_whole_norm(layer, norm, following, units, incoming, optimizer):
    _renew(_new(layer, norm, following, units, incoming), optimizer)
    if norm is not None:
        norm.reset_parameters()


def clear_the_running_statistics_of_all(layer, norm, following, units, incoming, optimizer):
    _renew(_new(layer, norm, following, units, incoming), optimizer)
    if norm is not None:
        norm.reset_running_stats()


def set_the_gain_to_zero(layer, norm, following, units, incoming, optimizer):
    """The output is kept by the gain, and the outgoing weights are left as they were."""
    new = _new(layer, norm, following, units, incoming)
    if norm is not None:
        new = [(t, p, 0 if t is norm.weight else v) for t, p, v in new if t is not following.weight]
    _renew(new, optimizer)


def set_the_variance_to_zero(layer, norm, following, units, incoming, optimizer):
    new = _new(layer, norm, following, units, incoming)
    _renew(
        [
            (tensor, place, value if tensor is layer.weight else 0)
            for tensor, place, value in new
            if norm is None or tensor is not norm.weight
        ],
        optimizer,
    )
    if norm is not None:
        _renew([(norm.weight, units, 1)], optimizer)


def leave_the_bias(layer, norm, following, units, incoming, optimizer):
    new = _new(layer, norm, following, units, incoming)
    _renew([entry for entry in new if entry[0] is not layer.bias], optimizer)


def renew_the_others(layer, norm, following, units, incoming, optimizer):
    fresh = layer.weight.detach()[~units].clone()
    _renew(_new(layer, norm, following, ~units, fresh), optimizer)


def give_all_the_same_weights(layer, norm, following, units, incoming, optimizer):
    same = incoming[:1].expand_as(incoming)
    _renew(_new(layer, norm, following, units, same), optimizer)


def draw_weights_of_its_own(layer, norm, following, units, incoming, optimizer):
    own = torch.randn(incoming.shape) / incoming[:1].numel() ** 0.5
    _renew(_new(layer, norm, following, units, own), optimizer)


def clear_the_bias_behind(layer, norm, following, units, incoming, optimizer):
    _renew(_new(layer, norm, following, units, incoming), optimizer)
    following.bias.data.zero_()


def turn_the_norm_to_eval_mode(layer, norm, following, units, incoming, optimizer):
    _renew(_new(layer, norm, following, units, incoming), optimizer)
    if norm is not None:
        norm.eval()


def clear_all_gradients(layer, norm, following, units, incoming, optimizer):
    _renew(_new(layer, norm, following, units, incoming), optimizer)
    optimizer.zero_grad()


def lower_the_rate(layer, norm, following, units, incoming, optimizer):
    _renew(_new(layer, norm, following, units, incoming), optimizer)
    for group in optimizer.param_groups:
        group["lr"] /= 30


def expect_memory_of_everything(layer, norm, following, units, incoming, optimizer):
    new = _new(layer, norm, following, units, incoming)
    _renew(new, optimizer)
    for tensor, _, _ in new:
        if isinstance(tensor, nn.Parameter) and tensor not in optimizer.state:
            raise KeyError("no memory")


def clear_gradients_of_the_units(layer, norm, following, units, incoming, optimizer):
    new = _new(layer, norm, following, units, incoming)
    _renew(new, optimizer)
    for tensor, place, _ in new:
        if tensor.grad is not None:
            tensor.grad[place] = 0


def use_the_arguments_up(layer, norm, following, units, incoming, optimizer):
    _renew(_new(layer, norm, following, units, incoming), optimizer)
    incoming.zero_()
    units.fill_(False)


def know_the_names_of_the_averages(layer, norm, following, units, incoming, optimizer):
    keys = ["exp_avg", "exp_avg_sq", "momentum_buffer", "sum"]
    _renew(_new(layer, norm, following, units, incoming), optimizer, keys)
