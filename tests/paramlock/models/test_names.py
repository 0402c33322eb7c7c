"""One name for a parameter, whoever asks, also where a module is called what a collection is."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch
from flax import linen, nnx
from flax.core import FrozenDict
from torch import nn
from torch.nn import functional as F

import paramlock
from paramlock import flax as in_flax
from paramlock.models.frameworks import FORMS, MODELS, form_of, framework_of
from paramlock.models.in_flax import parameter_names

pytestmark = pytest.mark.usefixtures("quick_compilation")


class InTorch(nn.Module):
    """A submodule that is called as linen calls its collection of parameters."""

    def __init__(self):
        super().__init__()
        self.params, self.head = nn.Linear(4, 3), nn.Linear(3, 2)

    def forward(self, x):
        return self.head(self.params(x).relu())


class Body(linen.Module):
    @linen.compact
    def __call__(self, x):
        return linen.BatchNorm(use_running_average=True)(linen.Dense(3, name="params")(x))


class InLinen(linen.Module):
    """The same one step down, for at the top linen itself refuses the name."""

    @linen.compact
    def __call__(self, x):
        return linen.Dense(2, name="head")(linen.relu(Body(name="body")(x)))


class InNnx(nnx.Module):
    def __init__(self):
        self.params = nnx.Linear(4, 3, rngs=nnx.Rngs(0))
        self.head = nnx.Linear(3, 2, rngs=nnx.Rngs(1))

    def __call__(self, x):
        return self.head(nnx.relu(self.params(x)))


def in_jax(outputs, targets):
    return optax.losses.softmax_cross_entropy_with_integer_labels(outputs, targets).mean()


def specimen(kind):
    """(model, what holds its parameters, data, loss, options that name its parameters)."""
    x, y = np.random.default_rng(0).standard_normal((40, 4), np.float32), np.arange(40) % 2
    if kind == "torch":
        model = InTorch()
        return model, model, (torch.from_numpy(x), torch.from_numpy(y)), F.cross_entropy, {}
    if kind == "nnx":
        model = InNnx()
        return model, model, (jnp.asarray(x), jnp.asarray(y)), in_jax, {}
    variables = InLinen().init(jax.random.key(0), x)
    data = jnp.asarray(x), jnp.asarray(y)
    return InLinen(), variables, data, in_jax, {"params": variables}


@pytest.mark.parametrize("kind", ["torch", "linen", "nnx"])
def test_a_module_called_params_has_one_name_everywhere(kind):
    model, source, data, loss, options = specimen(kind)
    weight = "weight" if kind == "torch" else "kernel"
    layer = "body.params" if kind == "linen" else "params"
    fisher = paramlock.fisher_diagonal(model, data, **options)
    assert {f"{layer}.{weight}", f"{layer}.bias", f"head.{weight}"} <= set(fisher)
    found = paramlock.certificate(model, data, loss, fisher=fisher, **options)
    masses = {record.name: record.fisher for record in found.measurement.parameters}
    assert masses == {name: pytest.approx(float(f.sum())) for name, f in fisher.items()}
    assert set(paramlock.parameters_by_name(source)) == set(fisher) == set(masses)
    held = paramlock.choose_entries(source, 0.5, names=[f"{layer}.*"])
    assert set(held) == {f"{layer}.{weight}", f"{layer}.bias"}
    anchored = paramlock.anchor(source)
    moved = {name: array + 1 for name, array in anchored.items()}
    penalty = paramlock.ewc_penalty(source, fisher, moved, strength=2.0)
    assert penalty.item() == pytest.approx(sum(float(f.sum()) for f in fisher.values()), rel=1e-5)


@pytest.mark.parametrize("whole", [True, False], ids=["variables", "collection"])
def test_what_is_held_in_jax_goes_by_the_same_names(whole):
    x = jnp.ones((3, 4))
    variables = linen.Dense(2).init(jax.random.key(0), x)
    params = variables if whole else variables["params"]
    pruned, held = in_flax.prune(params, 0.5)
    assert list(held) == ["kernel"] and jax.tree.structure(pruned) == jax.tree.structure(params)
    optimizer = in_flax.hold(in_flax.freeze(optax.sgd(1.0), "bias"), held)
    gradients = jax.tree.map(jnp.ones_like, params)
    updates, _ = optimizer.update(gradients, optimizer.init(pruned), pruned)
    moves = paramlock.parameters_by_name(updates)
    np.testing.assert_array_equal(moves["kernel"] == 0, held["kernel"])
    assert not moves["bias"].any()


def test_names_of_a_linen_module_are_those_of_its_certificate():
    variables = InLinen().init(jax.random.key(0), jnp.ones((1, 4)))
    assert "batch_stats.body.BatchNorm_0.mean" in parameter_names(variables)
    names = [n for n in parameter_names(variables) if not n.startswith("batch_stats")]
    assert sorted(names) == sorted(paramlock.parameters_by_name(variables))
    assert sorted(names) == sorted(paramlock.parameters_by_name(FrozenDict(variables)))


def test_an_nnx_state_is_not_taken_for_linens_variables():
    state = nnx.state(InNnx(), nnx.Param)
    names = {"params.kernel", "params.bias", "head.kernel", "head.bias"}
    assert set(parameter_names(state)) == set(paramlock.parameters_by_name(state)) == names


TWICE = {"a.b": jnp.ones((2, 2)), "a": {"b": jnp.zeros((2, 2))}}


@pytest.mark.parametrize(
    "ask",
    [
        paramlock.anchor,
        lambda tree: paramlock.choose_entries(tree, 0.5),
        lambda tree: paramlock.fisher_diagonal(
            lambda p, x: x @ p["a.b"] @ p["a"]["b"],
            (jnp.ones((3, 2)), jnp.zeros(3, int)),
            params=tree,
        ),
        lambda tree: paramlock.certificate(
            lambda v, x: x @ v["params"]["a.b"] @ v["params"]["a"]["b"],
            (jnp.ones((3, 2)), jnp.zeros(3, int)),
            in_jax,
            params={"params": tree},
        ),
        lambda tree: in_flax.hold(optax.sgd(0.1), {}).init(tree),
        lambda tree: in_flax.freeze(optax.sgd(0.1), "a").init(tree),
        lambda tree: in_flax.zero_entries(tree, {}),
    ],
)
def test_two_parameters_of_one_name_are_refused(ask):
    with pytest.raises(ValueError, match=r"two parameters are called 'a\.b'"):
        ask(TWICE)


def test_a_key_with_a_dot_in_it_is_a_name_like_another():
    assert list(paramlock.anchor({"a.b": jnp.ones(2), "a": {"c": jnp.ones(2)}})) == ["a.b", "a.c"]


# --- frameworks

SPECIMENS = {"torch": InTorch, "nnx": InNnx, "apply": InLinen, "tree": dict}


@pytest.mark.parametrize("form", FORMS)
def test_each_form_is_told_and_refused_where_it_will_not_do(form):
    model = SPECIMENS[form]()
    assert form_of(model) == form
    assert framework_of(model, form) == ("torch" if form == "torch" else "flax")
    others = [other for other in FORMS if other != form]
    with pytest.raises(TypeError, match=f"model is {type(model).__name__}: pass ") as caught:
        framework_of(model, *others)
    assert all(FORMS[other] in str(caught.value) for other in others)


def test_a_function_is_a_model_together_with_its_parameters():
    assert form_of(len) == "" and form_of(len, params={}) == "apply"
    assert framework_of(len, *MODELS, params={}) == "flax"


def test_a_torch_model_takes_no_parameters_beside_it():
    with pytest.raises(ValueError, match="leave params= out"):
        framework_of(InTorch(), *MODELS, params={})
