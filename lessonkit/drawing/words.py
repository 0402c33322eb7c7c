"""A drawing in words, from the same data: its alternative text, and a title where none is given."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from lessonkit.drawing.network import Layer, Network
from lessonkit.drawing.paint import letters_of

MOST_UNITS = 8  # whose numbers are read out


def title(network: Network) -> str:
    """The locks of a drawing, from input to loss."""
    inside = [kind for layer in network.layers for kind in layer.locks]
    kinds = dict.fromkeys([*network.at_input, *inside, *network.at_loss])
    words = ", ".join(f"{letters_of(kind)[0]} {kind}" for kind in kinds)
    return f"From input to loss: {words or 'no locks'}"


def alt(network: Network) -> str:
    """What a drawing shows, in sentences."""
    count = len(network.layers)
    parts = [network.title.rstrip(".") + ".", f"A chain of {count} layer{'s' * (count != 1)}."]
    parts += _runs(network.layers)
    parts += [f"The input is locked: {kind}." for kind in network.at_input]
    parts += [f"The loss is locked: {kind}." for kind in network.at_loss]
    parts += [f"{name} skips to {to}." for name, to in network.skips]
    parts += [
        f"At {layer.name}: {layer.note.rstrip('.')}." for layer in network.layers if layer.note
    ]
    parts += _flow("forward signal", network.forward)
    parts += _flow(network.backward_name, network.backward)
    return " ".join(parts)


def _runs(layers: Sequence[Layer]) -> Iterator[str]:
    """Layers of the same state are told together."""
    for state, group in groupby(layers, _state):
        run = [layer.name for layer in group]
        names = run[0] if len(run) == 1 else f"{run[0]} to {run[-1]}"
        yield f"{names}: {state}."


def _state(layer: Layer) -> str:
    locks = [_extent(layer, kind) for kind in layer.locks]
    afar = [f"affected by {layer.afar} elsewhere"] if layer.afar else []
    return ", ".join(locks + afar) or "trainable"


def _extent(layer: Layer, kind: str) -> str:
    extent, share = layer.locks[kind], layer.share(kind)
    if share == 1:
        return kind
    if isinstance(extent, float):
        return f"{share:.3g} of it {kind}"
    if isinstance(extent[0], tuple):
        return f"{len(extent)} of {layer.inputs * layer.units} weights {kind}"
    which = f" ({', '.join(map(str, extent))})" if len(extent) <= MOST_UNITS else ""
    return f"{len(extent)} of {layer.units} units {kind}{which}"


def _flow(name: str, values: Sequence[float]) -> list[str]:
    if not values:
        return []
    return [f"The {name} is {values[0]:.2g} at the first layer and {values[-1]:.2g} at the last."]
