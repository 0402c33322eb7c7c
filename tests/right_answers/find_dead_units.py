"""Right answers to `find_dead_units`, each in a style of its own."""

import torch


def gather_all_pre_activations(layer, activation, loader):
    z = torch.cat([layer(x).detach() for x, _ in loader]).requires_grad_()
    activation(z).sum().backward()
    return torch.all(z.grad == 0, dim=0)


def remember_who_was_alive(layer, activation, loader):
    alive = None
    for x, _ in loader:
        with torch.no_grad():
            z = layer(x)
        z.requires_grad_()
        slope = torch.autograd.grad(activation(z), z, torch.ones_like(z))[0]
        awake = slope.ne(0).any(dim=0)
        alive = awake if alive is None else alive | awake
    return ~alive


def map_the_derivative(layer, activation, loader):
    slope = torch.func.vmap(torch.func.vmap(torch.func.grad(activation)))
    steepest = [slope(layer(x).detach()).abs().amax(0) for x, _ in loader]
    return torch.stack(steepest).amax(0) == 0


def count_the_steep_samples(layer, activation, loader):
    count = 0
    for batch in loader:
        z = torch.func.functional_call(layer, dict(layer.named_parameters()), batch[0]).detach()
        z.requires_grad_(True)
        slope = torch.autograd.functional.vjp(activation, z, torch.ones_like(z))[1]
        count = count + torch.count_nonzero(slope, dim=0)
    return count < 1


def go_unit_by_unit(layer, activation, loader):
    z = torch.cat([layer(x) for x, _ in loader]).detach()
    verdicts = []
    for column in z.T:
        column = column.clone().requires_grad_()
        activation(column).sum().backward()
        verdicts.append(not column.grad.any())
    return torch.tensor(verdicts)


def keep_the_gradient_of_a_copy(layer, activation, loader):
    dead = torch.tensor(True)
    for x, _ in loader:
        z = torch.autograd.Variable(layer(x).data, requires_grad=True)
        activation(z).mean().backward()
        dead = dead & (z.grad.abs().max(0).values == 0)
    return dead
