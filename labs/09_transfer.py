# %% [markdown]
# # Lab 09: Transfer
#
# A pretrained body is a set of locks that you choose. You count what is open, open it by name, by
# depth and by a schedule, hold its BatchNorms, keep what it computes, and train a head: by a closed
# form, and first alone, then with everything. Every exercise rests on a section of
# [the lesson](../lessons/09_transfer.ipynb); do them in any order.
#
# Write your code in place of `raise NotAttempted`, run the cell, then run the `check` cell under
# it. The answer to a check is what your code *did*: numbers, names, perhaps a belief that would
# explain them, and a question. `hint(name_of_the_function)` gives one hint a call. Nothing is
# hidden: grading asks for the same, with other numbers. A first check in JAX takes some seconds,
# since JAX compiles. One that never ends is stopped with the square button above.

# %%
import copy
import math
import types

import jax
import jax.numpy as jnp
import numpy as np
import optax
import torch
from torch import nn
from torch.nn import functional as F

from grader import NotAttempted, check, hint

# %% [markdown]
# ## To begin
#
# One idea, five minutes.

# %% exercise="trainable_share"

# %% [markdown]
# ## Part A: how deep to open
#
# What each depth trains and what a step of it costs, from the sizes of layers alone.

# %% exercise="share_by_depth"

# %% [markdown]
# ## Part B: what to open, and when
#
# Exact paths with stars, an encoder from the output down, and a schedule that tells the optimizer.

# %% exercise="unfreeze_by_name"

# %% exercise="unfreeze_top_down"

# %% exercise="unfreeze_on_schedule"

# %% [markdown]
# ## Part C: what moves without a gradient
#
# A body that stays as it is at inference, whoever calls `train()`.

# %% exercise="keep_in_eval"

# %% [markdown]
# ## Part D: a head on features
#
# What the body makes of each batch, computed once; and a head for a few samples, with a penalty.

# %% exercise="cache_features"

# %% exercise="few_shot_head"

# %% [markdown]
# ## Part E: the head first, then all
#
# Two parts of a training in JAX, with a memory that lasts from the one to the other.

# %% exercise="head_then_all"
