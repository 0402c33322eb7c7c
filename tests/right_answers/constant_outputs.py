"""Right answers to `constant_outputs`, each in a style of its own."""

import random


def propagate_what_varies(layers, silent):
    varies = {"x"}
    for layer in layers:
        if layer["name"] not in silent and varies & set(layer["inputs"]):
            varies.add(layer["name"])
    return {layer["name"] for layer in layers} - varies


def search_back_to_the_input(layers, silent):
    feeds = {layer["name"]: layer["inputs"] for layer in layers}

    def sees_the_input(name):
        if name == "x":
            return True
        return name not in silent and any(sees_the_input(below) for below in feeds[name])

    return tuple(name for name in feeds if not sees_the_input(name))


def repeat_until_nothing_changes(layers, silent):
    found, before = set(silent), None
    while before != found:
        before = set(found)
        for layer in reversed(layers):
            if not set(layer["inputs"]) - found:
                found.add(layer["name"])
    return sorted(found, reverse=True)


def run_two_samples(layers, silent):
    outputs = [{"x": 1.0}, {"x": 2.0}]
    for layer in layers:
        weight, bias = random.uniform(0.5, 1), layer["bias"] * random.uniform(0.1, 1)
        for sample in outputs:
            fed = sum(sample[name] for name in layer["inputs"])
            sample[layer["name"]] = 0.0 if layer["name"] in silent else max(0, weight * fed + bias)
    one, other = outputs
    return [name for name in one if one[name] == other[name]]
