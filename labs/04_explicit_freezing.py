# %% [markdown]
# # Lab 04: Explicit freezing
#
# You freeze parts of networks in JAX and in PyTorch, and you prove each time that they did not
# move. Every exercise rests on a section of
# [the lesson](../lessons/04_explicit_freezing.ipynb); do them in any order.
#
# Write your code in place of `raise NotAttempted`, run the cell, then run the `check` cell under
# it. The answer to a check is what your code *did*: numbers, names of parameters, perhaps a belief
# that would explain them, and a question. `hint(name_of_the_function)` gives one hint a call.
# Nothing is hidden: grading asks for the same, with other numbers. The first check takes some
# seconds, since JAX compiles. One that never ends is stopped with the square button above.

# %%
import copy

import jax
import jax.numpy as jnp
import numpy as np
import optax
import torch
from flax import linen, nnx
from jax.tree_util import tree_map_with_path
from torch import nn

from grader import NotAttempted, check, hint

# %% [markdown]
# ## To begin
#
# One idea, five minutes.

# %% exercise="trainable_names"

# %% [markdown]
# ## Part A: a tree of parameters in JAX
#
# A Flax model keeps its parameters in a nested dict. To freeze, swap or erase a part of it you
# reach in at a path, and you leave everything else alone.

# %% exercise="freeze_first_dense"

# %% tags=["solution"]
# Both norms of one run, and what they cannot show: all bits before its step and after.
from grader.instruments.watched_runs import watched_step

x, y = jnp.linspace(-1, 1, 24).reshape(8, 3), jnp.arange(8.0)
(_, after, before), (start, stepped) = watched_step(freeze_first_dense, (0.0, x, y, 0.1))
print(f"norm of the kernel of Dense_0: {before:.4f} before, {after:.4f} after")
kept = [path for path in start if start[path].tobytes() == stepped[path].tobytes()]
print("every bit kept:", ", ".join(kept))

# %% exercise="swap_kernel"

# %% exercise="zero_kernel"

# %% [markdown]
# ## Part B: optimizers that hold still
#
# Zeroed gradients are not enough once an optimizer has a memory or decays weights. Here the
# optimizer itself knows what is frozen, first in optax and then in PyTorch.

# %% exercise="freeze_with_labels"

# %% exercise="take_frozen_step"

# %% [markdown]
# ## Part C: which parameters, and how many
#
# In PyTorch a freeze begins with names. `layer1` is not `layer10`, and a tied weight is one weight.

# %% exercise="freeze_by_path"

# %% exercise="trainable_fraction"

# %% [markdown]
# ## Part D: what moved all the same
#
# The last two are about proof: name what a step moved, and keep BatchNorm's averages still, too.

# %% exercise="what_moved"

# %% exercise="train_head"
