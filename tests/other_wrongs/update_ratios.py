"""Wrong answers to `update_ratios` that come from none of its beliefs."""

import copy
import math

import torch


def _ratio(moved, size):
    return 0.0 if moved == 0 else moved / size if size else math.inf


def _copies(model):
    return {name: p.detach().double().clone() for name, p in model.named_parameters()}


def _ratios(before, after, norm=torch.linalg.vector_norm):
    return {
        name: _ratio(norm(after[name] - old).item(), norm(old).item())
        for name, old in before.items()
    }


def _stepped(model, optimizer):
    before = _copies(model)
    optimizer.step()
    return _ratios(before, _copies(model))


def take_both_norms_in_float32(model, optimizer):
    before = {name: old.float() for name, old in _copies(model).items()}
    optimizer.step()
    return _ratios(before, {name: new.float() for name, new in _copies(model).items()})


def subtract_in_the_precision_of_the_parameter(model, optimizer):
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimizer.step()
    after = {name: p.detach() for name, p in model.named_parameters()}
    return _ratios(before, after)


def add_1e_8_below(model, optimizer):
    before = _copies(model)
    optimizer.step()
    return {
        name: math.inf
        if (moved := (new - before[name]).norm().item()) and not before[name].any()
        else moved / (before[name].norm().item() + 1e-8)
        for name, new in _copies(model).items()
    }


def call_a_small_change_none(model, optimizer):
    ratios = _stepped(model, optimizer)
    return {name: 0.0 if ratio < 1e-5 else ratio for name, ratio in ratios.items()}


def take_what_is_close_for_unmoved(model, optimizer):
    before = _copies(model)
    optimizer.step()
    after = _copies(model)
    ratios = _ratios(before, after)
    return {
        name: 0.0 if torch.allclose(before[name], after[name]) else r for name, r in ratios.items()
    }


def list_the_state_dict(model, optimizer):
    before = {name: value.double().clone() for name, value in model.state_dict().items()}
    optimizer.step()
    return _ratios(before, {name: value.double() for name, value in model.state_dict().items()})


def list_both_names_of_a_shared_weight(model, optimizer):
    named = dict(model.named_parameters(remove_duplicate=False))
    before = {name: p.detach().double().clone() for name, p in named.items()}
    optimizer.step()
    return _ratios(before, {name: p.detach().double() for name, p in named.items()})


def list_what_is_trainable(model, optimizer):
    trainable = [name for name, p in model.named_parameters() if p.requires_grad]
    ratios = _stepped(model, optimizer)
    return {name: ratios[name] for name in trainable}


def take_what_is_frozen_for_still(model, optimizer):
    trainable = {name for name, p in model.named_parameters() if p.requires_grad}
    ratios = _stepped(model, optimizer)
    return {name: ratio if name in trainable else 0.0 for name, ratio in ratios.items()}


def list_the_weights(model, optimizer):
    ratios = _stepped(model, optimizer)
    return {name: ratio for name, ratio in ratios.items() if name.endswith("weight")}


def say_nan_for_what_stays(model, optimizer):
    ratios = _stepped(model, optimizer)
    return {name: ratio or math.nan for name, ratio in ratios.items()}


def give_one_ratio_for_each_layer(model, optimizer):
    before = _copies(model)
    optimizer.step()
    after = _copies(model)
    layers = {name.rpartition(".")[0] for name in before}

    def joined(values, layer):
        own = [value.flatten() for name, value in values.items() if name.startswith(f"{layer}.")]
        return torch.cat(own)

    return _ratios({i: joined(before, i) for i in layers}, {i: joined(after, i) for i in layers})


def divide_entry_by_entry(model, optimizer):
    before = _copies(model)
    optimizer.step()
    return {
        name: ((new - before[name]) / before[name]).nan_to_num(0.0).abs().mean().item()
        for name, new in _copies(model).items()
    }


def take_sums_of_absolute_values(model, optimizer):
    before = _copies(model)
    optimizer.step()
    return _ratios(before, _copies(model), norm=lambda values: values.abs().sum())


