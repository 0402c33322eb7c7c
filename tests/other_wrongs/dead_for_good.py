"""Wrong answers to `dead_for_good` that come from none of its beliefs."""

import torch


def _dead(model, x, is_dead=lambda z: (z <= 0).all(0)):
    dead, h = [], x
    with torch.no_grad():
        for linear in list(model)[:-1:2]:
            dead.append(is_dead(linear(h)))
            h = torch.relu(linear(h))
    return dead


def _movable(model, dead, is_frozen=None, stops=lambda dead, i: any(d.all() for d in dead[i:])):
    is_frozen = is_frozen or (lambda own: not any(p.requires_grad for p in own))
    linears = list(model)[:-1:2]
    return [
        not is_frozen([*linear.parameters()]) and not stops(dead, i)
        for i, linear in enumerate(linears)
    ]


def _for_good(dead, movable):
    return [d & (not any(movable[:i])) for i, d in enumerate(dead)]


def _right(model, x):
    dead = _dead(model, x)
    return _for_good(dead, _movable(model, dead))


def call_a_layer_frozen_if_one_of_its_parameters_is(model, x):
    dead = _dead(model, x)
    return _for_good(dead, _movable(model, dead, lambda own: not all(p.requires_grad for p in own)))


def call_a_layer_frozen_if_its_bias_is(model, x):
    dead = _dead(model, x)
    return _for_good(dead, _movable(model, dead, lambda own: not own[-1].requires_grad))


def forget_that_a_dead_layer_does_not_move_itself(model, x):
    dead = _dead(model, x)
    return _for_good(
        dead, _movable(model, dead, stops=lambda dead, i: any(d.all() for d in dead[i + 1 :]))
    )


def look_one_layer_up(model, x):
    dead = _dead(model, x)
    return _for_good(
        dead, _movable(model, dead, stops=lambda dead, i: any(d.all() for d in dead[i : i + 2]))
    )


def look_for_dead_layers_below(model, x):
    dead = _dead(model, x)
    return _for_good(
        dead, _movable(model, dead, stops=lambda dead, i: any(d.all() for d in dead[: i + 1]))
    )


def count_the_own_layer_among_those_below(model, x):
    dead = _dead(model, x)
    movable = _movable(model, dead)
    return [d & (not any(movable[: i + 1])) for i, d in enumerate(dead)]


def ask_whether_anything_at_all_can_move(model, x):
    dead = _dead(model, x)
    return [d & (not any(_movable(model, dead))) for d in dead]


def ask_whether_some_layer_below_stays(model, x):
    dead = _dead(model, x)
    movable = _movable(model, dead)
    return [d & (i == 0 or not all(movable[:i])) for i, d in enumerate(dead)]


def spare_a_unit_at_zero(model, x):
    dead = _dead(model, x, lambda z: (z < 0).all(0))
    return _for_good(dead, _movable(model, dead))


def judge_by_the_first_sample(model, x):
    dead = _dead(model, x, lambda z: z[0] <= 0)
    return _for_good(dead, _movable(model, dead))


def judge_by_the_mean(model, x):
    dead = _dead(model, x, lambda z: z.mean(0) <= 0)
    return _for_good(dead, _movable(model, dead))


def pass_the_pre_activations_on(model, x):
    """Without the ReLU between two layers."""
    dead, h = [], x
    with torch.no_grad():
        for linear in list(model)[:-1:2]:
            h = linear(h)
            dead.append((h <= 0).all(0))
    movable = [i < 1 and m for i, m in enumerate(_movable(model, dead))]
    return _for_good(dead, movable)


def take_the_head_for_a_hidden_layer(model, x):
    dead = [*_dead(model, x), torch.zeros(2, dtype=torch.bool)]
    movable = [*_movable(model, dead), True]
    return _for_good(dead, movable)


def go_from_the_top_down(model, x):
    dead = _dead(model, x)
    return _for_good(dead, _movable(model, dead))[::-1]


def mark_those_that_may_wake(model, x):
    dead = _dead(model, x)
    good = _for_good(dead, _movable(model, dead))
    return [d & ~g for d, g in zip(dead, good, strict=True)]


def mark_all_that_are_not_dead_for_good(model, x):
    dead = _dead(model, x)
    return [~good for good in _for_good(dead, _movable(model, dead))]


def count_them(model, x):
    dead = _dead(model, x)
    return [int(good.sum()) for good in _for_good(dead, _movable(model, dead))]


def mark_with_ones(model, x):
    dead = _dead(model, x)
    return [good.float() for good in _for_good(dead, _movable(model, dead))]


def leave_the_model_in_eval_mode(model, x):
    model.eval()
    dead = _dead(model, x)
    return _for_good(dead, _movable(model, dead))


def freeze_what_does_not_move(model, x):
    dead = _dead(model, x)
    movable = _movable(model, dead)
    for linear, moves in zip(list(model)[:-1:2], movable, strict=True):
        linear.requires_grad_(moves)
    return _for_good(dead, movable)


def expect_as_many_units_as_inputs(model, x):
    return [
        units if units.any() else torch.zeros(model[2 * i].in_features, dtype=torch.bool)
        for i, units in enumerate(_right(model, x))
    ]


def ask_x_for_a_gradient(model, x):
    x.requires_grad_()
    return _right(model, x)


def take_a_frozen_head_for_a_dead_end(model, x):
    trainable = any(p.requires_grad for p in model[-1].parameters())
    return _right(model, x) if trainable else _dead(model, x)
