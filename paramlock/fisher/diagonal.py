"""Fisher information: how much each parameter matters to what a network says.

The *diagonal of the Fisher information* of a parameter is the mean, over samples, of the square of
the gradient of one sample's log-likelihood. Squaring comes before averaging: the square of a mean
gradient is another quantity. Three versions differ in whose labels are used (Kunstner, Hennig and
Balles 2019, "Limitations of the empirical Fisher", §2):

- *empirical*: the labels of the data;
- *true*: every label, weighted by the probability that the network gives it, exactly;
- *sampled*: labels drawn from the network, an unbiased estimate of the true one.

A *cotangent* is the gradient of a log-likelihood with respect to the outputs; all versions are
sums of squares over one or several cotangents, so they share everything below the outputs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from paramlock.models.frameworks import MODELS, framework_of

KINDS = ("empirical", "true", "sampled")
LIKELIHOODS = ("categorical", "gaussian")


def fisher_diagonal(
    model: Any,
    data: Iterable[Any],
    *,
    params: Mapping[str, Any] | None = None,
    kind: str = "empirical",
    likelihood: str = "categorical",
    draws: int = 1,
    seed: int = 0,
) -> dict[str, Any]:
    """The diagonal of the Fisher information as {parameter name: array of its shape}.

    Names are those of `parameters_by_name`, and of a certificate.

    Frozen parameters are measured like all others; a parameter shared by several layers is
    measured once, under its first name. The mean is over samples, the first axis of every input:
    a sequence is one sample, and its log-likelihood is the sum over its positions.

    Each layer is measured the cheapest exact way that is known: a dense layer by one product
    of squares (Goodfellow 2015, "Efficient per-example gradient computations"), embeddings by
    their rows, convolutions by patches (in torch also as groups), norm layers and biases by sums.
    Whatever else holds parameters (recurrent layers, packed attention, your own modules) is
    measured sample by sample: exact too, and slower.

    **Batch normalisation and dropout**: the whole model is measured in evaluation mode, that is
    with running statistics and without dropout, whatever mode it is in. In training mode a
    sample's gradient depends on its batch, so per-sample gradients do not exist. Torch models get
    their modes back; parameters, gradients and buffers are not touched. A Flax linen `apply` is
    yours: pass the evaluation-mode arguments in it.

    Args:
        model: a torch `Module`; or an `nnx.Module`; or, with `params`, a linen module or a function
            `apply(params, inputs) -> outputs`.
        data: one `(inputs, targets)` tuple or an iterable of such pairs. `inputs` has the shape
            (n, …), or is a tuple of such arrays for a model that takes several, or a mapping for
            one that takes keywords. Only the empirical kind reads the targets; for the others an
            iterable may also yield bare inputs, and a list of two arrays is two such batches.
        params: the parameters of `apply`: nested dicts of arrays, or linen's variables, of which
            the collection `params` is measured.
        kind: "empirical", "true" or "sampled", see above.
        likelihood: "categorical": outputs are logits (n, …, classes), the classes last, targets
            are whole numbers (n, …). "gaussian": outputs are means with unit variance, targets
            have their shape.
        draws: how many labels to draw for each output, for "sampled".
        seed: of those draws; torch and JAX draw different labels from the same seed.

    Returns:
        Arrays in the parameters' precision, at least float32. Squares below the smallest number
        of that precision become 0: measure a double-precision copy where gradients vanish.

    Raises:
        ValueError: no data, an unknown kind or likelihood, shapes or targets that do not fit, or
            a model that cannot be measured (meta device, batch statistics in evaluation mode).
        TypeError: something that is no model of torch or Flax.
    """
    _require("kind", kind, KINDS)
    _require("likelihood", likelihood, LIKELIHOODS)
    if not isinstance(draws, int) or draws < 1:
        raise ValueError(f"draws is {draws!r}: draw at least one label for each output")
    settings: dict[str, Any] = {
        "kind": kind,
        "likelihood": likelihood,
        "draws": draws,
        "seed": seed,
    }
    if framework_of(model, *MODELS, params=params) == "torch":
        from paramlock.fisher import in_torch

        return in_torch.diagonal(model, data, **settings)
    from paramlock.fisher import in_flax

    return in_flax.diagonal(model, params, data, **settings)


def _require(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"{name} is {value!r}; it must be one of {', '.join(allowed)}")
