"""Right answers to `true_diagonal`, each in a style of its own."""

import copy

import torch
from torch.func import functional_call, grad, jacrev, vmap
from torch.nn import functional as F


def copy_the_model_and_loop(model, inputs):
    twin = copy.deepcopy(model).eval().requires_grad_(True)
    total = {name: torch.zeros_like(p) for name, p in twin.named_parameters()}
    for row in range(len(inputs)):
        logs = twin(inputs[row : row + 1]).log_softmax(1)[0]
        for chance, log in zip(logs.detach().exp(), logs, strict=True):
            twin.zero_grad()
            log.backward(retain_graph=True)
            for name, p in twin.named_parameters():
                total[name] += 0 if p.grad is None else chance * p.grad**2
    return {name: part / len(inputs) for name, part in total.items()}


def give_each_class_as_label(model, inputs):
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    params = {name: p.detach() for name, p in model.named_parameters()}
    with torch.no_grad():
        chances = model(inputs).softmax(1)

    def loss(params, one, label):
        return F.cross_entropy(functional_call(model, params, (one[None],)), label[None])

    each, found = vmap(grad(loss), in_dims=(None, 0, 0)), {}
    for c in range(chances.shape[1]):
        labels = torch.full((len(inputs),), c)
        for name, g in each(params, inputs, labels).items():
            weighted = g**2 * chances[:, c].reshape(-1, *[1] * (g.dim() - 1))
            found[name] = found.get(name, 0) + weighted.mean(0)
    for module, mode in modes:
        module.training = mode
    return found


def square_a_score_times_a_root(model, inputs):
    twin = copy.deepcopy(model).eval().requires_grad_(True)
    named = dict(twin.named_parameters())
    logs = twin(inputs).log_softmax(1)
    found = {name: torch.zeros_like(p) for name, p in named.items()}
    for scaled in (logs * logs.detach().exp().sqrt()).flatten():
        slopes = torch.autograd.grad(
            scaled, list(named.values()), retain_graph=True, allow_unused=True
        )
        for name, slope in zip(named, slopes, strict=True):
            if slope is not None:
                found[name] += slope.square() / len(inputs)
    return found


def take_the_variance_of_the_slopes_of_the_logits(model, inputs):
    twin = copy.deepcopy(model).eval()
    params = {name: p.detach() for name, p in twin.named_parameters()}

    def logits(params, one):
        return functional_call(twin, params, (one[None],))[0]

    chances = vmap(logits, (None, 0))(params, inputs).softmax(1)
    found = {}
    for name, slopes in vmap(jacrev(logits), (None, 0))(params, inputs).items():
        away = slopes - torch.einsum("nc,nc...->n...", chances, slopes)[:, None]
        found[name] = torch.einsum("nc,nc...->...", chances, away**2) / len(inputs)
    return found
