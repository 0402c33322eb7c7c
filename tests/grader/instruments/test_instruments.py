"""What exercises observe with sees what it should."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch

from grader.instruments.moves import drift, end_alike, moved
from grader.instruments.optax_state import handed_back, handed_over
from grader.instruments.refusals import refusal, refused
from grader.instruments.snapshots import changed, snapshot
from grader.instruments.torch_cases import built, case
from grader.instruments.torch_memory import changed_beside, entries, held, remembered
from grader.instruments.words import compared, furthest, listed, named_alike

LAYERS = {"body": ["Linear", 3, 4], "norm": ["BatchNorm1d", 4], "head": ["Linear", 4, 2]}


def model(**more):
    return built(case(np.random.default_rng(0), LAYERS, **more))


CHANGES = {
    "mode of norm": lambda m: m.norm.eval(),
    "requires_grad of body.bias": lambda m: m.body.bias.requires_grad_(False),
    "gradient of head.weight": lambda m: setattr(m.head.weight, "grad", torch.zeros(2, 4)),
    "body.weight": lambda m: m.body.weight.data[0, 0].nextafter_(torch.tensor(9.0)),
    "norm.running_mean": lambda m: m.norm.running_mean.zero_(),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_snapshot_sees_every_kind_of_change(what):
    watched = model()
    before = snapshot(watched)
    assert changed(before, watched) == []
    CHANGES[what](watched)
    assert changed(before, watched) == [what]


def test_a_snapshot_of_tensors_sees_another_type_and_a_new_tensor():
    tensors = {"z": torch.tensor([torch.nan, 1.0])}
    before = snapshot(tensors)
    assert changed(before, {"z": tensors["z"].clone()}) == []
    assert changed(before, {"z": tensors["z"].double()}) == ["z"]
    assert "k" in changed(before, tensors | {"k": torch.zeros(1)})


def test_a_case_is_built_as_it_says():
    special = {"with_gradients": ["body"], "in_eval_mode": ["norm"]}
    made = model(frozen=["head", "body.bias"], **special)
    frozen = [name for name, p in made.named_parameters() if not p.requires_grad]
    assert frozen == ["body.bias", "head.weight", "head.bias"]
    assert made.body.weight.grad is not None and made.head.weight.grad is None
    assert made.body.training and not made.norm.training


def test_what_an_optimizer_keeps_is_seen_number_by_number():
    made = model(with_gradients=["head"])
    optimizer = torch.optim.SGD(made.parameters(), lr=0.1, momentum=0.9)
    optimizer.step()
    before = entries(made, optimizer)
    optimizer.state[made.head.weight]["momentum_buffer"][0] = 0
    optimizer.param_groups[0]["lr"] = 0.2
    made.body.bias.requires_grad_(False)
    made.norm.running_mean[0] = 9.0
    after = entries(made, optimizer)
    changes = ["settings of the optimizer", "norm.running_mean", "requires_grad for body.bias"]
    buffer = "momentum_buffer for head.weight"

    def in_the_first_row(name, entries):
        return (np.arange(entries[name].size) < 4).reshape(entries[name].shape) & (name == buffer)

    def nowhere(name, entries):
        return np.zeros(entries[name].shape, bool)

    assert changed_beside(before, after, nowhere) == [*changes, buffer]
    assert changed_beside(before, after, in_the_first_row) == changes
    assert remembered(before, in_the_first_row) > 0 == remembered(after, in_the_first_row)
    assert held(optimizer) == set(made.parameters())


def give_back(x):
    return x


def raise_it(error):
    raise error


@pytest.mark.parametrize(
    ("candidate", "argument", "ending"),
    [
        (give_back, 0.5, "no error, but 0.5"),
        (raise_it, KeyError("no body.first"), "a fitting error"),
        (raise_it, KeyError("no"), "a KeyError that does not name body.first"),
        (raise_it, IndexError("body.first"), "an IndexError"),
    ],
)
def test_a_refusal_is_told_in_words(candidate, argument, ending):
    told = refusal(candidate, argument, fitting=KeyError, naming=["body.first"])
    assert told == ending
    assert refused(told) == (ending == "a fitting error", f"there was {ending}")


def test_arrays_move_by_a_bit_or_in_type():
    before = {name: np.ones(2, np.float32) for name in ("same", "bit", "type", "gone")}
    after = {**before, "bit": np.nextafter(before["bit"], 2), "type": np.ones(2)}
    del after["gone"]
    assert moved(before, after) == ["bit", "gone", "type"]
    assert drift(before, after)["same"] == 0 and np.isnan(drift(before, after)["gone"])
    met, words = end_alike(after, before)
    assert not met and words == "gone ends at nothing, where [1, 1] was expected"


def test_words():
    assert listed([]) == "nothing" and listed(["a", "b"]) == "a, b"
    assert compared(0.5, 0.5, "the share") == (True, "you return 0.5")
    assert compared(0.50011, 0.5, "the share")[1] == "you return 0.5001, the share is 0.5"
    assert named_alike(["a", "b"], ["b", "c"]) == (False, "you leave out c; you name a")
    right = np.array([[1.0, 2.0], [1e4, 4.0]])
    assert furthest(right + np.array([[0, 0.003], [0.9, 0]]), right) == ([1, 2], "2.003", "2")
    assert furthest(np.array([0.0, np.nan]), np.zeros(2)) == ([2], "nan", "0")


def test_an_optax_state_goes_into_a_wrapper_and_comes_back():
    params = {"head": {"kernel": jnp.ones(2), "bias": jnp.ones(2)}, "kernel": jnp.ones(2)}
    optimizer, fresh = optax.adam(0.1), optax.adam(0.1).init(params)
    gradients = jax.tree.map(lambda leaf: leaf * 3, params)
    gradients["kernel"] = jnp.array([5.0, 7.0])
    warm = optimizer.update(gradients, fresh, params)[1]
    inside = handed_over(warm, {"inner": fresh, "mine": jnp.zeros(())})
    back = handed_back(inside, fresh)
    assert jax.tree.structure(back) == jax.tree.structure(warm)
    assert all(map(np.array_equal, jax.tree.leaves(back), jax.tree.leaves(warm)))
