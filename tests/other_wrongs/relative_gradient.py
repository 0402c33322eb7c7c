"""Wrong answers to `relative_gradient` that come from none of its beliefs."""

import math

import torch


def _norm(gradients):
    return math.hypot(*(entry for g in gradients for entry in g.flatten().tolist()))


def _given(parameters):
    return [p.grad for p in parameters if p.grad is not None]


def _below(model, path):
    return _given(model.get_submodule(path).parameters())


def _share(part, whole):
    return _norm(part) / _norm(whole) if _norm(whole) else 0.0


def count_a_shared_weight_for_each_module(model, path):
    def all_below(path):
        modules = model.get_submodule(path).modules()
        return _given(p for module in modules for p in module.parameters(recurse=False))

    return _share(all_below(path), all_below(""))


def match_the_names_below_the_path(model, path):
    """A shared weight has the name of its first place only."""
    named = model.named_parameters()
    part = [p for name, p in named if not path or name.startswith(f"{path}.")]
    return _share(_given(part), _below(model, ""))


def match_the_path_anywhere_in_a_name(model, path):
    named = model.named_parameters(remove_duplicate=False)
    part = {id(p): p for name, p in named if f".{path}." in f".{name}" or not path}
    return _share(_given(part.values()), _below(model, ""))


def pass_over_frozen_parameters(model, path):
    def trainable(path):
        return _given(p for p in model.get_submodule(path).parameters() if p.requires_grad)

    return _share(trainable(path), trainable(""))


def leave_frozen_parameters_out_of_the_whole(model, path):
    return _share(_below(model, path), _given(p for p in model.parameters() if p.requires_grad))


def divide_both_by_the_largest_of_the_whole(model, path):
    part, whole = _below(model, path), _below(model, "")
    largest = max(g.double().abs().max().item() for g in whole)
    if not largest:
        return 0.0
    squares = [sum((g.double() / largest).square().sum() for g in some) for some in (part, whole)]
    return math.sqrt(squares[0] / squares[1])


def add_a_little_to_the_whole(model, path):
    return _norm(_below(model, path)) / (_norm(_below(model, "")) + 1e-12)


def call_a_small_whole_zero(model, path):
    whole = _norm(_below(model, ""))
    return _norm(_below(model, path)) / whole if whole > 1e-12 else 0.0


def round_to_six_digits(model, path):
    return round(_share(_below(model, path), _below(model, "")), 6)


def give_percent(model, path):
    return 100 * _share(_below(model, path), _below(model, ""))


def add_up_absolute_entries(model, path):
    def total(gradients):
        return sum(g.double().abs().sum().item() for g in gradients)

    whole = total(_below(model, ""))
    return total(_below(model, path)) / whole if whole else 0.0


def take_the_largest_signed_entry(model, path):
    def largest(gradients):
        return max((g.double().max().item() for g in gradients), default=0.0)

    whole = largest(_below(model, ""))
    return largest(_below(model, path)) / whole if whole else 0.0


def divide_the_whole_by_the_part(model, path):
    return _share(_below(model, ""), _below(model, path))


def compare_the_weights(model, path):
    def weights(path):
        return [p.detach() for p in model.get_submodule(path).parameters()]

    return _share(weights(path), weights(""))


def count_the_entries(model, path):
    counts = [sum(g.numel() for g in _below(model, where)) for where in (path, "")]
    return counts[0] / counts[1]


def pass_over_biases(model, path):
    return _share(
        [g for g in _below(model, path) if g.ndim == 2],
        [g for g in _below(model, "") if g.ndim == 2],
    )


def call_nothing_of_nothing_everything(model, path):
    whole = _norm(_below(model, ""))
    return _norm(_below(model, path)) / whole if whole else 1.0


def answer_1_for_the_whole(model, path):
    return _share(_below(model, path), _below(model, "")) if path else 1.0


def refuse_the_empty_path(model, path):
    module = dict(list(model.named_modules())[1:])[path]
    return _share(_given(module.parameters()), _below(model, ""))


def fill_in_zeros_for_none(model, path):
    for p in model.parameters():
        p.grad = torch.zeros_like(p) if p.grad is None else p.grad
    return _share(_below(model, path), _below(model, ""))


def zero_the_gradients_afterwards(model, path):
    share = _share(_below(model, path), _below(model, ""))
    model.zero_grad()
    return share


def give_0_where_one_gradient_is_none(model, path):
    part = model.get_submodule(path).parameters()
    if path and any(p.grad is None for p in part):
        return 0.0
    return _share(_below(model, path), _below(model, ""))


def pass_over_layers_with_a_none(model, path):
    def whole_layers(path):
        layers = [list(m.parameters(False)) for m in model.get_submodule(path).modules()]
        full = [layer for layer in layers if all(p.grad is not None for p in layer)]
        return _given({p: None for layer in full for p in layer})

    return _share(whole_layers(path), whole_layers(""))


def follow_two_names_at_most(model, path):
    return _share(_below(model, ".".join(path.split(".")[:2])), _below(model, ""))


def take_spectral_norms(model, path):
    def norm(gradients):
        return math.hypot(*(torch.linalg.norm(g.double(), 2).item() for g in gradients))

    whole = norm(_below(model, ""))
    return norm(_below(model, path)) / whole if whole else 0.0
