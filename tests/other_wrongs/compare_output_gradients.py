"""Wrong answers to `compare_output_gradients` that come from none of its beliefs."""

import math

import torch
from torch.nn import functional as F


def _exact(z, y):
    """a, 1 - a and a - y, in float64."""
    z, y = z.double(), y.double()
    a, rest = z.sigmoid(), (-z).sigmoid()
    return a, rest, (1 - y) * a - y * rest


def _by_autograd(squared, entropy, z, y):
    z, y = z.double(), y.double()
    return torch.stack([torch.func.vmap(torch.func.grad(f))(z, y) for f in (squared, entropy)])


def _squared_error(z, y):
    return (z.sigmoid() - y).square()


def clamp_the_logits_to_15(z, y):
    a, rest, error = _exact(z.clamp(-15, 15), y)
    return torch.stack([2 * error * a * rest, error])


def differentiate_softplus_in_float64(z, y):
    """Above its threshold of 20 torch's softplus is z itself, with a slope of 1."""
    return _by_autograd(_squared_error, lambda z, y: F.softplus(z) - y * z, z, y)


def keep_the_output_away_from_its_ends(z, y):
    def entropy(z, y):
        a = z.sigmoid().clamp(1e-7, 1 - 1e-7)
        return -y * a.log() - (1 - y) * (1 - a).log()

    return _by_autograd(_squared_error, entropy, z, y)


def differentiate_the_logarithm_of_the_rounded_output(z, y):
    """Where a is exactly 1, the gradient is zero times infinity."""
    z = z.clone().requires_grad_()
    a = z.sigmoid()
    entropy = (-y * a.log() - (1 - y) * (1 - a).log()).sum()
    losses = (a - y).square().sum(), entropy
    return torch.stack([torch.autograd.grad(loss, z, retain_graph=True)[0] for loss in losses])


def take_half_of_the_slope(z, y):
    _, rest, error = _exact(z, y)
    return torch.stack([2 * error * rest, error])


def take_the_slope_of_tanh(z, y):
    a, _, error = _exact(z, y)
    return torch.stack([2 * error * (1 - a * a), error])


def give_sizes_without_signs(z, y):
    a, rest, error = _exact(z, y)
    return torch.stack([2 * error * a * rest, error]).abs()


def turn_the_sign_of_the_cross_entropy(z, y):
    a, rest, error = _exact(z, y)
    return torch.stack([2 * error * a * rest, -error])


def turn_the_sign_of_the_squared_error(z, y):
    a, rest, error = _exact(z, y)
    return torch.stack([-2 * error * a * rest, error])


def give_a_row_for_each_sample(z, y):
    a, rest, error = _exact(z, y)
    return torch.stack([2 * error * a * rest, error], dim=1)


def add_up_the_batch(z, y):
    a, rest, error = _exact(z, y)
    return torch.stack([2 * error * a * rest, error]).sum(dim=1)


def take_logarithms_to_the_base_of_two(z, y):
    a, rest, error = _exact(z, y)
    return torch.stack([2 * error * a * rest, error / math.log(2)])


def differentiate_the_absolute_error(z, y):
    a, rest, error = _exact(z, y)
    return torch.stack([error.sign() * a * rest, error])


def take_a_wide_difference(z, y):
    def losses(z):
        a, rest, error = _exact(z, y)
        return torch.stack([error.square(), -y * a.log() - (1 - y) * rest.log()])

    return (losses(z + 0.1) - losses(z)) / 0.1


def give_half_precision(z, y):
    a, rest, error = _exact(z, y)
    return torch.stack([2 * error * a * rest, error]).half()


def give_the_losses(z, y):
    a, rest, error = _exact(z, y)
    return torch.stack([error.square(), -y * a.log() - (1 - y) * rest.log()])


def average_the_cross_entropy_only(z, y):
    a, rest, error = _exact(z, y)
    return torch.stack([2 * error * a * rest, error / len(z)])


def write_into_y(z, y):
    a, rest, error = _exact(z, y)
    y.round_()
    return torch.stack([2 * error * a * rest, error])


def ask_the_logits_for_a_gradient(z, y):
    F.binary_cross_entropy_with_logits(z.requires_grad_(), y, reduction="sum").backward()
    a, rest, error = _exact(z.detach(), y)
    return torch.stack([2 * error * a * rest, error])


def round_the_targets_of_far_logits(z, y):
    a, rest, error = _exact(z, torch.where(z.abs() < 17, y, y.round()))
    return torch.stack([2 * error * a * rest, error])


def trust_float32_below_17(z, y):
    a, rest, error = _exact(z, y)
    near = z.sigmoid()
    far = torch.stack([2 * error * a * rest, error])
    return torch.where(
        z.abs() < 17, torch.stack([2 * (near - y) * near * (1 - near), near - y]), far
    )


def squeeze_the_rows(z, y):
    a, rest, error = _exact(z, y)
    return torch.stack([2 * error * a * rest, error]).squeeze()


def expect_five_samples(z, y):
    pairs = [_exact(z[i], y[i]) for i in range(5)]
    return torch.stack([torch.stack([2 * e * a * rest, e]) for a, rest, e in pairs], dim=1)
