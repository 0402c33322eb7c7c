"""Certificates of JAX models in the ways in which people really train: see docs/practice.md."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen

from paramlock.certifying.certificate import certificate
from paramlock.certifying.records import MODEL

pytestmark = pytest.mark.usefixtures("quick_compilation")

RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((64, 8)).astype("float32"), RNG.integers(0, 3, 64)


def loss(output, target):
    return optax.softmax_cross_entropy_with_integer_labels(output, target).mean()


def apply(params, x):
    return jnp.tanh(x @ params["a"]["kernel"]) @ params["b"]["kernel"]


KERNELS = {
    "a": {"kernel": jnp.asarray(RNG.standard_normal((8, 4)) / 3, "float32")},
    "b": {"kernel": jnp.asarray(RNG.standard_normal((4, 3)) / 2, "float32")},
}
WARM_UP = optax.linear_schedule(0.0, 1e-3, 100)
CLIPPED = optax.chain(optax.clip_by_global_norm(0.0), optax.sgd(1e-3))
FROZEN = optax.partition(
    {"still": optax.set_to_zero(), "moves": optax.adam(1e-3)},
    {"a": "still", "b": "moves"},
)
STILL = {"a": True, "b": False}
CASES = {
    "accumulation": (optax.MultiSteps(optax.adam(1e-3), 4), set()),
    "warm-up from zero": (optax.adam(WARM_UP), {("idle", MODEL)}),
    "a clip to norm zero": (CLIPPED, {("idle", MODEL)}),
    "frozen by label": (FROZEN, {("frozen", "a")}),
    "frozen before Adam": (
        optax.chain(optax.masked(optax.set_to_zero(), STILL), optax.adam(1e-3)),
        {("frozen", "a")},
    ),
    "frozen, accumulated": (optax.MultiSteps(FROZEN, 4), {("frozen", "a")}),
}


@functools.cache
def examined(tx):
    optimizer = (tx, tx.init(KERNELS))
    return certificate(apply, (X, Y), loss, params=KERNELS, optimizer=optimizer)


@pytest.mark.parametrize("case", CASES)
def test_a_zero_update_is_told_by_where_it_comes_from(case):
    tx, expected = CASES[case]
    found = examined(tx)
    assert {(lock.kind, lock.place) for lock in found.locks} == expected, found


def test_accumulated_steps_are_measured_as_the_step_that_they_add_up_to():
    accumulated, _ = CASES["accumulation"]
    once, whole = (examined(tx).measurement.parameters for tx in (accumulated, optax.adam(1e-3)))
    assert [p.update for p in once] == pytest.approx([p.update for p in whole], rel=1e-3)


def test_updates_that_climb_are_noted():
    [note] = examined(optax.masked(optax.adam(1e-3), {"a": False, "b": True})).measurement.notes
    assert "the update of a.kernel is the gradient itself, so training climbs" in note


@jax.tree_util.register_dataclass
@dataclass
class Layer:
    weight: Any
    bias: Any

    def __call__(self, x):
        return x @ self.weight + self.bias


def test_trees_of_other_libraries_keep_their_names_and_their_form():
    weight, bias = jnp.asarray(RNG.standard_normal((8, 3)), "float32"), jnp.zeros(3)
    haiku = {"mlp/~/linear_0": {"w": weight, "b": bias}}

    def run(params, x):
        layer = params["mlp/~/linear_0"]
        return x @ layer["w"] + layer["b"]

    def call(layers, x):
        return layers["first"](x)

    for form, params, names in (
        (run, haiku, ["mlp/~/linear_0.b", "mlp/~/linear_0.w"]),
        (call, {"first": Layer(weight, bias)}, ["first.weight", "first.bias"]),
    ):
        found = certificate(form, (X, Y), loss, params=params)
        assert not found.locks
        assert [p.name for p in found.measurement.parameters] == names


class Noisy(linen.Module):
    @linen.compact
    def __call__(self, x):
        return linen.Dense(3)(linen.Dropout(0.5, deterministic=False)(x))


def test_a_module_that_needs_a_generator_gets_the_hint():
    keys = {"params": jax.random.key(0), "dropout": jax.random.key(1)}
    variables = Noisy().init(keys, X)
    with pytest.raises(ValueError, match=r'rngs=\{"dropout": key\}'):
        certificate(Noisy(), (X, Y), loss, params=variables)

    def noisy(variables, x):
        return Noisy().apply(variables, x, rngs={"dropout": jax.random.key(1)})

    assert certificate(noisy, (X, Y), loss, params=variables).measurement.samples == 64
