# %% [markdown]
# # Lab 10: Frozen networks
#
# You write what a network with frozen mixing is made of: the transform, the bends, the adapter, the
# groups of its recipe, and a permutation that can be learned. Every exercise rests on a section of
# [the lesson](../lessons/10_frozen_networks.ipynb); do them in any order.
#
# Write your code in place of `raise NotAttempted`, run the cell, then run the `check` cell under
# it. The answer to a check is what your code *did*: numbers, places, perhaps a belief that would
# explain them, and a question. `hint(name_of_the_function)` gives one hint a call. Nothing is
# hidden: grading asks for the same, with other numbers. A first check in JAX takes some seconds,
# since JAX compiles. One that never ends is stopped with the square button above.

# %%
import math

import jax
import jax.numpy as jnp
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from grader import NotAttempted, check, hint

# %% [markdown]
# ## To begin
#
# One idea, five minutes.

# %% exercise="count_trainables"

# %% [markdown]
# ## Part A: mixing without a matrix
#
# A width that fits, then the transform of Walsh and Hadamard from its definition, in PyTorch and in
# JAX, with no more memory than the rows themselves need.

# %% exercise="pad_to_power"

# %% exercise="walsh_hadamard"

# %% exercise="walsh_hadamard_compiled"

# %% [markdown]
# ## Part B: undone
#
# A transform that you can only call: is it orthogonal, by how much does it lengthen, and what leads
# back?

# %% exercise="inverse_transform"

# %% [markdown]
# ## Part C: what is learned
#
# Three activations for each channel, right where they bend and far away; and an adapter that
# changes nothing at first and can still learn.

# %% exercise="learned_activation"

# %% exercise="add_adapter"

# %% [markdown]
# ## Part D: the recipe
#
# Three roles, each with its rate and its decay.

# %% exercise="recipe_groups"

# %% [markdown]
# ## Part E: which goes where
#
# A permutation is a choice, and a choice has no slope. Make one that has.

# %% exercise="soft_permutation"
