"""Right answers to `zero_gradient_names`, each in a style of its own."""

import torch


def collect_what_learns(layers, silent):
    feeds = {layer["name"]: layer["inputs"] for layer in layers}
    gives, heard, stack = {"x"}, set(), [layers[-1]["name"]]
    for layer in layers:
        if layer["name"] not in silent and (layer["bias"] or gives & set(layer["inputs"])):
            gives.add(layer["name"])
    while stack:
        name = stack.pop()
        if name != "x" and name not in silent and name not in heard:
            heard.add(name)
            stack += feeds[name]
    biases = {f"{one['name']}.bias" for one in layers if one["bias"] and one["name"] not in heard}
    learning = {name for name in heard if gives & set(feeds[name])}
    return biases | {f"{name}.weight" for name in feeds if name not in learning}


def search_every_path(layers, silent):
    by_name = {layer["name"]: layer for layer in layers}

    def gives_zeros(name):
        if name == "x":
            return False
        if name in silent:
            return True
        return not by_name[name]["bias"] and all(map(gives_zeros, by_name[name]["inputs"]))

    def hears(name):
        if name in silent:
            return False
        above = [layer["name"] for layer in layers if name in layer["inputs"]]
        return name == layers[-1]["name"] or any(map(hears, above))

    found = []
    for name, layer in by_name.items():
        if not hears(name):
            found += [f"{name}.weight"] + [f"{name}.bias"] * layer["bias"]
        elif all(map(gives_zeros, layer["inputs"])):
            found.append(f"{name}.weight")
    return tuple(found)


def let_torch_say(layers, silent):
    ones = torch.ones(2, dtype=torch.float64)
    outputs, tensors = {"x": torch.tensor([1.0, 2.0], dtype=torch.float64)}, {}
    for layer in layers:
        name = layer["name"]
        tensors[f"{name}.weight"] = ones[0].clone().requires_grad_()
        z = tensors[f"{name}.weight"] * sum((outputs[a] for a in layer["inputs"]), 0 * ones)
        if layer["bias"]:
            tensors[f"{name}.bias"] = ones[0].clone().requires_grad_()
            z = z + tensors[f"{name}.bias"]
        outputs[name] = torch.relu(z) * (name not in silent)
    outputs[layers[-1]["name"]].sum().backward()
    return [name for name, t in tensors.items() if t.grad is None or not t.grad.any()]
