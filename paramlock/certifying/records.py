"""What a certificate rests on: the numbers, whichever framework they were measured in.

A *layer* is a module that owns parameters; its name is the module's path. A *site* is a place
where an activation function is applied: it belongs to the layer that feeds it, because there sit
the incoming weights of its *units*. Norms are Euclidean, over all entries of a tensor.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from paramlock.models.numbers import ratio, total

# Activations that are flat on a side by design: derivative zero there makes a unit dead.
_HARD = {"relu", "relu6", "threshold", "hardshrink", "softshrink", "clamp", "clip", "clamp_min"}
_LEAKY = {"leaky_relu", "prelu", "rrelu"}
_SMOOTH = {"elu", "selu", "celu", "gelu", "silu", "swish", "mish", "softplus"}
_SMOOTH |= {"hardswish", "hard_swish"}
# Activations with two flat ends, all gates of a recurrent layer together, rows of attention.
SQUASHING = frozenset(
    {"sigmoid", "tanh", "hardtanh", "hard_tanh", "hardsigmoid", "hard_sigmoid", "softsign", "gates"}
    | {"attention"}
)
# Where a small derivative means saturation. Not in leaky rectifiers: there it is the design.
SATURABLE = SQUASHING | _SMOOTH
ACTIVATIONS = SATURABLE | _HARD | _LEAKY

SAME = 1e-6  # positions whose spread against the norm is below that are equal but for rounding

# A row of attention, the weights of one query, is as flat as its largest weight p says: p (1 - p).
EVEN = 0.25  # that where no key has more than half
MASKED = 9000.0  # a score this far below the best of its row is masked, not merely low
NEARLY = 0.95  # share of its rows from which on a head is saturated: ties come by chance


class Pseudo(str):
    """A place that is no module: it equals no path, not even that of a module called the same."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Pseudo) and str(self) == str(other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash((Pseudo, str(self)))

    def __repr__(self) -> str:
        return f"<{place_name(self)}>"


INPUT = Pseudo("input")  # what the model is given
LOSS = Pseudo("loss")  # the function of outputs and targets
MODEL = Pseudo("")  # all modules together; the path "" is the outermost module by itself


def place_name(place: str) -> str:
    """A place in words."""
    words: dict[str, str] = {INPUT: "the input", LOSS: "the loss", MODEL: "the whole model"}
    return words.get(place, place) or "the model's own parameters"


@dataclass
class ParameterRecord:
    """One parameter tensor (tied weights: once, the other names in `aliases`).

    `gradient`: norm of the mean gradient over the data, `None` where no path leads to it.
    `update`: norm of the change that the optimizer's next step makes, `None` where unknown.
    `rate`: learning rate of its group, `None` where unknown, as always in Flax: an optax
    transformation tells none. `in_optimizer`: whether the optimizer holds it, `None` without one.
    `masked`: share of entries held at zero; `regrown`: share of those that a step moves.
    `held`: share of entries that a lock holds at another value (`paramlock.torch.hold`).
    `locked`: whether such a lock holds any of them, at zero or not.
    `closed`: share of entries that have a gradient which a hook on the parameter sets to zero;
    `slips`: share of those that a step moves.
    `stuck`: share of the entries with a gradient whose bits a step leaves as they were.
    `proposed`: norm of the step that the optimizer proposes, before the weights' precision rounds
    it, where it is known. `fisher`: sum of its Fisher diagonal, where one was given.
    `picks`: how often one of its rows was looked up by an index that the network had computed, as
    in a codebook; `unpicked`: the rows that have no gradient then.
    `along`: cosine between a weight matrix and its gradient, without sign; `turn`: tangent of the
    angle by which the next step turns the matrix. Both `None` without an optimizer.
    """

    name: str
    layer: str
    shape: tuple[int, ...]
    dtype: str
    trainable: bool
    norm: float
    gradient: float | None = None
    update: float | None = None
    rate: float | None = None
    masked: float = 0.0
    regrown: float = 0.0
    stuck: float = 0.0
    nonfinite: int = 0
    gradient_nonfinite: int = 0
    aliases: tuple[str, ...] = ()
    fisher: float | None = None
    held: float = 0.0
    in_optimizer: bool | None = None
    locked: bool = False
    picks: int = 0
    unpicked: tuple[int, ...] = ()
    along: float | None = None
    turn: float | None = None
    closed: float = 0.0
    slips: float = 0.0
    proposed: float | None = None

    @property
    def size(self) -> int:
        """Number of entries."""
        return math.prod(self.shape)

    @property
    def update_ratio(self) -> float | None:
        """Norm of the update over norm of the parameter; infinite where that is zero."""
        return None if self.update is None else ratio(self.update, self.norm)


