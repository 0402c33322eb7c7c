"""Wrong answers to `rescale_saturated_units` that come from none of its beliefs."""

import copy

import torch


def _sizes(layer, x):
    return layer(x).detach().square().mean(dim=0).sqrt()


@torch.no_grad()
def _divide(layer, factors):
    layer.weight /= factors[:, None]
    if layer.bias is not None:
        layer.bias /= factors
    return factors


def _factors(layer, x, target):
    return (_sizes(layer, x) / target).clamp(min=1)


def multiply(layer, x, target):
    factors = _factors(layer, x, target)
    _divide(layer, 1 / factors)
    return factors


def divide_by_the_root_of_the_factor(layer, x, target):
    return _divide(layer, _factors(layer, x, target).sqrt())


def turn_the_signs(layer, x, target):
    factors = _factors(layer, x, target)
    _divide(layer, torch.where(factors > 1, -factors, factors))
    return factors


def drop_the_signs(layer, x, target):
    factors = _divide(layer, _factors(layer, x, target))
    layer.weight.data[factors > 1] = layer.weight.data[factors > 1].abs()
    return factors


def give_the_sizes(layer, x, target):
    sizes = _sizes(layer, x)
    _divide(layer, _factors(layer, x, target))
    return sizes


def give_the_shares_left(layer, x, target):
    return 1 / _divide(layer, _factors(layer, x, target))


def give_zero_where_nothing_changed(layer, x, target):
    factors = _divide(layer, _factors(layer, x, target))
    return torch.where(factors > 1, factors, 0)


def give_the_factors_that_were_applied_only(layer, x, target):
    factors = _divide(layer, _factors(layer, x, target))
    return factors[factors > 1]


def give_the_layer(layer, x, target):
    _divide(layer, _factors(layer, x, target))
    return layer


def give_nothing(layer, x, target):
    _divide(layer, _factors(layer, x, target))


def measure_the_samples(layer, x, target):
    sizes = layer(x).detach().square().mean(dim=1).sqrt()
    return _divide(layer, (sizes / target).clamp(min=1))


def forget_to_divide_by_the_number_of_samples(layer, x, target):
    return _divide(layer, (layer(x).detach().norm(dim=0) / target).clamp(min=1))


def measure_the_first_sample(layer, x, target):
    return _divide(layer, _factors(layer, x[:1], target))


def measure_what_comes_through_a_relu(layer, x, target):
    sizes = layer(x).detach().relu().square().mean(dim=0).sqrt()
    return _divide(layer, (sizes / target).clamp(min=1))


def shrink_what_is_saturated_for_a_sigmoid(layer, x, target):
    factors = _factors(layer, x, target)
    return _divide(layer, torch.where(_sizes(layer, x) > 2, factors, 1.0))


def shrink_the_largest_unit_only(layer, x, target):
    factors = _factors(layer, x, target)
    return _divide(layer, torch.where(factors == factors.max(), factors, 1.0))


def shrink_what_is_above_the_average(layer, x, target):
    sizes = _sizes(layer, x)
    return _divide(layer, torch.where(sizes > sizes.mean(), sizes / target, 1.0))


def shrink_below_the_target(layer, x, target):
    factors = _factors(layer, x, target)
    return _divide(layer, torch.where(factors > 1, 1.1 * factors, 1.0))


def round_the_factors_up(layer, x, target):
    return _divide(layer, _factors(layer, x, target).ceil())


def normalise_every_unit_and_give_its_size_back(layer, x, target):
    sizes = _sizes(layer, x).clamp(min=1e-6)
    _divide(layer, sizes * 3)
    _divide(layer, 1 / sizes.clamp(max=target) / 3)
    return (sizes / target).clamp(min=1)


def divide_the_bias_twice(layer, x, target):
    factors = _divide(layer, _factors(layer, x, target))
    if layer.bias is not None:
        layer.bias.data /= factors
    return factors


def clear_the_bias(layer, x, target):
    factors = _divide(layer, _factors(layer, x, target))
    if layer.bias is not None:
        layer.bias.data[factors > 1] = 0
    return factors


def hang_a_bias_on_a_layer_without_one(layer, x, target):
    if layer.bias is None:
        layer.bias = torch.nn.Parameter(torch.zeros(layer.out_features))
    return _divide(layer, _factors(layer, x, target))


def divide_a_copy(layer, x, target):
    return _divide(copy.deepcopy(layer), _factors(layer, x, target))


def divide_the_inputs(layer, x, target):
    factors = _factors(layer, x, target)
    x /= factors.max()
    return factors


def divide_the_inputs_to_measure_them(layer, x, target):
    factors = _factors(layer, x.div_(target), 1.0)
    sizes = _sizes(layer, x * target)
    return _divide(layer, torch.where(sizes > target, sizes / target, factors * 0 + 1))


def freeze_the_layer(layer, x, target):
    layer.requires_grad_(False)
    return _divide(layer, _factors(layer, x, target))


def leave_a_gradient(layer, x, target):
    factors = _factors(layer, x, target)
    layer(x).sum().backward()
    return _divide(layer, factors)


def add_a_small_number_to_the_target(layer, x, target):
    return _divide(layer, (_sizes(layer, x) / (target + 1e-8)).clamp(min=1))


def clear_the_gradients(layer, x, target):
    factors = _divide(layer, _factors(layer, x, target))
    layer.zero_grad()
    return factors


def switch_to_eval_mode(layer, x, target):
    return _divide(layer.eval(), _factors(layer, x, target))


def keep_the_factors_in_a_buffer(layer, x, target):
    layer.register_buffer("factors", _divide(layer, _factors(layer, x, target)))
    return layer.factors


def thaw_the_layer(layer, x, target):
    layer.requires_grad_(False)
    factors = _divide(layer, _factors(layer, x, target))
    layer.requires_grad_(True)
    return factors


def expect_five_units(layer, x, target):
    factors = _factors(layer, x, target)
    factors[5:] = 1
    return _divide(layer, factors)


def divide_the_outputs_by_a_hook(layer, x, target):
    factors = _factors(layer, x, target)
    layer.register_forward_hook(lambda layer, x, z: z / factors)
    return factors


def divide_by_one_sample_less(layer, x, target):
    sizes = (layer(x).detach().square().sum(0) / (len(x) - 1)).sqrt()
    return _divide(layer, (sizes / target).clamp(min=1))


def measure_in_half_precision(layer, x, target):
    sizes = layer(x).detach().bfloat16().square().mean(0).sqrt().float()
    return _divide(layer, (sizes / target).clamp(min=1))
