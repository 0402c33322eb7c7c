"""Very deep networks: neighbours in the same state are drawn as one tile."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import groupby, pairwise

from lessonkit.drawing.network import Layer, Network

MOST = 60  # layers that have a tile each


@dataclass(frozen=True)
class Gathered:
    """A network as it is drawn, and the names of the layers behind each name in it."""

    network: Network
    members: dict[str, list[str]]


def gathered(network: Network) -> Gathered:
    """The network with runs of equal layers as one layer each, where it has more than `MOST`.

    The strength of a run is its smallest, and skips within a run are left out.
    """
    runs = [[layer] for layer in network.layers]
    if len(runs) > MOST:
        runs = [list(run) for _, run in groupby(network.layers, _state)]
    starts = [sum(map(len, runs[:i])) for i in range(len(runs) + 1)]
    spans = list(pairwise(starts))
    layers = tuple(map(_joined, runs))
    names = [[layer.name for layer in run] for run in runs]
    home = {
        name: layer.name for layer, inside in zip(layers, names, strict=True) for name in inside
    }
    skips = ((home.get(a, a), home[b]) for a, b in network.skips)
    drawn = replace(
        network,
        layers=layers,
        forward=tuple(min(network.forward[a:b]) for a, b in spans if network.forward),
        backward=tuple(min(network.backward[a:b]) for a, b in spans if network.backward),
        skips=tuple(dict.fromkeys((a, b) for a, b in skips if a != b)),
    )
    return Gathered(
        drawn, {layer.name: inside for layer, inside in zip(layers, names, strict=True)}
    )


def _state(layer: Layer) -> tuple[object, ...]:
    shares = tuple((kind, round(layer.share(kind), 3)) for kind in layer.locks)
    return (shares, layer.afar, layer.note)


def _joined(run: list[Layer]) -> Layer:
    first, last = run[0], run[-1]
    return first if first is last else replace(first, name=f"{first.name} … {last.name}")
