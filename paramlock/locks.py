"""The kinds of locks, as one table: what locks, what shows it, whether and how it opens.

A *lock* is a reason why a part of a network does not learn. Its *place* is the layer (the module
that owns the parameters, by its path in the model) or the single parameter where the reason sits.
A lock has *consequences* elsewhere: behind it, towards the input, gradients vanish (``backward``);
before it, towards the loss, outputs stop depending on the data (``forward``). Consequences are
listed under their origin and are no locks of their own.

Sources: the gradient that decays with depth: Bengio, Simard & Frasconi 1994; Glorot & Bengio 2010.
Dead units: Lu, Shin, Su & Karniadakis 2020. What opens which lock was measured for this course.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from paramlock.figures import COLOURS


@dataclass(frozen=True)
class Kind:
    """One kind of lock: a row of the table ``KINDS``.

    ``letter`` stands in pictures beside the colour, so that nothing is said by colour alone.
    """

    name: str
    letter: str
    colour: str
    mechanism: str  # what stops learning
    cause: str  # what usually brings it about
    detector: str  # the number that shows it
    reversible: str  # whether training on can open it
    key: str  # how to open it
    lesson: str  # stem of the lesson to read


_ROWS = (
    Kind(
        "frozen", "F", COLOURS["frozen"],
        "declared frozen: no gradient is computed for the parameters",
        "a decision: requires_grad = False, a label, a filter",
        "trainable flag off",
        "not by training; by you, at any time",
        "unfreeze it, and hand its parameters to the optimizer",
        "04_explicit_freezing",
    ),
    Kind(
        "leaking", "M", COLOURS["moved"],
        "declared frozen or pruned, yet the optimizer's next step moves it",
        "a gradient left over from before, momentum, or weight decay",
        "update of a parameter that should stay",
        "it is open already",
        "clear the gradient (p.grad = None) and take the parameter out of the optimizer; "
        "for pruned weights, write the zeros back after every step",
        "04_explicit_freezing",
    ),
    Kind(
        "batchnorm", "B", "#56B4E9",
        "a normalisation layer's mode contradicts its freeze",
        "model.train() after the freeze, or a freeze of the parameters alone",
        "drift of the running statistics in one pass, against the trainable flags",
        "not by training; by one call",
        "call .eval() on the layer after every model.train() where it is frozen; .train() where "
        "it should learn",
        "04_explicit_freezing",
    ),
    Kind(
        "unreached", "U", "0.55",
        "no path of the graph leads from the loss to the parameters",
        "a layer that is never called, or a graph cut on the way to it",
        "gradient absent, not zero",
        "never by training",
        "use the layer in the forward pass and remove what cuts the graph: detach, no_grad, "
        "argmax, conversion to numbers",
        "07_lock_cascades",
    ),
    Kind(
        "idle", "I", "0.75",
        "a gradient arrives, but the optimizer makes no use of it",
        "parameters that the optimizer was never given, or a rate of zero",
        "update ratio against that of the other layers",
        "never by training on with this optimizer",
        "add the parameters to the optimizer (add_param_group) or raise the rate of their group",
        "04_explicit_freezing",
    ),
    Kind(
        "rounding", "R", "#CC9966",
        "the update is smaller than the resolution in which the weights are stored",
        "steps too small for weights in bfloat16 or float16",
        "share of weights whose bits a step leaves as they were, though their gradient is not zero",
        "not at this rate and precision",
        "keep a float32 master copy of the weights, or use stochastic rounding or a higher rate",
        "08_unlocking",
    ),
    Kind(
        "pruned", "P", COLOURS["pruned"],
        "weights are held at zero by a mask",
        "a decision, by magnitude, movement or chance",
        "share of weights that are masked",
        "not while the mask holds",
        "remove the mask; weights regrown where the gradient is largest win back a part",
        "05_pruning",
    ),
    Kind(
        "held", "H", "#332288",
        "single weights are written back to their value after every step",
        "a decision: the weights of lowest, or of highest, Fisher information",
        "share of weights that a lock holds",
        "not while the lock holds",
        "release the lock",
        "06_fisher_importance",
    ),
    Kind(
        "dead", "D", COLOURS["dead"],
        "units whose activation has derivative zero on all the data",
        "a step that was too large, or bad luck at the start",
        "derivative exactly zero on every sample and position",
        "in the first layer never; higher up, only if the layers below change their inputs",
        "re-initialise the units (incoming weights, optimizer state) and lower the rate; "
        "BatchNorm before the activation opens it too, and from the start prevents most of it",
        "02_dead_relu",
    ),
    Kind(
        "saturated", "S", COLOURS["saturated"],
        "units on the flat part of their activation",
        "weights or inputs too large for the activation",
        "absolute derivative below delta",
        "slowly: a small gradient is left",
        "rescale or re-initialise the incoming weights, or swap the activation; BatchNorm before "
        "it ends the flatness, but weights that are too large stay slow",
        "03_saturation",
    ),
    Kind(
        "constant", "C", "#A65628",
        "units whose output is the same for all the data, though their input varies",
        "a lock below, or incoming weights near zero",
        "range of the output over the data",
        "yes, if a gradient reaches their incoming weights",
        "re-initialise the incoming weights",
        "07_lock_cascades",
    ),
    Kind(
        "zeroed", "Z", "#F0E442",
        "all weights of the layer are zero, so nothing passes it in either direction",
        "zeros at the start on both sides of a product",
        "norm of the weights",
        "yes, where the weights are trainable and their gradient is not zero",
        "initialise the weights; in a low-rank adapter, never both factors at zero",
        "08_unlocking",
    ),
    Kind(
        "vanishing", "V", "#999933",
        "the gradient shrinks from layer to layer on its way to the input",
        "depth, with a factor below one in each layer",
        "gradient norm against that of the whole network, and update ratio of the optimizer",
        "hardly: the layers above must change first",
        "BatchNorm or residual connections, or an initialisation made for the activation (He for "
        "ReLU, Glorot for tanh); an optimizer that divides by the gradient's scale, such as Adam, "
        "moves the layer nevertheless",
        "01_gradient_vanishing",
    ),
    Kind(
        "no_signal", "N", "0.35",
        "the gradient that arrives is exactly zero",
        "a loss that is flat at this point",
        "gradient exactly zero on every batch",
        "only if data or loss change",
        "look for a loss that is flat at this point (clipped, satisfied hinge, rounded)",
        "07_lock_cascades",
    ),
    Kind(
        "nonfinite", "X", "#882255",
        "NaN or infinity in parameters, outputs, loss or gradients; every other number is void",
        "a rate too high, the logarithm of zero, or overflow",
        "number of values that are not finite",
        "never by training on",
        "go back to the last finite state; lower the rate, clip gradients, or mend the operation "
        "named as origin",
        "01_gradient_vanishing",
    ),
)  # fmt: skip

KINDS: dict[str, Kind] = {kind.name: kind for kind in _ROWS}


@dataclass(frozen=True)
class Lock:
    """A reason why a part of the network does not learn, with the number that shows it.

    ``place``: path of the layer, or name of the parameter, where the lock has its origin.
    ``value`` is the number that ``evidence`` states in words; ``units`` are the indices of the
    locked units, where the lock is one of units. ``backward`` and ``forward`` are the layers and
    parameters that are locked only because of this one.
    """

    kind: str
    place: str
    evidence: str
    value: float
    cause: str
    opens: str
    units: tuple[int, ...] = ()
    backward: tuple[str, ...] = ()
    forward: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """How to open it."""
        return KINDS[self.kind].key

    @property
    def lesson(self) -> str:
        """The stem of the lesson to read."""
        return KINDS[self.kind].lesson

    def to_dict(self) -> dict[str, Any]:
        """Return the lock as plain data, key and lesson included."""
        return {**asdict(self), "key": self.key, "lesson": self.lesson}


def lock(
    kind: str,
    place: str,
    evidence: str,
    value: float,
    cause: str = "",
    opens: str = "",
    **where: tuple[Any, ...],
) -> Lock:
    """Return a lock; what is not said specially comes from the table ``KINDS``."""
    row = KINDS[kind]
    return Lock(
        kind, place, evidence, value, cause or row.mechanism, opens or row.reversible, **where
    )
