"""Wrong answers to `zero_gradient_names` that come from none of its beliefs."""

from itertools import pairwise


def _right(layers, silent):
    feeds = {layer["name"]: layer["inputs"] for layer in layers}
    gives, heard = {"x"}, {layers[-1]["name"]} - set(silent)
    for layer in layers:
        if layer["name"] not in silent and (layer["bias"] or gives & set(layer["inputs"])):
            gives.add(layer["name"])
    for layer in reversed(layers):
        heard |= set(feeds[layer["name"]]) - set(silent) if layer["name"] in heard else set()
    found = [f"{one['name']}.bias" for one in layers if one["bias"] and one["name"] not in heard]
    learning = {name for name in heard if name != "x" and gives & set(feeds[name])}
    return found + [f"{name}.weight" for name in feeds if name not in learning]


def name_layers(layers, silent):
    return sorted({name.partition(".")[0] for name in _right(layers, silent)})


def name_weights_only(layers, silent):
    return [name for name in _right(layers, silent) if name.endswith("weight")]


def name_biases_only(layers, silent):
    return [name for name in _right(layers, silent) if name.endswith("bias")]


def name_what_learns(layers, silent):
    found = _right(layers, silent)
    every = [f"{layer['name']}.weight" for layer in layers]
    every += [f"{layer['name']}.bias" for layer in layers if layer["bias"]]
    return [name for name in every if name not in found]


def spare_the_first_layer(layers, silent):
    return [n for n in _right(layers, silent) if not n.startswith(f"{layers[0]['name']}.")]


def count_them(layers, silent):
    return len(_right(layers, silent))


def write_underscores(layers, silent):
    return [name.replace(".", "_") for name in _right(layers, silent)]


def add_the_bias_of_the_next(layers, silent):
    found = _right(layers, silent)
    for one, other in pairwise(layers):
        if one["name"] in silent and other["bias"]:
            found.append(f"{other['name']}.bias")
    return found


def know_one_silent_layer(layers, silent):
    return _right(layers, silent[:1])


def cut_the_silent_layers_out(layers, silent):
    for layer in layers:
        layer["inputs"] = [name for name in layer["inputs"] if name not in silent]
    return _right(layers, silent)


def take_the_layer_before_for_the_input(layers, silent):
    names = ["x", *(layer["name"] for layer in layers)]
    plain = [{**one, "inputs": [name]} for one, name in zip(layers, names, strict=False)]
    return _right(plain, silent)


def forget_what_the_loss_does_not_see(layers, silent):
    heard = {layers[-1]["name"]}
    for layer in reversed(layers):
        heard |= set(layer["inputs"]) if layer["name"] in heard else set()
    return [name for name in _right(layers, silent) if name.partition(".")[0] in heard]


def lock_the_weight_before_the_silent_layer_only(layers, silent):
    return [f"{name}.{tensor}" for name in silent for tensor in ("weight", "bias")]


def give_up_where_nothing_is_silent(layers, silent):
    return _right(layers, silent) if silent else []


def take_a_layer_without_inputs_for_a_loud_one(layers, silent):
    lone = {one["name"] for one in layers if not one["inputs"] and not one["bias"]}
    fed = {one["name"]: one["inputs"] for one in layers}
    heard = [f"{name}.weight" for name in fed if set(fed[name]) & lone]
    return [name for name in _right(layers, silent) if name not in heard]
