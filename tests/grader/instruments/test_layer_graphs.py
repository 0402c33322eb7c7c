"""Networks described as plain data are what they say, and the traces of an answer are seen."""

import numpy as np
import pytest

from grader.instruments.layer_graphs import (
    among,
    asked,
    case,
    chain,
    description_stays,
    names_as_expected,
    tangled,
)


def test_a_skip_adds_an_input():
    assert chain(3, (0, 3)) == [[0], [1], [2, 0]]


@pytest.mark.parametrize("seed", range(4))
def test_layers_stand_after_what_feeds_them(seed):
    rng = np.random.default_rng(seed)
    network, known = case(rng, "plain", tangled(rng, 12), silent=[3], bare=[5]), ["x"]
    for layer in network["layers"]:
        assert layer["inputs"] and set(layer["inputs"]) <= set(known)
        known.append(layer["name"])
    assert len(set(known)) == 13 and network["silent"] == [known[3]]
    assert [k for k, layer in enumerate(network["layers"], 1) if not layer["bias"]] == [5]


def test_what_an_answer_names_and_writes_is_seen():
    network = case(np.random.default_rng(0), "plain", chain(4), silent=[2])
    names = [layer["name"] for layer in network["layers"]]
    right = asked(lambda layers, silent: silent, network, names)
    other = asked(lambda layers, silent: [layers.pop()["name"], "nobody"], network, names)
    assert right["named"] == {name: name == names[1] for name in names}
    assert right["stays"] and not other["stays"] and other["unknown"] == ["nobody"]
    assert description_stays.holds(right, right)[0] and not description_stays.holds(other, right)[0]
    assert names_as_expected(right, right)[0]
    assert names_as_expected(other, right) == (
        False,
        f"you leave out {names[1]}; you name {', '.join(sorted([names[3], 'nobody']))}",
    )


def test_what_is_no_collection_is_handed_on():
    assert among(None, ["a"]) == {"named": None, "unknown": []}
