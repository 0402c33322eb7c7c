"""Wrong answers to `find_dead_units` that come from none of its beliefs."""

import torch


def _slopes(layer, activation, x):
    z = layer(x).detach().requires_grad_()
    return torch.autograd.grad(activation(z).sum(), z)[0]


def _all_slopes(layer, activation, loader):
    return torch.cat([_slopes(layer, activation, x) for x, _ in loader])


def ask_the_layer_for_its_width(layer, activation, loader):
    """Only a Linear says how many units it has."""
    dead = torch.ones(layer.out_features, dtype=torch.bool)
    for x, _ in loader:
        dead &= (_slopes(layer, activation, x) == 0).all(0)
    return dead


def reckon_with_weight_and_bias(layer, activation, loader):
    dead = True
    for x, _ in loader:
        z = (x @ layer.weight.T + layer.bias).detach().requires_grad_()
        slopes = torch.autograd.grad(activation(z).sum(), z)[0]
        dead = dead & (slopes == 0).all(0)
    return dead


def leave_the_layer_in_the_graph(layer, activation, loader):
    """A frozen layer gives pre-activations that ask for no gradient."""
    dead = True
    for x, _ in loader:
        z = layer(x)
        dead = dead & (torch.autograd.grad(activation(z).sum(), z)[0] == 0).all(0)
    return dead


def thaw_the_layer_first(layer, activation, loader):
    layer.requires_grad_(True)
    dead = True
    for x, _ in loader:
        z = layer(x)
        dead = dead & (torch.autograd.grad(activation(z).sum(), z)[0] == 0).all(0)
    return dead


def freeze_the_layer_first(layer, activation, loader):
    layer.requires_grad_(False)
    return (_all_slopes(layer, activation, loader) == 0).all(0)


def clear_the_gradients_behind_it(layer, activation, loader):
    """The gradients are zeros where there were none."""
    dead = True
    for x, _ in loader:
        z = layer(x)
        z.retain_grad()
        activation(z).sum().backward()
        dead = dead & (z.grad == 0).all(0)
        layer.zero_grad(set_to_none=False)
    return dead


def switch_to_eval_first(layer, activation, loader):
    layer.eval()
    return (_all_slopes(layer, activation, loader) == 0).all(0)


def square_the_slopes(layer, activation, loader):
    """The square of a slope of 1e-31 is zero in float32."""
    return _all_slopes(layer, activation, loader).square().sum(0) == 0


def take_the_norm(layer, activation, loader):
    return _all_slopes(layer, activation, loader).norm(dim=0) == 0


def call_a_slope_below_1e_12_zero(layer, activation, loader):
    return (_all_slopes(layer, activation, loader).abs() < 1e-12).all(0)


def compare_nearly(layer, activation, loader):
    slopes = _all_slopes(layer, activation, loader)
    return torch.isclose(slopes, torch.zeros_like(slopes)).all(0)


def ask_for_a_slope_above_zero(layer, activation, loader):
    return (_all_slopes(layer, activation, loader) <= 0).all(0)


def take_the_slope_from_two_points(layer, activation, loader):
    with torch.no_grad():
        z = torch.cat([layer(x) for x, _ in loader])
        return (activation(z + 0.01) - activation(z - 0.01) == 0).all(0)


def leave_the_last_batch_out(layer, activation, loader):
    batches = [(x, y) for x, y in loader][:-1]
    return (_all_slopes(layer, activation, batches) == 0).all(0)


def leave_small_batches_out(layer, activation, loader):
    batches = [(x, y) for x, y in loader]
    whole = [(x, y) for x, y in batches if len(x) == len(batches[0][0])]
    return (_all_slopes(layer, activation, whole) == 0).all(0)


def judge_the_samples(layer, activation, loader):
    return (_all_slopes(layer, activation, loader) == 0).all(1)


def go_by_most_of_the_batches(layer, activation, loader):
    verdicts = [(_slopes(layer, activation, x) == 0).all(0) for x, _ in loader]
    return torch.stack(verdicts).float().mean(0) > 0.5


def walk_through_twice(layer, activation, loader):
    samples = sum(len(x) for x, _ in loader)
    flat = sum((_slopes(layer, activation, x) == 0).sum(0) for x, _ in loader)
    return torch.as_tensor(flat) == samples


def name_the_units(layer, activation, loader):
    return (_all_slopes(layer, activation, loader) == 0).all(0).nonzero()


def mark_with_ones(layer, activation, loader):
    return (_all_slopes(layer, activation, loader) == 0).all(0).float()


def count_the_dead(layer, activation, loader):
    return (_all_slopes(layer, activation, loader) == 0).all(0).sum()


def expect_as_many_units_as_inputs(layer, activation, loader):
    dead = None
    for x, _ in loader:
        dead = torch.ones(x.shape[1], dtype=torch.bool) if dead is None else dead
        dead &= (_slopes(layer, activation, x) == 0).all(0)
    return dead


def ask_x_for_a_gradient(layer, activation, loader):
    """So that a frozen layer gives pre-activations that ask for one."""
    dead = True
    for x, _ in loader:
        x.requires_grad_()
        z = layer(x)
        dead = dead & (torch.autograd.grad(activation(z).sum(), z)[0] == 0).all(0)
    return dead


def write_the_pre_activations_over_x(layer, activation, loader):
    dead = True
    for x, _ in loader:
        dead = dead & (_slopes(layer, activation, x) == 0).all(0)
        x[:, : len(dead)] = layer(x).detach()
    return dead


def round_the_slopes_to_float16(layer, activation, loader):
    batches = [_slopes(layer, activation, x) for x, _ in loader]
    return (torch.cat(batches).half() == 0).all(0)
