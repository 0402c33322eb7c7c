"""Wrong answers to `log10_gradient_norms` that come from none of its beliefs."""

import math

import torch


def _owned(model):
    owned = ((path, list(m.parameters(recurse=False))) for path, m in model.named_modules())
    return {path: own for path, own in owned if own}


def _gradients(parameters):
    return [p.grad.double() for p in parameters if p.grad is not None]


def _log10_norm(parameters, power=2):
    """`power`: that of the norm."""
    gradients = _gradients(parameters)
    largest = max((g.abs().max().item() for g in gradients), default=0)
    if largest == 0:
        return -math.inf
    powers = sum((g / largest).abs().pow(power).sum().item() for g in gradients)
    return math.log10(largest) + math.log10(powers) / power


def leave_out_a_layer_without_a_trainable_parameter(model):
    layers = _owned(model).items()
    return {path: _log10_norm(own) for path, own in layers if any(p.requires_grad for p in own)}


def take_the_trainable_parameters_alone(model):
    trainable = {path: [p for p in own if p.requires_grad] for path, own in _owned(model).items()}
    return {path: _log10_norm(own) for path, own in trainable.items() if own}


def call_what_is_frozen_nothing(model):
    return {
        path: _log10_norm([p for p in own if p.requires_grad])
        for path, own in _owned(model).items()
    }


def leave_out_a_layer_without_a_gradient(model):
    return {path: _log10_norm(own) for path, own in _owned(model).items() if _gradients(own)}


def leave_out_a_layer_of_zeros(model):
    norms = {path: _log10_norm(own) for path, own in _owned(model).items()}
    return {path: norm for path, norm in norms.items() if norm > -math.inf}


def take_the_hypotenuse_of_all_entries(model):
    norms = {
        path: math.hypot(*(x for g in _gradients(own) for x in g.flatten().tolist()))
        for path, own in _owned(model).items()
    }
    return {path: math.log10(norm) if norm else -math.inf for path, norm in norms.items()}


def multiply_by_the_inverse_of_the_largest(model):
    answer = {}
    for path, own in _owned(model).items():
        largest = max((g.abs().max().item() for g in _gradients(own)), default=0)
        inverse = (1 / torch.tensor(largest).double()).item()
        squares = sum((g * inverse).square().sum().item() for g in _gradients(own))
        answer[path] = math.log10(largest) + math.log10(squares) / 2 if largest else -math.inf
    return answer


def scale_by_a_fixed_number(model):
    answer = {}
    for path, own in _owned(model).items():
        squares = sum((g * 1e20).square().sum().item() for g in _gradients(own))
        answer[path] = math.log10(squares) / 2 - 20 if squares else -math.inf
    return answer


def scale_by_the_largest_of_the_model(model):
    answer = {}
    largest = max(g.abs().max().item() for g in _gradients(model.parameters()))
    for path, own in _owned(model).items():
        squares = sum((g / largest).square().sum().item() for g in _gradients(own))
        answer[path] = math.log10(largest) + math.log10(squares) / 2 if squares else -math.inf
    return answer


def scale_by_the_largest_and_not_by_its_size(model):
    answer = {}
    for path, own in _owned(model).items():
        largest = max((g.max().item() for g in _gradients(own)), default=0)
        squares = sum((g / largest).square().sum().item() for g in _gradients(own) if largest)
        answer[path] = math.log10(squares) / 2 if squares else -math.inf
    return answer


def scale_in_the_precision_of_the_gradient(model):
    answer = {}
    for path, own in _owned(model).items():
        gradients = [p.grad for p in own if p.grad is not None]
        largest = max((g.abs().max().item() for g in gradients), default=0)
        squares = sum((g / largest).square().sum().item() for g in gradients if largest)
        answer[path] = math.log10(largest) + math.log10(squares) / 2 if squares else -math.inf
    return answer


def give_the_weight_a_layer_of_its_own_once(model):
    """A weight that two layers share stays with the first."""
    layers = {path: [] for path in _owned(model)}
    for name, p in model.named_parameters():
        layers[name.rpartition(".")[0]].append(p)
    return {path: _log10_norm(own) for path, own in layers.items()}