def take_the_largest_entries(model, optimizer):
    before = _copies(model)
    optimizer.step()
    return _ratios(before, _copies(model), norm=lambda values: values.abs().max())


def take_the_spectral_norm(model, optimizer):
    before = _copies(model)
    optimizer.step()

    def norm(values):
        return values.norm() if values.dim() < 2 else torch.linalg.matrix_norm(values, 2)

    return _ratios(before, _copies(model), norm)


def give_the_squares(model, optimizer):
    return {name: ratio**2 for name, ratio in _stepped(model, optimizer).items()}


def give_the_logarithms(model, optimizer):
    ratios = _stepped(model, optimizer)
    return {name: math.log10(ratio) if ratio else -math.inf for name, ratio in ratios.items()}


def give_the_norm_of_the_change(model, optimizer):
    before = _copies(model)
    optimizer.step()
    return {name: (new - before[name]).norm().item() for name, new in _copies(model).items()}


def divide_by_the_norm_of_the_gradient(model, optimizer):
    before = _copies(model)
    optimizer.step()
    gradients = {
        name: p.detach() * 0 if p.grad is None else p.grad for name, p in model.named_parameters()
    }
    return {
        name: _ratio((new - before[name]).norm().item(), gradients[name].double().norm().item())
        for name, new in _copies(model).items()
    }


def step_a_copy_of_both(model, optimizer):
    return _stepped(*copy.deepcopy((model, optimizer)))


def step_twice(model, optimizer):
    before = _copies(model)
    optimizer.step()
    optimizer.step()
    return _ratios(before, _copies(model))


def step_once_more_afterwards(model, optimizer):
    ratios = _stepped(model, optimizer)
    optimizer.step()
    return ratios


def clear_the_gradients_afterwards(model, optimizer):
    ratios = _stepped(model, optimizer)
    optimizer.zero_grad()
    return ratios


def cast_the_model(model, optimizer):
    model.double()
    return _stepped(model, optimizer)


def leave_it_in_eval_mode(model, optimizer):
    model.eval()
    return _stepped(model, optimizer)


def make_everything_trainable(model, optimizer):
    model.requires_grad_(True)
    return _stepped(model, optimizer)


def give_gradients_of_zero_for_none(model, optimizer):
    for p in model.parameters():
        p.grad = torch.zeros_like(p) if p.grad is None else p.grad
    return _stepped(model, optimizer)


def clip_the_gradients_first(model, optimizer):
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    return _stepped(model, optimizer)


def look_at_the_first_group_only(model, optimizer):
    ids = {id(p) for p in optimizer.param_groups[0]["params"]}
    held = {name for name, p in model.named_parameters() if id(p) in ids}
    return {n: ratio if n in held else 0.0 for n, ratio in _stepped(model, optimizer).items()}


def round_to_nine_digits(model, optimizer):
    return {name: round(ratio, 9) for name, ratio in _stepped(model, optimizer).items()}


def call_a_small_norm_zero(model, optimizer):
    before = _copies(model)
    ratios = _stepped(model, optimizer)
    return {n: math.inf if r and before[n].norm() < 1e-12 else r for n, r in ratios.items()}


def call_a_small_move_none(model, optimizer):
    before = _copies(model)
    ratios = _stepped(model, optimizer)
    return {n: 0.0 if r * before[n].norm() < 1e-15 else r for n, r in ratios.items()}


def leave_out_entries_that_were_zero(model, optimizer):
    before = _copies(model)
    optimizer.step()
    return {
        name: _ratio(
            ((new - before[name]) * (before[name] != 0 if before[name].any() else 1)).norm().item(),
            before[name].norm().item(),
        )
        for name, new in _copies(model).items()
    }


def take_norms_in_the_precision_of_the_parameter(model, optimizer):
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimizer.step()
    return {
        name: _ratio((new - before[name].double()).norm().item(), before[name].norm().item())
        for name, new in _copies(model).items()
    }
