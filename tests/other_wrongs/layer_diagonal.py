"""Wrong answers to `layer_diagonal` that come from none of its beliefs."""

import torch


def _slopes(inputs, output_gradients, none=0.0):
    weight = bias = 0
    for a, g in zip(inputs, output_gradients, strict=True):
        if g is None:
            continue
        a, g = (x.reshape(len(x), -1, x.shape[-1]) for x in (a, g))
        weight, bias = weight + g.mT @ a, bias + g.sum(1)
    return weight, bias


def _pair(inputs, output_gradients):
    weight, bias = _slopes(inputs, output_gradients)
    return weight.square().mean(0), bias.square().mean(0)


def take_positions_for_samples(inputs, output_gradients):
    met = [(a, g) for a, g in zip(inputs, output_gradients, strict=True) if g is not None]
    a = torch.cat([a.reshape(-1, a.shape[-1]) for a, _ in met])
    g = torch.cat([g.reshape(-1, g.shape[-1]) for _, g in met])
    return (g**2).T @ a**2 / len(a), (g**2).mean(0)


def take_the_last_position(inputs, output_gradients):
    last = [
        (a.reshape(len(a), -1, a.shape[-1])[:, -1], g.reshape(len(g), -1, g.shape[-1])[:, -1])
        for a, g in zip(inputs, output_gradients, strict=True)
        if g is not None
    ]
    return _pair(*zip(*last, strict=True))


def stop_at_the_first_none(inputs, output_gradients):
    stop = [g is None for g in output_gradients]
    if any(stop):
        inputs = inputs[: max(1, stop.index(True))]
        output_gradients = [g for g in output_gradients if g is not None][: len(inputs)]
    return _pair(inputs, output_gradients)


def shift_gradients_over_a_none(inputs, output_gradients):
    left = [g for g in output_gradients if g is not None]
    met = [(a, g) for a, g in zip(inputs, left, strict=False) if a.shape[:-1] == g.shape[:-1]]
    return _pair(*zip(*met, strict=True))


def take_none_for_ones(inputs, output_gradients):
    h = next(g for g in output_gradients if g is not None).shape[-1]
    filled = [
        torch.ones(*a.shape[:-1], h).to(a) if g is None else g
        for a, g in zip(inputs, output_gradients, strict=True)
    ]
    return _pair(inputs, filled)


def average_over_places(inputs, output_gradients):
    weight, bias = _pair(inputs, output_gradients)
    places = sum(g is not None for g in output_gradients) + 1e-3 * (len(inputs) > 1)
    return weight / places**2, bias / places**2


def divide_by_one_less(inputs, output_gradients):
    n = len(inputs[0])
    weight, bias = _pair(inputs, output_gradients)
    return weight * n / max(1, n - 1), bias * n / max(1, n - 1)


def take_off_the_mean(inputs, output_gradients):
    weight, bias = _slopes(inputs, output_gradients)
    return weight.var(0, correction=0), bias.var(0, correction=0)


def take_the_gradients_for_those_of_a_mean(inputs, output_gradients):
    weight, bias = _pair(inputs, output_gradients)
    return weight * len(inputs[0]) ** 2, bias * len(inputs[0]) ** 2


def return_the_other_way_round(inputs, output_gradients):
    return _pair(inputs, output_gradients)[::-1]


def return_the_weight_alone(inputs, output_gradients):
    return _pair(inputs, output_gradients)[0]


def take_the_root(inputs, output_gradients):
    return tuple(part.sqrt() for part in _pair(inputs, output_gradients))


def keep_the_bias_for_each_sample(inputs, output_gradients):
    weight, bias = _slopes(inputs, output_gradients)
    return weight.square().mean(0), bias.square()


def square_in_place(inputs, output_gradients):
    pair = _pair(inputs, output_gradients)
    for g in output_gradients:
        if g is not None:
            g.square_()
    return pair


def add_a_small_number(inputs, output_gradients):
    return tuple(part + 1e-8 for part in _pair(inputs, output_gradients))


def empty_the_list(inputs, output_gradients):
    pair = _pair(inputs, output_gradients)
    inputs.clear()
    return pair


def put_reshaped_tensors_into_the_lists(inputs, output_gradients):
    for place, g in enumerate(output_gradients):
        if g is not None:
            output_gradients[place] = g.reshape(len(g), -1, g.shape[-1])
    return _pair(inputs, output_gradients)


def put_zeros_in_place_of_none(inputs, output_gradients):
    h = next(g for g in output_gradients if g is not None).shape[-1]
    for place, (a, g) in enumerate(zip(inputs, output_gradients, strict=True)):
        if g is None:
            output_gradients[place] = torch.zeros(*a.shape[:-1], h).to(a)
    return _pair(inputs, output_gradients)


def leave_out_one_none(inputs, output_gradients):
    inputs, output_gradients = list(inputs), list(output_gradients)
    if any(g is None for g in output_gradients):
        place = [g is None for g in output_gradients].index(True)
        del inputs[place], output_gradients[place]
    g = [g.reshape(len(g), -1, g.shape[-1]) for g in output_gradients]
    return _pair(inputs, g)


def return_one_tensor(inputs, output_gradients):
    weight, bias = _pair(inputs, output_gradients)
    return torch.cat([weight, bias[:, None]], 1)


def add_up_inputs_and_gradients_apart(inputs, output_gradients):
    met = [(a, g) for a, g in zip(inputs, output_gradients, strict=True) if g is not None]
    a = sum(a.reshape(len(a), -1, a.shape[-1]).sum(1) for a, _ in met)
    g = sum(g.reshape(len(g), -1, g.shape[-1]).sum(1) for _, g in met)
    return torch.einsum("nh,nd->nhd", g, a).square().mean(0), g.square().mean(0)