def take_the_modules_without_children(model):
    owned = _owned(model)
    leaves = {path for path, m in model.named_modules() if not list(m.children())}
    return {path: _log10_norm(own) for path, own in owned.items() if path in leaves}


def take_the_linear_layers(model):
    linear = {path for path, m in model.named_modules() if isinstance(m, torch.nn.Linear)}
    return {path: _log10_norm(own) for path, own in _owned(model).items() if path in linear}


def list_all_modules(model):
    return {
        path: _log10_norm(list(m.parameters(recurse=False))) for path, m in model.named_modules()
    }


def use_the_last_step_of_the_path(model):
    return {path.rpartition(".")[2]: _log10_norm(own) for path, own in _owned(model).items()}


def add_absolute_values(model):
    return {path: _log10_norm(own, power=1) for path, own in _owned(model).items()}


def forget_the_root(model):
    return {path: 2 * _log10_norm(own) for path, own in _owned(model).items()}


def take_the_norms_of_the_parameters(model):
    norms = {
        path: math.hypot(*(p.detach().norm() for p in own)) for path, own in _owned(model).items()
    }
    return {path: math.log10(norm) if norm else -math.inf for path, norm in norms.items()}


def give_the_norms(model):
    return {path: 10 ** _log10_norm(own) for path, own in _owned(model).items()}


def give_a_list(model):
    return [_log10_norm(own) for own in _owned(model).values()]


def round_to_whole_powers(model):
    norms = {path: _log10_norm(own) for path, own in _owned(model).items()}
    return {path: float(f"{norm:.0f}") for path, norm in norms.items()}


def say_nan_for_nothing(model):
    norms = {path: _log10_norm(own) for path, own in _owned(model).items()}
    return {path: norm if norm > -math.inf else math.nan for path, norm in norms.items()}


def say_none_for_nothing(model):
    norms = {path: _log10_norm(own) for path, own in _owned(model).items()}
    return {path: norm if norm > -math.inf else None for path, norm in norms.items()}


def stop_at_the_smallest_float32(model):
    norms = {path: _log10_norm(own) for path, own in _owned(model).items()}
    return {path: max(norm, math.log10(1.2e-38)) for path, norm in norms.items()}


def scale_by_the_largest_with_its_sign(model):
    answer = {}
    for path, own in _owned(model).items():
        largest = max((g.max().item() for g in _gradients(own)), default=0)
        squares = sum((g / largest).square().sum().item() for g in _gradients(own) if largest)
        answer[path] = math.log10(largest) + math.log10(squares) / 2 if largest else -math.inf
    return answer


def divide_in_place(model):
    """double() copies nothing where the gradient is float64."""
    answer = {}
    for path, own in _owned(model).items():
        gradients = _gradients(own)
        largest = max((g.abs().max().item() for g in gradients), default=0)
        squares = sum(g.div_(largest).square().sum().item() for g in gradients if largest)
        answer[path] = math.log10(largest) + math.log10(squares) / 2 if largest else -math.inf
    return answer


def cast_the_model(model):
    model.double()
    return {path: _log10_norm(own) for path, own in _owned(model).items()}


def call_a_layer_nothing_where_one_gradient_is_none(model):
    return {
        path: -math.inf if any(p.grad is None for p in own) else _log10_norm(own)
        for path, own in _owned(model).items()
    }


def call_a_layer_nothing_where_one_entry_is_0(model):
    return {
        path: _log10_norm(own) if all(g.all() for g in _gradients(own)) else -math.inf
        for path, own in _owned(model).items()
    }


def take_the_logarithm_of_each_entry(model):
    answer = {}
    for path, own in _owned(model).items():
        entries = [abs(x) for g in _gradients(own) for x in g.flatten().tolist()]
        logs = [2 * math.log10(x) for x in entries] if any(entries) else [-math.inf]
        top = max(logs)
        scaled = sum(10 ** (log - top) for log in logs) if any(entries) else 1
        answer[path] = (top + math.log10(scaled)) / 2
    return answer