@dataclass
class SiteRecord:
    """An activation function and what its units did on all the data.

    `layer`: the one that feeds it, or `INPUT` where the data do so themselves. `dead`: units whose
    derivative was zero everywhere; `saturated`: units whose absolute derivative was below delta
    everywhere, dead ones apart (heads of attention: in nearly all rows); `flat`: share of all
    derivatives below delta; `constant`: whether the output of every unit was the same for all the
    data.
    """

    layer: str
    function: str
    units: int
    dead: tuple[int, ...]
    saturated: tuple[int, ...]
    flat: float
    constant: bool
    void: bool = False  # a NaN was seen: comparisons with it mean nothing
    beside: tuple[str, ...] = ()  # other layers that feed it: of attention's scores, the queries


@dataclass
class LayerRecord:
    """A layer: what feeds it, and whether its input and output depend on the data.

    `rows`: name of the parameter whose rows are its units (in Flax the entries of the last axis),
    so that they can be written one by one; empty where there is none. `routed`: whether an index
    that the network computed decides which samples it gets, or whether its output counts.
    `spread`: of outputs (sample, position, feature), the norm of what sets a sample's positions
    apart from their mean, over the norm of all; `None` where there are no positions, or only copies
    of a pooled value.
    """

    name: str
    kind: str
    called: bool = False
    parents: tuple[str, ...] = ()
    units: int = 0
    constant: tuple[int, ...] = ()
    constant_input: bool = False
    nonfinite: int = 0  # values that are not finite in its output
    rows: str = ""
    routed: bool = False
    spread: float | None = None
    cut: str = ""  # the operation after it that ended the graph of derivatives, if one did


@dataclass
class NormalisationRecord:
    """A layer with running statistics: its modes, and how far one pass over the data moved them."""

    name: str
    frozen: bool  # declared frozen: its own parameters, or those of the modules around it
    trainable: bool
    training: bool
    model_training: bool
    tracks: bool
    drift: float


@dataclass
class Measurement:
    """All numbers of one certificate. `layers` are in the order in which they were called."""

    framework: str
    parameters: list[ParameterRecord]
    layers: list[LayerRecord]
    sites: list[SiteRecord]
    normalisations: list[NormalisationRecord] = field(default_factory=list)
    samples: int = 0
    batches: int = 0
    loss: float = math.nan
    input_nonfinite: int = 0
    optimizer: str | None = None
    notes: list[str] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)  # gates that no detector here can judge

    @property
    def gradient(self) -> float:
        """Norm of the whole gradient."""
        return total(p.gradient for p in self.parameters)

    def relative_gradient(self, record: ParameterRecord) -> float | None:
        """The share of one tensor's gradient norm in the whole, between 0 and 1."""
        if record.gradient is None:
            return None
        return record.gradient / self.gradient if self.gradient else 0.0

    def fisher_share(self, records: Iterable[ParameterRecord]) -> float | None:
        """The share of some tensors in the whole Fisher mass; `None` where not given."""
        masses = [p.fisher for p in records if p.fisher is not None]
        whole = sum(p.fisher for p in self.parameters if p.fisher is not None)
        return ratio(sum(masses), whole) if masses else None


