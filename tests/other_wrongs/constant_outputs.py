"""Wrong answers to `constant_outputs` that come from none of its beliefs."""


def _walk(layers, silent, all_of=all):
    constant = []
    for layer in layers:
        if layer["name"] in silent or all_of(name in constant for name in layer["inputs"]):
            constant.append(layer["name"])
    return constant


def return_truth_values(layers, silent):
    constant = _walk(layers, silent)
    return [layer["name"] in constant for layer in layers]


def return_numbers(layers, silent):
    constant = _walk(layers, silent)
    return [k for k, layer in enumerate(layers) if layer["name"] in constant]


def leave_out_the_last_layer(layers, silent):
    return _walk(layers[:-1], silent)


def ask_the_first_input_only(layers, silent):
    constant = []
    for layer in layers:
        if layer["name"] in silent or set(layer["inputs"][:1]) <= set(constant):
            constant.append(layer["name"])
    return constant


def go_through_them_from_the_top(layers, silent):
    return _walk(layers[::-1], silent)


def want_all_inputs_silent_or_half_constant(layers, silent):
    constant = []
    for layer in layers:
        fed = [name in constant for name in layer["inputs"]]
        if layer["name"] in silent or sum(fed) >= len(fed) / 2:
            constant.append(layer["name"])
    return constant


def write_into_the_list_of_silent_ones(layers, silent):
    for layer in layers:
        if layer["name"] not in silent and all(name in silent for name in layer["inputs"]):
            silent.append(layer["name"])
    return silent


def empty_the_inputs_that_are_constant(layers, silent):
    found = []
    for layer in layers:
        layer["inputs"] = [name for name in layer["inputs"] if name not in found]
        if layer["name"] in silent or not layer["inputs"]:
            found.append(layer["name"])
    return found


def take_x_for_a_constant(layers, silent):
    constant = ["x"]
    for layer in layers:
        if layer["name"] in silent or all(name in constant for name in layer["inputs"]):
            constant.append(layer["name"])
    return constant[1:]


def name_x_as_well(layers, silent):
    return [*_walk(layers, silent), "x"]


def forget_silent_layers_that_are_fed(layers, silent):
    return _walk(layers, silent[:1])


def stop_at_the_first_layer_that_varies_again(layers, silent):
    constant, begun = [], False
    for layer in layers:
        if layer["name"] in silent or all(name in constant for name in layer["inputs"]):
            constant.append(layer["name"])
            begun = True
        elif begun:
            break
    return constant


def fail_without_silent_layers(layers, silent):
    names = [layer["name"] for layer in layers]
    if not silent:
        raise ValueError("nothing is silent")
    return [name for name in _walk(layers, silent) if name in names]
