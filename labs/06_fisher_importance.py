# %% [markdown]
# # Lab 06: Fisher importance
#
# You compute Fisher information in PyTorch, in JAX and by hand, and use it: to keep an old task
# and to choose what to lock. Every exercise rests on a section of
# [the lesson](../lessons/06_fisher_importance.ipynb); do them in any order.
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
from torch.func import functional_call, grad, vmap
from torch.nn import functional as F

from grader import NotAttempted, check, hint

# %% [markdown]
# ## To begin
#
# One idea, five minutes.

# %% exercise="mean_of_squares"

# %% [markdown]
# ## Part A: each sample by itself
#
# The empirical Fisher of a model, in both frameworks, and the two kinds that need no labels of the
# data: the true one, and the one by drawn labels with its error.

# %% exercise="empirical_diagonal"

# %% exercise="empirical_diagonal_tree"

# %% exercise="true_diagonal"

# %% exercise="sampled_error"

# %% [markdown]
# ## Part B: by hand
#
# Where no autograd is needed: a head in closed form, from its inputs and outputs.

# %% exercise="softmax_head_diagonal"

# %% [markdown]
# ## Part C: what it is for
#
# Springs for an old task, and the choice of what to lock within a budget.

# %% exercise="ewc_penalty_and_gradient"

# %% exercise="choose_to_lock"

# %% [markdown]
# ## Part D: one layer, many uses
#
# The diagonal of a layer out of what flowed through it, wherever and however often.

# %% exercise="layer_diagonal"
