"""Records leave the watch: real loggers, warnings at a bound, and compiled programs."""

from __future__ import annotations

import math
import warnings
from collections import OrderedDict

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from paramlock import loggers
from paramlock.watching.record import LayerState, Record
from paramlock.watching.watch import watch
from tests.paramlock import zoo


@pytest.fixture
def run():
    torch.manual_seed(0)
    model = zoo.killed(zoo.mlp(nn.ReLU), "2", slice(0, 6))
    return model, torch.optim.SGD(model.parameters(), 0.1)


def trained(model, optimizer, on_record, steps=5, every=2):
    x, y = zoo.vectors()
    with watch(model, optimizer, every=every, on_record=on_record) as seen:
        for _ in range(steps):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
    return seen


def expected(seen, name="paramlock/update/2"):
    """(step, value) of a scalar, by the history."""
    return [(r.step, pytest.approx(loggers.scalars(r)[name], rel=1e-6)) for r in seen.history]


def test_tensorboard_reads_what_was_written(run, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(tmp_path) as writer:
        seen = trained(*run, loggers.to_tensorboard(writer))
    events = EventAccumulator(str(tmp_path)).Reload()
    read = [(event.step, event.value) for event in events.Scalars("paramlock/update/2")]
    assert read == expected(seen) and len(read) == 3
    assert {*events.Tags()["scalars"]} == {*loggers.scalars(seen.history[0])}


def test_wandb_keeps_what_was_logged(run, tmp_path, monkeypatch):
    wandb = pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_SILENT", "true")
    with wandb.init(mode="offline", dir=tmp_path, project="test") as offline:
        seen = trained(*run, loggers.to_wandb(offline))
        offline.log({"loss": 1.0})
        kept = dict(offline.summary)
    assert kept["paramlock/update/2"] == expected(seen)[-1][1]
    assert kept["paramlock/step"] == 4
    assert [*tmp_path.glob("wandb/offline-run-*/*.wandb")]


def test_mlflow_reads_what_was_logged(run, tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    model = nn.Sequential(OrderedDict({"a+b": run[0]}))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's own: it would rather keep a database
        mlflow.set_tracking_uri((tmp_path / "runs").as_uri())
        with mlflow.start_run() as active:
            seen = trained(model, run[1], loggers.to_mlflow(mlflow))
        client = mlflow.MlflowClient()
        history = client.get_metric_history(active.info.run_id, "paramlock/update/a_b.2")
    read = [(metric.step, metric.value) for metric in history]
    assert read == expected(seen, "paramlock/update/a+b.2") and len(read) == 3


# --- warnings


def test_a_bound_that_is_crossed_warns_once_a_layer(run):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        trained(*run, loggers.warn_when("dead > 30 %", "update < 1e-9"), every=1)
    said = [str(warning.message) for warning in caught if "warn when" in str(warning.message)]
    (dead,) = [text for text in said if "at 2 " in text]
    assert dead.startswith("step 0: dead is ") and dead.endswith("(warn when dead > 30 %)")
    share = float(dead.split("dead is ")[1].split("%")[0])
    assert share >= 100 * 6 / 16 - 1


def test_some_looks_in_a_row_must_cross_a_bound():
    warn, states = loggers.warn_when("update > 0.5", looks=2), [1.0, 0.1, 1.0, 1.0, 1.0, 0.1, 1, 1]
    told = []
    for step, update in enumerate(states):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            warn(Record(step, True, {"": LayerState(update=update)}))
        told += [step] * len(caught)
    assert told == [3, 7]


@pytest.mark.parametrize("rule", ["dead", "dead > ", "ded > 3", "dead = 3", "dead > 3 % more"])
def test_a_rule_that_cannot_be_read_is_refused(rule):
    with pytest.raises(ValueError, match="is no rule: write one of gradient, update, dead"):
        loggers.warn_when(rule)


def test_a_listener_that_fails_does_not_end_the_training(run):
    told = []
    with pytest.warns(UserWarning, match=r"on_record broken failed at step \d: ZeroDivision"):
        seen = trained(*run, [broken, told.append])
    assert told == seen.history and len(told) == 3
    with pytest.raises(ValueError, match="on_record is a function of a Record"):
        watch(*run, on_record=["tensorboard"])


def broken(record):
    return 1 / 0


# --- compiled programs


def descent(seen, number):
    """Ten steps of descent in JAX: one step as a function of weights and its number."""
    import jax
    import jax.numpy as jnp

    x = jax.random.normal(jax.random.key(0), (20, 3))

    def loss(weights):
        return jnp.mean(jnp.tanh(x @ weights["a"]["w"]) @ weights["b"]["w"] - 1) ** 2

    def step(weights, count):
        gradients = jax.grad(loss)(weights)
        updates = jax.tree.map(lambda g: -0.1 * g, gradients)
        seen.note(weights, gradients, updates, **({"step": count} if number else {}))
        return jax.tree.map(jnp.add, weights, updates), None

    return step, {"a": {"w": jnp.ones((3, 4)) / 3}, "b": {"w": jnp.ones((4, 1)) / 2}}


def programs():
    import jax
    import jax.numpy as jnp

    def eager(step, weights):
        for count in range(10):
            weights, _ = step(weights, count)

    def compiled(step, weights):
        eager(jax.jit(step), weights)

    def scanned(step, weights):
        jax.lax.scan(step, weights, jnp.arange(10))

    return eager, compiled, scanned


@pytest.mark.parametrize("number", [False, True], ids=["counted", "numbered"])
def test_compiled_programs_tell_the_same_as_a_loop(number, quick_compilation):
    kept = []
    for program in programs():
        told = []
        with watch(every=3, on_record=told.append) as seen:
            program(*descent(seen, number))
        assert told == seen.history
        kept.append(seen.history)
    assert all([record.step for record in history] == [0, 3, 6, 9] for history in kept)
    for history in kept[1:]:
        for one, other in zip(kept[0], history, strict=True):
            for layer in ("a", "b"):
                ours, theirs = one.layers[layer], other.layers[layer]
                assert ours.gradient == pytest.approx(theirs.gradient, rel=1e-4)
                assert ours.update == pytest.approx(theirs.update, rel=1e-4)


def test_tiny_and_infinite_values_keep_their_norm_in_a_program():
    import jax
    import jax.numpy as jnp

    def noted(size):
        tree = {"a": {"w": jnp.full(4, size)}}
        with watch(every=1) as seen:
            jax.jit(seen.note)(tree, tree, tree)
        return seen.history[0]

    assert noted(1e-30).layers["a"].update == pytest.approx(1)
    assert noted(0.0).layers["a"].update == 0
    assert not noted(math.inf).finite and not noted(math.nan).finite
