"""Wrong answers to `gradients_behind` that come from none of its beliefs."""

from copy import deepcopy

import torch
from torch.nn import functional as F


def _measured(model, silent, inputs, targets, quiet=lambda out: out * 0):
    twin = deepcopy(model)
    twin.zero_grad()
    twin.get_submodule(silent).register_forward_hook(lambda module, args, out: quiet(out))
    F.cross_entropy(twin(inputs), targets).backward()
    return {name: p.grad for name, p in twin.named_parameters()}


def _zeros(gradients):
    return [name for name, g in gradients.items() if g is not None and not g.any()]


def name_where_one_entry_is_zero(model, *rest):
    return [n for n, g in _measured(model, *rest).items() if g is not None and (g == 0).any()]


def name_the_modules(model, *rest):
    return sorted({name.rpartition(".")[0] for name in _zeros(_measured(model, *rest))})


def name_what_learns(model, *rest):
    return [n for n, g in _measured(model, *rest).items() if g is not None and g.any()]


def multiply_by_little(model, *rest):
    return _zeros(_measured(model, *rest, quiet=lambda out: out * 1e-20))


def detach_it(model, *rest):
    return _zeros(_measured(model, *rest, quiet=torch.Tensor.detach))


def silence_nothing(model, *rest):
    return _zeros(_measured(model, *rest, quiet=lambda out: out))


def silence_the_first_sample(model, *rest):
    return _zeros(_measured(model, *rest, quiet=lambda out: torch.cat([out[:1] * 0, out[1:]])))


def put_out_ones(model, *rest):
    return _zeros(_measured(model, *rest, quiet=lambda out: out * 0 + 1))


def name_weights_only(model, *rest):
    return [name for name in _zeros(_measured(model, *rest)) if name.endswith("weight")]


def silence_its_input(model, silent, inputs, targets):
    twin = deepcopy(model)
    twin.zero_grad()
    twin.get_submodule(silent).register_forward_pre_hook(lambda module, args: args[0] * 0)
    F.cross_entropy(twin(inputs), targets).backward()
    return _zeros({name: p.grad for name, p in twin.named_parameters()})


def silence_the_gradient_only(model, silent, inputs, targets):
    twin = deepcopy(model)
    twin.zero_grad()
    twin.get_submodule(silent).register_full_backward_hook(lambda m, i, o: tuple(g * 0 for g in i))
    F.cross_entropy(twin(inputs), targets).backward()
    return _zeros({name: p.grad for name, p in twin.named_parameters()})


def take_all_hooks_off(model, *rest):
    found = _zeros(_measured(model, *rest))
    model.get_submodule(rest[0])._forward_hooks.clear()
    return found


def unfreeze_all(model, silent, inputs, targets):
    twin = deepcopy(model).requires_grad_(True)
    return _zeros(_measured(twin, silent, inputs, targets))


def look_below_it_only(model, *rest):
    names = [name for name, _ in model.named_parameters()]
    last = max((k for k, name in enumerate(names) if name.startswith(rest[0])), default=-1)
    return [name for name in _zeros(_measured(model, *rest)) if names.index(name) <= last]


def know_one_level_only(model, silent, *rest):
    return _zeros(_measured(model, silent.partition(".")[0], *rest))


def freeze_what_is_zero(model, *rest):
    found = _zeros(_measured(model, *rest))
    for name in found:
        model.get_parameter(name).requires_grad_(False)
    return found


def measure_in_eval_mode(model, *rest):
    return _zeros(_measured(deepcopy(model).eval(), *rest))


def measure_in_train_mode(model, *rest):
    return _zeros(_measured(deepcopy(model).train(), *rest))


def ask_the_norm(model, *rest):
    return [n for n, g in _measured(model, *rest).items() if g is not None and g.norm() == 0]


def ask_the_sum(model, *rest):
    return [n for n, g in _measured(model, *rest).items() if g is not None and g.sum() == 0]


def leave_a_new_forward_behind(model, *rest):
    found = _zeros(_measured(model, *rest))
    module = model.get_submodule(rest[0])
    forward = module.forward
    module.forward = lambda *args: forward(*args) * 0
    return found


def silence_all_names_that_begin_alike(model, silent, inputs, targets):
    twin = deepcopy(model)
    for name, module in twin.named_modules():
        if name.startswith(silent):
            module.register_forward_hook(lambda module, args, out: out * 0)
    F.cross_entropy(twin(inputs), targets).backward()
    return _zeros({name: p.grad for name, p in twin.named_parameters()})


def add_the_outputs_up_for_a_loss(model, silent, inputs, targets):
    twin = deepcopy(model)
    twin.get_submodule(silent).register_forward_hook(lambda module, args, out: out * 0)
    twin(inputs).sum().backward()
    return _zeros({name: p.grad for name, p in twin.named_parameters()})
