"""Wrong answers to `empirical_diagonal` that come from none of its beliefs."""

import copy

import torch
from torch.func import functional_call, grad, vmap
from torch.nn import functional as F


def _each(model, inputs, labels, remove_duplicate=True):
    model = copy.deepcopy(model).eval()
    named = model.named_parameters(remove_duplicate=remove_duplicate)
    params = {name: p.detach() for name, p in named}

    def loss(params, one, label):
        return F.cross_entropy(functional_call(model, params, (one[None],)), label[None])

    return vmap(grad(loss), in_dims=(None, 0, 0))(params, inputs, labels)


def _squares(model, inputs, labels):
    each = _each(model, inputs, labels)
    return {name: g.square().mean(0) for name, g in each.items()}


def give_zeros_to_frozen_parameters(model, inputs, labels):
    flags = {name: p.requires_grad for name, p in model.named_parameters()}
    return {n: f * flags[n] for n, f in _squares(model, inputs, labels).items()}


def look_at_the_first_sample(model, inputs, labels):
    return _squares(model, inputs[:1], labels[:1])


def divide_by_one_less(model, inputs, labels):
    n = len(inputs)
    return {k: f * n / max(1, n - 1) for k, f in _squares(model, inputs, labels).items()}


def give_one_number_a_tensor(model, inputs, labels):
    return {k: f.mean() for k, f in _squares(model, inputs, labels).items()}


def spread_the_mean_over_the_tensor(model, inputs, labels):
    found = _squares(model, inputs, labels)
    return {k: f.mean().expand_as(f) for k, f in found.items()}


def take_off_the_squared_mean(model, inputs, labels):
    return {n: g.var(0, correction=0) for n, g in _each(model, inputs, labels).items()}


def take_the_largest_square(model, inputs, labels):
    return {n: g.square().amax(0) for n, g in _each(model, inputs, labels).items()}


def take_the_root(model, inputs, labels):
    return {n: f.sqrt() for n, f in _squares(model, inputs, labels).items()}


def add_a_small_number(model, inputs, labels):
    return {n: f + 1e-8 for n, f in _squares(model, inputs, labels).items()}


def work_in_float32(model, inputs, labels):
    found = _squares(model, inputs, labels)
    return {n: torch.round(f, decimals=12) for n, f in found.items()}


def name_shared_parameters_twice(model, inputs, labels):
    found = _squares(model, inputs, labels)
    first = {id(p): name for name, p in model.named_parameters()}
    named = model.named_parameters(remove_duplicate=False)
    return {name: found[first[id(p)]] for name, p in named}


def leave_out_what_is_not_used(model, inputs, labels):
    return {n: f for n, f in _squares(model, inputs, labels).items() if f.any()}


def put_the_mode_of_the_whole_model_back(model, inputs, labels):
    found, was = _squares(model, inputs, labels), model.training
    model.train(was)
    return found


def thaw_for_good(model, inputs, labels):
    found = _squares(model, inputs, labels)
    model.requires_grad_(True)
    return found


def keep_it_in_the_gradients(model, inputs, labels):
    found = _squares(model, inputs, labels)
    for name, p in model.named_parameters():
        p.grad = found[name]
    return found


def ask_for_another_class(model, inputs, labels):
    classes = copy.deepcopy(model).eval()(inputs).shape[1]
    return _squares(model, inputs, (labels + 1) % classes)


def use_the_gradient_of_the_logit(model, inputs, labels):
    model = copy.deepcopy(model).eval()
    params = {name: p.detach() for name, p in model.named_parameters()}

    def logit(params, one, label):
        return functional_call(model, params, (one[None],))[0].gather(0, label[None])[0]

    each = vmap(grad(logit), in_dims=(None, 0, 0))(params, inputs, labels)
    return {name: g.square().mean(0) for name, g in each.items()}


def put_modes_back_child_by_child(model, inputs, labels):
    found, was = _squares(model, inputs, labels), model.training
    modes = {child: child.training for child in model.children()}
    model.train(was)
    for child, mode in modes.items():
        child.train(mode)
    return found


def clear_the_gradients_of_what_is_frozen(model, inputs, labels):
    for p in model.parameters():
        p.grad = p.grad if p.requires_grad else None
    return _squares(model, inputs, labels)


def square_batches_of_three(model, inputs, labels):
    parts = list(zip(inputs.split(3), labels.split(3), strict=True))
    means = [{n: g.mean(0) for n, g in _each(model, *part).items()} for part in parts]
    return {n: sum(mean[n] ** 2 for mean in means) / len(means) for n in means[0]}


def write_numbers_out_in_lists(model, inputs, labels):
    return {n: f.tolist() for n, f in _squares(model, inputs, labels).items()}
