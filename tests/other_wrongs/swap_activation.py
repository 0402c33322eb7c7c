"""Wrong answers to `swap_activation` that come from none of its beliefs."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F


class _Made(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def _swap(model, function, meant=lambda module: isinstance(module, nn.ReLU)):
    for parent in [*model.modules()]:
        for name, child in parent._modules.items():
            if meant(child):
                setattr(parent, name, _Made(function).train(child.training))


def _by(slope):
    return (1 + slope**2) ** 0.5


def leak_above_zero(model, slope):
    _swap(model, lambda x: -F.leaky_relu(-x, slope) / _by(slope))


def leak_upwards(model, slope):
    _swap(model, lambda x: torch.where(x > 0, x, -slope * x) / _by(slope))


def divide_above_zero_only(model, slope):
    _swap(model, lambda x: torch.where(x > 0, x / _by(slope), slope * x))


def divide_below_zero_only(model, slope):
    _swap(model, lambda x: torch.where(x > 0, x, slope * x / _by(slope)))


def add_the_slopes(model, slope):
    _swap(model, lambda x: F.leaky_relu(x, slope) / (1 + slope))


def take_the_usual_slope(model, slope):
    _swap(model, lambda x: F.leaky_relu(x, 0.01) / _by(0.01))


def take_elu(model, slope):
    _swap(model, lambda x: F.elu(x, slope) / _by(slope))


def measure_the_size_on_each_batch(model, slope):
    def function(x):
        leaky = F.leaky_relu(x, slope)
        sizes = F.relu(x).square().mean(), leaky.square().mean()
        return leaky * (sizes[0] / sizes[1]).sqrt()

    _swap(model, function)


def halve_the_weights_behind(model, slope):
    """The weights of all layers but the first are divided, and the activation is plain."""
    _swap(model, lambda x: F.leaky_relu(x, slope))
    with torch.no_grad():
        for number, module in enumerate(m for m in model.modules() if isinstance(m, nn.Linear)):
            if number:
                module.weight /= _by(slope)


def swap_other_rectifiers_too(model, slope):
    _swap(
        model,
        lambda x: F.leaky_relu(x, slope) / _by(slope),
        lambda module: isinstance(module, nn.ReLU | nn.ReLU6),
    )


def swap_leaky_ones_too(model, slope):
    _swap(
        model,
        lambda x: F.leaky_relu(x, slope) / _by(slope),
        lambda module: isinstance(module, nn.ReLU | nn.LeakyReLU),
    )


def turn_everything_to_train_mode(model, slope):
    _swap(model, lambda x: F.leaky_relu(x, slope) / _by(slope))
    model.train()


def thaw_the_model(model, slope):
    _swap(model, lambda x: F.leaky_relu(x, slope) / _by(slope))
    model.requires_grad_(True)


def clear_the_gradients(model, slope):
    _swap(model, lambda x: F.leaky_relu(x, slope) / _by(slope))
    model.zero_grad()


def cut_small_numbers_off(model, slope):
    _swap(model, lambda x: F.leaky_relu(torch.where(x.abs() < 1e-12, 0, x), slope) / _by(slope))


def swap_the_first_alone(model, slope):
    for parent in [*model.modules()]:
        for name, child in parent._modules.items():
            if isinstance(child, nn.ReLU):
                setattr(parent, name, _Made(lambda x: F.leaky_relu(x, slope) / _by(slope)))
                return


def use_a_hook(model, slope):
    """A hook scales what a ReLU gives; nothing leaks."""
    for module in model.modules():
        if isinstance(module, nn.ReLU):
            module.register_forward_hook(lambda m, x, y: y / _by(slope))


def write_into_pre_activations(model, slope):
    _swap(model, lambda x: F.leaky_relu_(x, slope) / _by(slope))


def divide_in_place(model, slope):
    """The slope is told from the sign of what a leaky slope gives, and that is gone."""
    _swap(model, lambda x: F.leaky_relu_(x, slope).div_(_by(slope)))


def let_no_gradient_through(model, slope):
    _swap(model, lambda x: F.leaky_relu(x, slope).detach() / _by(slope))


def compute_in_numpy(model, slope):
    def function(x):
        numbers = x.detach().numpy()
        leaky = np.where(numbers > 0, numbers, slope * numbers)
        return torch.from_numpy((leaky / _by(slope)).astype(numbers.dtype))

    _swap(model, function)


def compute_in_float32(model, slope):
    _swap(model, lambda x: (F.leaky_relu(x.float(), slope) / _by(slope)).to(x.dtype))


def take_the_larger_of_two(model, slope):
    """Right for slopes up to 1."""
    _swap(model, lambda x: torch.maximum(x, slope * x) / _by(slope))


def take_a_prelu(model, slope):
    """Its slope is a parameter."""

    def made(child):
        return nn.PReLU(init=slope).to(next(model.parameters())).train(child.training)

    for parent in [*model.modules()]:
        for name, child in parent._modules.items():
            if isinstance(child, nn.ReLU):
                scale = _Made(lambda x: x / _by(slope)).train(child.training)
                setattr(parent, name, nn.Sequential(made(child), scale).train(child.training))
