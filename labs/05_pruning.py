# %% [markdown]
# # Lab 05: Pruning
#
# You count pruned weights, choose them, hold them at zero under any optimizer, and open some of
# them again. Every exercise rests on a section of [the lesson](../lessons/05_pruning.ipynb); do
# them in any order.
#
# Write your code in place of `raise NotAttempted`, run the cell, then run the `check` cell under
# it. The answer to a check is what your code *did*: numbers, counts, perhaps a belief that would
# explain them, and a question. `hint(name_of_the_function)` gives one hint a call. Nothing is
# hidden: grading asks for the same, with other numbers. A first check in JAX takes some seconds,
# since JAX compiles. One that never ends is stopped with the square button above.

# %%
import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import torch
from torch import nn

from grader import NotAttempted, check, hint

# %% [markdown]
# ## To begin
#
# One idea, five minutes.

# %% exercise="pruned_share"

# %% [markdown]
# ## Part A: hold it at zero
#
# One step after which pruned weights are zero, under any optimizer, and nothing is remembered of
# them. In PyTorch you put right what the step has done, in JAX what the update is going to do.

# %% exercise="step_and_hold"

# %% exercise="hold_pruned"

# %% [markdown]
# ## Part B: count, choose, and take your time
#
# How sparse a model is; which weights go, over the whole network or layer by layer; and how many
# of them have gone by a given step.

# %% exercise="sparsity_of"

# %% exercise="keep_largest"

# %% exercise="sparsity_at"

# %% [markdown]
# ## Part C: a start of its own, and a size in bits
#
# What the first weights of a sparse network should be, and what its last ones take on disk.

# %% exercise="sparse_start"

# %% exercise="coded_bits"

# %% [markdown]
# ## Part D: the key
#
# Open those pruned weights again that would help most, at zero and without a memory.

# %% exercise="regrow"
