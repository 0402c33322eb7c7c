"""Wrong answers to `revive_unit` that come from none of its beliefs."""

import torch


def _places(layer, following, unit):
    places = [(layer.weight, unit), (layer.bias, unit), (following.weight, (slice(None), unit))]
    return [(parameter, place) for parameter, place in places if parameter is not None]


@torch.no_grad()
def _set(places, incoming):
    for i, (parameter, place) in enumerate(places):
        parameter[place] = 0 if i else incoming


def _forget(places, optimizer):
    for parameter, place in places:
        for kept in optimizer.state.get(parameter, {}).values():
            if torch.is_tensor(kept) and kept.shape == parameter.shape:
                kept[place] = 0


def _revive(layer, following, unit, incoming, optimizer):
    places = _places(layer, following, unit)
    _set(places, incoming)
    _forget(places, optimizer)


def forget_a_row_wherever_there_is_one(layer, following, unit, incoming, optimizer):
    """Adafactor keeps means of rows and of columns, which are not of the weight's shape."""
    places = _places(layer, following, unit)
    _set(places, incoming)
    for parameter, place in places:
        for kept in optimizer.state.get(parameter, {}).values():
            if torch.is_tensor(kept) and kept.dim():
                kept[place] = 0


def forget_what_has_as_many_axes_as_the_parameter(layer, following, unit, incoming, optimizer):
    places = _places(layer, following, unit)
    _set(places, incoming)
    for parameter, place in places:
        for kept in optimizer.state.get(parameter, {}).values():
            if torch.is_tensor(kept) and kept.dim() == parameter.dim():
                kept[place] = 0


def know_adam_only(layer, following, unit, incoming, optimizer):
    places = _places(layer, following, unit)
    _set(places, incoming)
    for parameter, place in places:
        for name in ("exp_avg", "exp_avg_sq"):
            if name in optimizer.state.get(parameter, {}):
                optimizer.state[parameter][name][place] = 0


def forget_the_first_average_only(layer, following, unit, incoming, optimizer):
    places = _places(layer, following, unit)
    _set(places, incoming)
    for parameter, place in places:
        kept = optimizer.state.get(parameter, {})
        first = kept.get("exp_avg", kept.get("momentum_buffer"))
        if first is not None:
            first[place] = 0


def expect_a_memory(layer, following, unit, incoming, optimizer):
    places = _places(layer, following, unit)
    _set(places, incoming)
    for parameter, place in places:
        optimizer.state[parameter]["exp_avg"][place] = 0
        optimizer.state[parameter]["exp_avg_sq"][place] = 0


def expect_a_bias(layer, following, unit, incoming, optimizer):
    with torch.no_grad():
        layer.bias[unit] = 0
    _revive(layer, following, unit, incoming, optimizer)


def start_the_step_count_again(layer, following, unit, incoming, optimizer):
    _revive(layer, following, unit, incoming, optimizer)
    for kept in optimizer.state.values():
        if "step" in kept:
            kept["step"].zero_()


def give_every_parameter_a_memory(layer, following, unit, incoming, optimizer):
    for parameter, _ in _places(layer, following, unit):
        optimizer.state[parameter].setdefault("exp_avg", torch.zeros_like(parameter))
    _revive(layer, following, unit, incoming, optimizer)


def leave_the_memory_of_the_bias(layer, following, unit, incoming, optimizer):
    places = _places(layer, following, unit)
    _set(places, incoming)
    _forget([place for place in places if place[0] is not layer.bias], optimizer)


def forget_the_outgoing_row(layer, following, unit, incoming, optimizer):
    places = _places(layer, following, unit)
    _set(places, incoming)
    _forget([*places[:-1], (following.weight, unit)], optimizer)


def clear_all_gradients(layer, following, unit, incoming, optimizer):
    _revive(layer, following, unit, incoming, optimizer)
    optimizer.zero_grad()


def take_a_step_at_the_end(layer, following, unit, incoming, optimizer):
    _revive(layer, following, unit, incoming, optimizer)
    optimizer.step()


def lower_the_rate(layer, following, unit, incoming, optimizer):
    _revive(layer, following, unit, incoming, optimizer)
    for group in optimizer.param_groups:
        group["lr"] /= 10


def freeze_the_other_layer(layer, following, unit, incoming, optimizer):
    _revive(layer, following, unit, incoming, optimizer)
    following.requires_grad_(False)


def freeze_to_write_and_stay_frozen(layer, following, unit, incoming, optimizer):
    layer.weight.requires_grad_(False)
    _revive(layer, following, unit, incoming, optimizer)


def leave_both_in_eval_mode(layer, following, unit, incoming, optimizer):
    layer.eval(), following.eval()
    _revive(layer, following, unit, incoming, optimizer)


def set_the_whole_bias_to_zero(layer, following, unit, incoming, optimizer):
    _revive(layer, following, unit, incoming, optimizer)
    if layer.bias is not None:
        layer.bias.data.zero_()


def set_the_bias_of_the_next_layer_too(layer, following, unit, incoming, optimizer):
    _revive(layer, following, unit, incoming, optimizer)
    following.bias.data[unit] = 0


def give_it_a_small_bias(layer, following, unit, incoming, optimizer):
    _revive(layer, following, unit, incoming, optimizer)
    if layer.bias is not None:
        layer.bias.data[unit] = 0.1


def add_the_incoming_weights(layer, following, unit, incoming, optimizer):
    old = layer.weight.detach()[unit].clone()
    _revive(layer, following, unit, old + incoming, optimizer)


def scale_the_incoming_weights(layer, following, unit, incoming, optimizer):
    _revive(layer, following, unit, incoming / incoming.norm(), optimizer)


def give_it_small_outgoing_weights(layer, following, unit, incoming, optimizer):
    _revive(layer, following, unit, incoming, optimizer)
    following.weight.data[:, unit] = 1e-3


def turn_the_outgoing_weights_round(layer, following, unit, incoming, optimizer):
    old = following.weight.detach()[:, unit].clone()
    _revive(layer, following, unit, incoming, optimizer)
    following.weight.data[:, unit] = -old


def revive_the_unit_after_it(layer, following, unit, incoming, optimizer):
    _revive(layer, following, (unit + 1) % layer.out_features, incoming, optimizer)


def revive_every_unit(layer, following, unit, incoming, optimizer):
    for each in range(layer.out_features):
        _revive(layer, following, each, incoming, optimizer)


def refuse_an_optimizer_without_memory(layer, following, unit, incoming, optimizer):
    if not optimizer.state:
        raise ValueError("nothing is remembered")
    _revive(layer, following, unit, incoming, optimizer)


def step_the_first_layer_only(layer, following, unit, incoming, optimizer):
    _revive(layer, following, unit, incoming, optimizer)
    optimizer.param_groups[0]["params"] = list(layer.parameters())


def empty_the_incoming_weights(layer, following, unit, incoming, optimizer):
    _revive(layer, following, unit, incoming, optimizer)
    incoming.zero_()


def forget_row_and_column(layer, following, unit, incoming, optimizer):
    _revive(layer, following, unit, incoming, optimizer)
    for parameter in (layer.weight, following.weight):
        for kept in optimizer.state.get(parameter, {}).values():
            if torch.is_tensor(kept) and kept.shape == parameter.shape:
                kept[unit] = kept[:, unit] = 0
