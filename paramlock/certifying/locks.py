"""The kinds of locks, as one table: what locks, what shows it, whether and how it opens.

A *lock* is a reason why a part of a network does not learn. Its *place* is the layer (the module
that owns the parameters, by its path in the model) or the single parameter where the reason sits.
A lock has *consequences* elsewhere: behind it, towards the input, gradients vanish (`backward`);
before it, towards the loss, outputs stop depending on the data (`forward`). Consequences are
listed under their origin and are no locks of their own.

Sources: the gradient that decays with depth: Bengio, Simard & Frasconi 1994; Glorot & Bengio 2010.
Dead units: Lu, Shin, Su & Karniadakis 2020. Positions that collapse: Dong, Cordonnier & Loukas
2021. Weights before a norm layer: van Laarhoven 2017. Latents at their prior: Lucas, Tucker,
Grosse & Norouzi 2019. What opens which lock was measured for this course.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from paramlock.certifying.records import INPUT, Pseudo, place_name
from paramlock.pictures.palette import look


@dataclass(frozen=True)
class Kind:
    """One kind of lock: a row of the table `KINDS`.

    `letter` stands in pictures beside the colour, so that nothing is said by colour alone.
    """

    name: str
    letter: str
    colour: str
    mechanism: str  # what stops learning
    cause: str  # what usually brings it about
    detector: str  # the number that shows it
    reversible: str  # whether training on can open it
    key: str  # how to open it


_ROWS = (
    Kind(
        "frozen", *look("frozen"),
        "declared frozen: no gradient is computed for the parameters",
        "a decision: requires_grad off, a label, a filter",
        "trainable flag off",
        "not by training; by you, at any time",
        "unfreeze it, and hand its parameters to the optimizer",
    ),
    Kind(
        "leaking", *look("moved"),
        "declared frozen or pruned, yet the optimizer's next step moves it",
        "a gradient left over from before, momentum, or weight decay",
        "update of a parameter that should stay",
        "it is open already",
        "clear the gradient (p.grad = None) and take the parameter out of the optimizer; "
        "for pruned weights, write the zeros back after every step",
    ),
    Kind(
        "batchnorm", *look("batchnorm"),
        "a normalisation layer's mode contradicts its freeze",
        "model.train() after the freeze, or a freeze of the parameters alone",
        "drift of the running statistics in one pass, against the trainable flags",
        "not by training; by one call",
        "call .eval() on the layer after every model.train() where it is frozen; .train() where "
        "it should learn",
    ),
    Kind(
        "unreached", *look("unreached"),
        "no path of the graph leads from the loss to the parameters",
        "a layer that is never called, or a graph cut on the way to it",
        "gradient absent, not zero",
        "never by training",
        "use the layer in the forward pass and remove what cuts the graph: detach, no_grad, "
        "argmax, conversion to numbers",
    ),
    Kind(
        "idle", *look("idle"),
        "a gradient arrives, but the optimizer makes no use of it",
        "parameters that the optimizer was never given, or a rate of zero",
        "update ratio against that of the other layers",
        "not by training on with this optimizer, unless a schedule raises the rate",
        "add the parameters to the optimizer (add_param_group) or raise the rate of their group",
    ),
    Kind(
        "rounding", *look("rounding"),
        "the update is smaller than the resolution in which the weights are stored",
        "steps too small for the precision of the weights, as a rule bfloat16 or float16",
        "share of weights whose bits a step leaves as they were, though their gradient is not zero",
        "not at this rate and precision",
        "keep a float32 master copy of the weights, or use stochastic rounding or a higher rate",
    ),
    Kind(
        "pruned", *look("pruned"),
        "weights are held at zero by a mask",
        "a decision, by magnitude, movement or chance",
        "share of weights that are masked",
        "not while the mask holds",
        "remove the mask; weights regrown where the gradient is largest win back a part",
    ),
    Kind(
        "emptied", *look("emptied"),
        "all weights of the layer are held at zero, so nothing passes it in either direction",
        "one threshold over all layers, or scores that are taken once for all that is removed",
        "share of masked weights in the layer: all of them",
        "not while the mask holds",
        "give the layer its weights back, and prune by a share for each layer, or in rounds with "
        "the scores taken anew",
    ),
    Kind(
        "held", *look("held"),
        "single weights are written back to their value after every step",
        "a decision: the weights of lowest, or of highest, Fisher information",
        "share of weights that a lock holds",
        "not while the lock holds",
        "release the lock",
    ),
    Kind(
        "dead", *look("dead"),
        "units whose activation has derivative zero on all the data",
        "a step that was too large, or bad luck at the start",
        "derivative exactly zero on every sample and position",
        "in the first layer never; higher up, only if the layers below change their inputs",
        "re-initialise the units (incoming weights, optimizer state) and lower the rate; "
        "BatchNorm before the activation opens it too, and from the start prevents most of it",
    ),
    Kind(
        "saturated", *look("saturated"),
        "units on the flat part of their activation",
        "weights or inputs too large for the activation",
        "absolute derivative below delta",
        "slowly: a small gradient is left",
        "rescale or re-initialise the incoming weights; a new activation needs them rescaled as "
        "well (swap_activations does it), or training diverges; BatchNorm before it ends the "
        "flatness, but weights that are too large stay slow",
    ),
    Kind(
        "constant", *look("constant"),
        "units whose output is the same for all the data, though their input varies",
        "a lock below, or incoming weights near zero",
        "range of the output over the data",
        "yes, if a gradient reaches their incoming weights",
        "re-initialise the incoming weights",
    ),
    Kind(
        "collapsed", *look("collapsed"),
        "the positions of a sequence have become the same, and what tells them apart is gone",
        "attention without a way round it: each layer averages, and differences shrink ever faster",
        "spread over the positions against the norm, below 1e-6",
        "hardly: where all positions are the same, queries and keys get no gradient",
        "residual connections around attention",
    ),
    Kind(
        "unused", *look("unused"),
        "codes of a codebook, or experts, that no choice of the network falls on",
        "a start far from the data, or a winner that takes all: what is chosen learns, and wins",
        "rows, or experts, without any gradient beside others that have one",
        "by chance alone, if the data or what is computed from them move towards it",
        "restart the codes at outputs of the encoder; for experts, a loss that balances the load, "
        "or noise on the router",
    ),
    Kind(
        "zeroed", *look("zeroed"),
        "all weights of the layer are zero, so nothing passes it in either direction",
        "zeros at the start on both sides of a product",
        "norm of the weights",
        "no, for no gradient reaches it; zeros that one reaches open by themselves: no lock",
        "initialise the weights; in a low-rank adapter, never both factors at zero",
    ),
    Kind(
        "vanishing", *look("vanishing"),
        "the gradient shrinks from layer to layer on its way to the input",
        "depth, with a factor below one in each layer",
        "gradient norm against that of the whole network, and update ratio of the optimizer",
        "hardly: the layers above must change first",
        "BatchNorm or residual connections, or an initialisation made for the activation (He for "
        "ReLU, Glorot for tanh); an optimizer that divides by the gradient's scale, such as Adam, "
        "moves the layer nevertheless",
    ),
    Kind(
        "heavy", *look("heavy"),
        "weights before a norm layer, too large for a step to turn: their size counts for nothing, "
        "and the gradient falls as it grows",
        "a large start, or growth: each step along such a gradient makes the weights longer",
        "gradient at right angles to the weights, and angle of the next step against other layers",
        "slowly, where weight decay makes them smaller; else hardly",
        "weight decay, or smaller weights: the norm layer takes their scale away in any case",
    ),
    Kind(
        "inactive", *look("inactive"),
        "latents that the loss holds at their prior, so they carry nothing (posterior collapse)",
        "a prior that costs more than a latent is worth: its share of the data is below the noise",
        "KL divergence from the prior, latent by latent, near zero: yours to measure",
        "not while the loss stays: a gradient is there, and pulls them back",
        "a smaller variance of the decoder, or less weight on the KL term (annealed, free bits)",
    ),
    Kind(
        "no_signal", *look("no_signal"),
        "the gradient that arrives is exactly zero",
        "a loss that is flat at this point",
        "gradient exactly zero on every batch",
        "only if data or loss change",
        "look for a loss that is flat at this point (clipped, satisfied hinge, rounded)",
    ),
    Kind(
        "nonfinite", *look("nonfinite"),
        "NaN or infinity in parameters, outputs, loss or gradients; every other number is void",
        "a rate too high, the logarithm of zero, or overflow",
        "number of values that are not finite",
        "never by training on",
        "go back to the last finite state; lower the rate, clip gradients, or mend the operation "
        "named as origin",
    ),
)  # fmt: skip

KINDS: dict[str, Kind] = {kind.name: kind for kind in _ROWS}
"""{name: the row}. A certificate looks for each of them but `inactive`: the loss is a function that
it cannot look into, and a latent at its prior has a gradient like any other.
"""

OF_DATA = "change the data, or what is done to them before the first layer: no weight makes them"

LESSONS: dict[str, str] = {}
"""{kind: the lesson to read}. Empty until a course hands in its own: the library has none."""


@dataclass(frozen=True)
class Lock:
    """A reason why a part of the network does not learn, with the number that shows it.

    `place`: path of the module, or name of the parameter, where the lock has its origin; or one of
    `INPUT`, `LOSS` and `MODEL`, which are no paths (`records.Pseudo`). Where many places that
    differ in numbers alone are frozen, one lock sums them up, and a `*` stands for the numbers.
    `layers`: the layers that lie there, none at the input and the loss. `value` is the number that
    `evidence` states in words; `units` are the indices of the locked units, where the lock is one
    of units. `backward` and `forward` are the layers and parameters that are locked only because of
    this one.
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
    layers: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """Kind and place in words, such as "dead at layers.1"."""
        return f"{self.kind} at {place_name(self.place)}"

    @property
    def key(self) -> str:
        """How to open it."""
        return OF_DATA if self.place == INPUT else KINDS[self.kind].key

    @property
    def lesson(self) -> str:
        """The lesson to read; empty where no course has handed one in."""
        return LESSONS.get(self.kind, "")

    def to_dict(self) -> dict[str, Any]:
        """The lock as plain data, key and lesson included."""
        place = {"place": str(self.place), "pseudo": isinstance(self.place, Pseudo)}
        return {**asdict(self), **place, "key": self.key, "lesson": self.lesson}


def lock(
    kind: str,
    place: str,
    evidence: str,
    value: float,
    cause: str = "",
    opens: str = "",
    **where: tuple[Any, ...],
) -> Lock:
    """A lock at the layer `place`; what is not said specially comes from the table `KINDS`."""
    row = KINDS[kind]
    where.setdefault("layers", () if isinstance(place, Pseudo) else (place,))
    return Lock(
        kind, place, evidence, value, cause or row.mechanism, opens or row.reversible, **where
    )
