"""A shift of all seeds gives what the shifted seeds would give, in every library."""

import subprocess
import sys
from functools import cache

import pytest

DRAWS = """
import random, numpy, torch, jax
from flax import nnx
from sklearn.model_selection import train_test_split
from numpy.random import RandomState, default_rng
seed = {seed}
random.seed(seed); print(random.random())
numpy.random.seed(seed); print(numpy.random.rand())
print(default_rng(seed).normal(), default_rng([seed, seed]).normal())
print(RandomState(seed).rand())
print(train_test_split(range(9), random_state=seed))
torch.manual_seed(seed); print(torch.rand(1))
torch.random.manual_seed(seed); print(torch.rand(1))
print(torch.rand(1, generator=torch.Generator().manual_seed(seed)))
print(jax.random.normal(jax.random.key(seed)), jax.random.normal(jax.random.PRNGKey(seed)))
print(jax.jit(lambda seed: jax.random.normal(jax.random.key(seed)))(seed))
print(jax.random.normal(nnx.Rngs(seed).params()))
from lessonkit import seeding
seeding.seed_everything(seed); print(random.random(), numpy.random.rand(), torch.rand(1))
"""


@cache
def drawn(seed, before=""):
    code = before + DRAWS.format(seed=seed)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


@pytest.mark.parametrize("by", [0, 101])
def test_a_shift_reaches_every_generator_once(by):
    shifted = drawn(3, f"from lessonkit import seeding\nseeding.shift({by})\n")
    assert shifted == drawn(3 + by)
    same = [one == other for one, other in zip(shifted, drawn(3), strict=True)]
    assert all(same) if by == 0 else not any(same)


def test_what_is_no_number_stays_a_seed():
    code = (
        "import numpy as np\n"
        "from lessonkit import seeding\n"
        "before = np.random.default_rng(np.random.SeedSequence(3)).normal()\n"
        "seeding.shift(101)\n"
        "assert np.random.default_rng(np.random.SeedSequence(3)).normal() == before\n"
        "assert isinstance(np.random.default_rng(None), np.random.Generator)\n"
        "assert isinstance(np.random.RandomState(), np.random.RandomState)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_shift_needs_neither_framework():
    code = (
        "import sys; sys.modules['torch'] = sys.modules['jax'] = None\n"
        "from lessonkit import seeding; seeding.shift(1)"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