class Tag(NamedTuple):
    """Where a value in the forward pass comes from.

    `layers` that last touched it, in order of call; `data`: whether it depends on the input
    (a mask times a weight does not); `unit_axis` counts from the end. `rows`: of a softmax
    that may turn out to be attention, once a product mixes values by it. `routed`: whether a
    choice that the network computed had a say in it. `pooled`: whether positions were taken
    together on the way to it.
    """

    layers: tuple[str, ...]
    data: bool
    unit_axis: int
    rows: Any = None
    routed: bool = False
    pooled: bool = False


def pools(before: Iterable[Sequence[int]], after: Sequence[int]) -> bool:
    """Whether an operation on arrays of the shapes `before` takes positions together.

    Positions lie along the second axis of three or more; one that is left has none any more.
    """
    largest = max(before, key=math.prod)
    fewer = math.prod(after) < math.prod(largest)
    if len(largest) < 3:
        return False
    if len(after) < 3:
        return fewer or tuple(after[:1]) == tuple(largest[:1])
    return fewer and after[1] == 1 < largest[1]


class Picks:
    """Tables whose rows the network looks up by indices of its own making.

    A table is known by its layer and its number of rows. One that is looked up by the data's
    own integers too, as an embedding of words is, is none: what the data leave out is no lock.
    """

    def __init__(self) -> None:
        self._picks: dict[tuple[str, int], dict[Any, int]] = {}
        self._by_data: set[tuple[str, int]] = set()

    def note(self, layer: str, rows: int, choice: tuple[Any, int] | None) -> None:
        """Note that a choice, its key and its size, falls on a table; `None` if of the data."""
        if choice is None:
            self._by_data.add((layer, rows))
        else:
            self._picks.setdefault((layer, rows), {}).update([choice])

    def of(self, record: ParameterRecord) -> int:
        """How often the network looked a row of a parameter up."""
        if len(record.shape) < 2 or (record.layer, record.shape[0]) in self._by_data:
            return 0
        return sum(self._picks.get((record.layer, record.shape[0]), {}).values())


class Lineage:
    """The graph of layers, recorded while values flow through them."""

    def __init__(self) -> None:
        self.order: dict[str, None] = {}
        self.parents: dict[str, dict[str, None]] = {}
        self.routed: set[str] = set()

    def combine(self, owners: Iterable[str], tags: Iterable[Tag]) -> Tag | None:
        """The tag of a result made from parameters of `owners` and values with `tags`.

        A layer is called when its parameters, or what was computed from them alone, meet data.
        """
        tags = list(tags)
        data = dict.fromkeys(name for tag in tags if tag.data for name in tag.layers)
        weights = dict.fromkeys(owners)
        weights.update(dict.fromkeys(n for tag in tags if not tag.data for n in tag.layers))
        flows = any(tag.data for tag in tags)
        axis = next((tag.unit_axis for tag in tags if tag.data), -1)
        routed = flows and all(tag.routed for tag in tags if tag.data)
        pooled = flows and all(tag.pooled for tag in tags if tag.data)
        if not flows:
            return Tag(tuple(weights), False, -1) if weights else None
        for name in weights:
            self.order.setdefault(name)
            sources = self.parents.setdefault(name, {})
            sources.update(dict.fromkeys(source for source in data if source not in weights))
        if routed:
            self.routed.update(weights)
        last = tuple(weights) if weights else self._sorted(data)
        return Tag(last, True, axis, routed=routed, pooled=pooled)

    def route(self, tags: Iterable[Tag]) -> None:
        """Note that a choice of the network selects from values with `tags`."""
        self.routed.update(name for tag in tags if tag.data for name in tag.layers)

    def _sorted(self, names: Iterable[str]) -> tuple[str, ...]:
        position = {name: i for i, name in enumerate(self.order)}
        return tuple(sorted(names, key=lambda name: position.get(name, -1)))
