"""Wrong answers to `ewc_penalty_and_gradient` that come from none of its beliefs."""

import numpy as np


def _pair(params, anchor, fisher, strength):
    gradient = {name: np.zeros_like(p) for name, p in params.items()}
    penalty = 0.0
    for name, there in anchor.items():
        away = params[name] - there
        gradient[name] = strength * fisher[name] * away
        penalty += float((gradient[name] * away).sum()) / 2
    return penalty, gradient


def forget_the_strength_in_the_penalty(params, anchor, fisher, strength):
    penalty, gradient = _pair(params, anchor, fisher, strength)
    return penalty / (strength or 1), gradient


def forget_the_strength(params, anchor, fisher, strength):
    return _pair(params, anchor, fisher, 1.0)


def square_the_strength(params, anchor, fisher, strength):
    return _pair(params, anchor, fisher, strength**2)


def square_f(params, anchor, fisher, strength):
    return _pair(params, anchor, {n: f**2 for n, f in fisher.items()}, strength)


def take_the_last_tensor_only(params, anchor, fisher, strength):
    penalty, gradient = _pair(params, anchor, fisher, strength)
    for name in list(anchor)[-1:]:
        penalty = float((gradient[name] * (params[name] - anchor[name])).sum()) / 2
    return penalty, gradient


def give_a_penalty_for_each_tensor(params, anchor, fisher, strength):
    _, gradient = _pair(params, anchor, fisher, strength)
    each = {n: (gradient[n] * (params[n] - there)).sum() / 2 for n, there in anchor.items()}
    return each, gradient


def draw_new_parameters_to_zero(params, anchor, fisher, strength):
    anchor = {n: anchor.get(n, np.zeros_like(p)) for n, p in params.items()}
    fisher = {n: fisher.get(n, np.ones_like(p)) for n, p in params.items()}
    return _pair(params, anchor, fisher, strength)


def return_the_other_way_round(params, anchor, fisher, strength):
    return _pair(params, anchor, fisher, strength)[::-1]


def return_the_penalty_alone(params, anchor, fisher, strength):
    return _pair(params, anchor, fisher, strength)[0]


def take_the_step(params, anchor, fisher, strength):
    penalty, gradient = _pair(params, anchor, fisher, strength)
    return penalty, {n: params[n] - gradient[n] for n in params}


def subtract_in_place(params, anchor, fisher, strength):
    pair = _pair(params, anchor, fisher, strength)
    for name, there in anchor.items():
        params[name] -= there
    return pair


def add_a_small_number(params, anchor, fisher, strength):
    return _pair(params, anchor, {n: f + 1e-8 for n, f in fisher.items()}, strength)


def give_one_number_a_tensor(params, anchor, fisher, strength):
    penalty, gradient = _pair(params, anchor, fisher, strength)
    return penalty, {n: g.sum() for n, g in gradient.items()}


def normalise_f(params, anchor, fisher, strength):
    top = max((f.max() for f in fisher.values()), default=1.0)
    return _pair(params, anchor, {n: f / top for n, f in fisher.items()}, strength)


def sum_along_the_first_axis(params, anchor, fisher, strength):
    penalty, gradient = 0.0, _pair(params, anchor, fisher, strength)[1]
    for name, there in anchor.items():
        penalty += np.sum(gradient[name] * (params[name] - there), axis=-1 if there.ndim else None)
    return np.ravel(penalty)[0] / 2, gradient


def trust_the_order_of_the_dicts(params, anchor, fisher, strength):
    gradient = {name: np.zeros_like(p) for name, p in params.items()}
    penalty = 0.0
    for (name, p), there, f in zip(params.items(), anchor.values(), fisher.values(), strict=False):
        gradient[name] = strength * f * (p - there)
        penalty += (gradient[name] * (p - there)).sum() / 2
    return penalty, gradient


def fill_in_what_is_missing(params, anchor, fisher, strength):
    for name, p in params.items():
        anchor.setdefault(name, p)
        fisher.setdefault(name, np.zeros_like(p))
    return _pair(params, anchor, fisher, strength)


def take_a_short_way_for_rest(params, anchor, fisher, strength):
    strained = {n: there for n, there in anchor.items() if not np.allclose(params[n], there)}
    return _pair(params, strained, fisher, strength)


def work_in_float32(params, anchor, fisher, strength):
    short = [
        {n: array.astype(np.float32) for n, array in given.items()}
        for given in (params, anchor, fisher)
    ]
    return _pair(*short, strength)


def put_the_result_into_params(params, anchor, fisher, strength):
    penalty, gradient = _pair(params, anchor, fisher, strength)
    params |= {name: gradient[name] for name in params if name not in anchor}
    return penalty, gradient


def give_zero_without_an_anchor(params, anchor, fisher, strength):
    penalty, gradient = _pair(params, anchor, fisher, strength)
    return penalty, {n: g if n in anchor else 0.0 for n, g in gradient.items()}
