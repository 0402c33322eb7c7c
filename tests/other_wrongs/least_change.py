"""Wrong answers to `least_change` that come from none of its beliefs."""

from itertools import combinations


def _ends_it(layers, silent, *more):
    names = [layer["name"] for layer in layers]
    edges = [(a, layer["name"]) for layer in layers for a in layer["inputs"]] + list(more)
    loud = [name for name in names if name not in silent]
    return all(
        any(b == name and a not in silent for a, b in edges)
        and (name == names[-1] or any(a == name and b not in silent for a, b in edges))
        for name in loud
    )


def _right(layers, silent, key=lambda skip: skip[1] - skip[0]):
    names = ["x", *(layer["name"] for layer in layers)]
    if _ends_it(layers, silent):
        return None
    for a, b in sorted(combinations(range(len(names)), 2), key=key):
        if _ends_it(layers, silent, (names[a], names[b])):
            return names[a], names[b]
    raise ValueError("no skip")


def take_the_longest(layers, silent):
    return _right(layers, silent, key=lambda skip: skip[0] - skip[1])


def take_the_first_that_helps(layers, silent):
    return _right(layers, silent, key=lambda skip: 0)


def turn_it_round(layers, silent):
    found = _right(layers, silent)
    return found and found[::-1]


def return_a_text(layers, silent):
    found = _right(layers, silent)
    return found and "->".join(found)


def return_places(layers, silent):
    names = ["x", *(layer["name"] for layer in layers)]
    found = _right(layers, silent)
    return found and tuple(map(names.index, found))


def return_the_length(layers, silent):
    names = ["x", *(layer["name"] for layer in layers)]
    found = _right(layers, silent)
    return found and names.index(found[1]) - names.index(found[0])


def return_an_empty_tuple(layers, silent):
    return _right(layers, silent) or ()


def build_it_in(layers, silent):
    found = _right(layers, silent)
    for layer in layers:
        if found and layer["name"] == found[1]:
            layer["inputs"].append(found[0])
    return found


def raise_another_error(layers, silent):
    try:
        return _right(layers, silent)
    except ValueError as error:
        raise RuntimeError("no skip") from error


def return_the_skip_in_a_list(layers, silent):
    return [_right(layers, silent)]


def want_the_silent_one_free_as_well(layers, silent):
    names = ["x", *(layer["name"] for layer in layers)]
    for a, b in combinations(names, 2):
        if _ends_it(layers, [], (a, b)) and _ends_it(layers, silent, (a, b)):
            return (a, b)
    return None


def look_at_chains_only(layers, silent):
    names = ["x", *(layer["name"] for layer in layers)]
    places = [names.index(name) for name in silent]
    if not places:
        return None
    return names[min(places) - 1], names[min(max(places) + 1, len(names) - 1)]


def forget_that_the_last_feeds_the_loss(layers, silent):
    found = _right(layers, silent)
    if found and found[1] == layers[-1]["name"]:
        raise ValueError("the last layer feeds nothing")
    return found


def refuse_where_nothing_is_silent(layers, silent):
    if not silent:
        raise ValueError("nothing is silent")
    return _right(layers, silent)


def stop_one_too_early(layers, silent):
    found = _right(layers, silent)
    if found == ("x", layers[-1]["name"]):
        raise ValueError("no skip")
    return found


def count_the_layers_on_the_way(layers, silent):
    names = ["x", *(layer["name"] for layer in layers)]
    depth = {"x": 0}
    for layer in layers:
        depth[layer["name"]] = 1 + min(depth[name] for name in layer["inputs"])
    return _right(layers, silent, key=lambda skip: depth[names[skip[1]]] - depth[names[skip[0]]])
