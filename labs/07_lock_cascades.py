# %% [markdown]
# # Lab 07: Lock cascades
#
# You say what a silent layer does to the rest of a network: which outputs become constant and which
# gradients are exactly zero, where a cascade begins, and what ends it. Every exercise rests on a
# section of [the lesson](../lessons/07_lock_cascades.ipynb); do them in any order.
#
# Write your code in place of `raise NotAttempted`, run the cell, then run the `check` cell under
# it. The answer to a check is what your code *did*: names, numbers, perhaps a belief that would
# explain them, and a question. `hint(name_of_the_function)` gives one hint a call. Nothing is
# hidden: grading asks for the same, with other numbers. A first check in JAX takes some seconds,
# since JAX compiles. One that never ends is stopped with the square button above.

# %%
import copy
import itertools
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

# %% exercise="silenced_layers"

# %% [markdown]
# ## Part A: upwards and downwards
#
# Networks of any shape, described by their layers. What becomes constant, and which tensors get a
# gradient of exactly zero? You need paper and pencil, and no framework.

# %% exercise="constant_outputs"

# %% exercise="zero_gradient_names"

# %% [markdown]
# ## Part B: measure it
#
# Silence one part of a model, read the gradients, and leave no trace. In PyTorch you have to mind
# what a pass leaves behind, in JAX with respect to what you differentiate.

# %% exercise="gradients_behind"

# %% exercise="gradients_behind_tree"

# %% [markdown]
# ## Part C: where it begins, and what ends it
#
# Read a chain from both of its ends. Then find the shortest skip that leaves the lock in its layer,
# and hand a gradient down through a residual block, with BatchNorm in both of its modes.

# %% exercise="find_origin"

# %% exercise="least_change"

# %% exercise="block_gradient"

# %% [markdown]
# ## Part D: a lock made by the loss
#
# What each latent of a linear autoencoder will tell, before it is trained.

# %% exercise="active_latents"
