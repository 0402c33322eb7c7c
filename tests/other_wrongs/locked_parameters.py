"""Wrong answers to `locked_parameters` that come from none of its beliefs."""

import math


def _refuse(model, finite=lambda gradient: gradient.isfinite().all()):
    for name, p in model.named_parameters():
        if p.grad is not None and not finite(p.grad):
            raise ValueError(f"{name}: not finite")


def _norms(model, norm=lambda gradient: gradient.double().norm().item()):
    named = model.named_parameters()
    return {name: 0.0 if p.grad is None else norm(p.grad) for name, p in named}


def _below(norms, epsilon, whole=None):
    whole = math.hypot(*norms.values()) if whole is None else whole
    return tuple(n for n, norm in norms.items() if whole == 0 or norm / whole < epsilon)


def pass_over_frozen_parameters(model, epsilon):
    _refuse(model)
    trainable = {name for name, p in model.named_parameters() if p.requires_grad}
    return tuple(name for name in _below(_norms(model), epsilon) if name in trainable)


def call_every_frozen_parameter_locked(model, epsilon):
    _refuse(model)
    frozen = {name for name, p in model.named_parameters() if not p.requires_grad}
    return frozen.union(_below(_norms(model), epsilon))


def leave_frozen_parameters_out_of_the_whole(model, epsilon):
    _refuse(model)
    norms = _norms(model)
    trainable = [norms[name] for name, p in model.named_parameters() if p.requires_grad]
    return _below(norms, epsilon, math.hypot(*trainable))


def name_every_parameter_in_the_message(model, epsilon):
    norms = _norms(model)
    if not math.isfinite(math.hypot(*norms.values())):
        raise ValueError("not finite, somewhere in " + ", ".join(norms))
    return _below(norms, epsilon)


def name_the_first_parameter_in_the_message(model, epsilon):
    norms = _norms(model)
    if not math.isfinite(math.hypot(*norms.values())):
        raise ValueError(f"{next(iter(norms))}: not finite")
    return _below(norms, epsilon)


def refuse_with_a_runtime_error(model, epsilon):
    try:
        _refuse(model)
    except ValueError as error:
        raise RuntimeError(str(error)) from error
    return _below(_norms(model), epsilon)


def refuse_nan_only(model, epsilon):
    _refuse(model, lambda gradient: not gradient.isnan().any())
    return _below(_norms(model), epsilon)


def refuse_nan_and_plus_infinity_only(model, epsilon):
    _refuse(model, lambda gradient: not gradient.isnan().any() and gradient.max() < math.inf)
    return _below(_norms(model), epsilon)


def refuse_a_sum_that_overflows(model, epsilon):
    _refuse(model, lambda gradient: gradient.abs().sum().isfinite())
    return _below(_norms(model), epsilon)


def round_the_share_to_six_digits(model, epsilon):
    _refuse(model)
    norms = _norms(model)
    whole = math.hypot(*norms.values()) or 1.0
    return tuple(name for name, norm in norms.items() if round(norm / whole, 6) < epsilon)


def add_a_little_to_the_whole(model, epsilon):
    _refuse(model)
    norms = _norms(model)
    return _below(norms, epsilon, math.hypot(*norms.values()) + 1e-12)


def count_a_shared_weight_twice(model, epsilon):
    _refuse(model)
    every = [p.grad for _, p in model.named_parameters(remove_duplicate=False)]
    whole = math.hypot(*(g.double().norm().item() for g in every if g is not None))
    return _below(_norms(model), epsilon, whole)


def list_both_names_of_a_shared_weight(model, epsilon):
    _refuse(model)
    every = list(model.named_parameters(remove_duplicate=False))
    norms = {name: 0.0 if p.grad is None else p.grad.double().norm().item() for name, p in every}
    return _below(norms, epsilon)


def add_up_absolute_entries(model, epsilon):
    _refuse(model)
    sums = _norms(model, lambda gradient: gradient.double().abs().sum().item())
    return _below(sums, epsilon, sum(sums.values()))


def take_the_largest_signed_entry(model, epsilon):
    _refuse(model)
    largest = _norms(model, lambda gradient: gradient.max().item())
    return _below(largest, epsilon, max(largest.values()))


def take_the_norm_of_the_weights_for_the_whole(model, epsilon):
    _refuse(model)
    weights = (p.detach().double().norm().item() for p in model.parameters())
    return _below(_norms(model), epsilon, math.hypot(*weights))


def compare_with_the_rest(model, epsilon):
    _refuse(model)
    norms = _norms(model)
    whole = math.hypot(*norms.values())
    rests = {n: math.sqrt(max(whole**2 - norm**2, 0)) for n, norm in norms.items()}
    return tuple(n for n, norm in norms.items() if not whole or norm < epsilon * rests[n])


def call_what_gets_no_gradient_locked_and_nothing_else(model, epsilon):
    _refuse(model)
    return tuple(name for name, norm in _norms(model).items() if norm == 0)


def name_the_free_ones(model, epsilon):
    _refuse(model)
    norms = _norms(model)
    return set(norms) - set(_below(norms, epsilon))


def name_the_layers(model, epsilon):
    _refuse(model)
    return {name.rpartition(".")[0] for name in _below(_norms(model), epsilon)}


def judge_the_weights_only(model, epsilon):
    _refuse(model)
    norms = {name: norm for name, norm in _norms(model).items() if name.endswith("weight")}
    return _below(norms, epsilon)


def expect_a_gradient_everywhere(model, epsilon):
    norms = {name: p.grad.double().norm().item() for name, p in model.named_parameters()}
    _refuse(model)
    return _below(norms, epsilon)


def refuse_a_gradient_of_none(model, epsilon):
    for name, p in model.named_parameters():
        if p.grad is None or not p.grad.isfinite().all():
            raise ValueError(f"{name}: no finite gradient")
    return _below(_norms(model), epsilon)


def divide_whatever_the_whole_is(model, epsilon):
    _refuse(model)
    norms = _norms(model)
    whole = math.hypot(*norms.values())
    return tuple(name for name, norm in norms.items() if norm / whole < epsilon)


def give_a_truth_value_for_each(model, epsilon):
    _refuse(model)
    norms = _norms(model)
    return [name in _below(norms, epsilon) for name in norms]


def fill_in_zeros_for_none(model, epsilon):
    for p in model.parameters():
        p.grad = p.detach() * 0 if p.grad is None else p.grad
    _refuse(model)
    return _below(_norms(model), epsilon)


def cast_the_model(model, epsilon):
    model.double()
    _refuse(model)
    return _below(_norms(model), epsilon)


def mend_what_is_broken(model, epsilon):
    try:
        _refuse(model)
    finally:
        for p in model.parameters():
            if p.grad is not None:
                p.grad.nan_to_num_(0.0, 0.0, 0.0)
    return _below(_norms(model), epsilon)


def scale_in_float32(model, epsilon):
    """The square of a share of 1e-30 is no float32."""
    _refuse(model)
    largest = max(p.grad.abs().max().item() for p in model.parameters() if p.grad is not None)
    scale = largest or 1.0
    return _below(_norms(model, lambda g: (g / scale).square().sum().sqrt().item()), epsilon)
