# %% [markdown]
# # Lab 08: Unlocking
#
# You write the keys: a warm-up, rates for layers, new weights with a clean memory, a swap that
# keeps the function, restarts. At the end you choose one. Every exercise rests on a section of
# [the lesson](../lessons/08_unlocking.ipynb); do them in any order.
#
# Write your code in place of `raise NotAttempted`, run the cell, then run the `check` cell under
# it. The answer to a check is what your code *did*: numbers, names, perhaps a belief that would
# explain them, and a question. `hint(name_of_the_function)` gives one hint a call. Nothing is
# hidden: grading asks for the same, with other numbers. A first check in JAX takes some seconds,
# since JAX compiles. One that never ends is stopped with the square button above.

# %%
import copy
import math

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

# %% exercise="warmup_rate"

# %% [markdown]
# ## Part A: before the lock closes
#
# A warm-up and a fall, right at both ends: a scheduler in PyTorch, a schedule for optax in JAX.

# %% exercise="warm_up"

# %% exercise="warm_up_schedule"

# %% [markdown]
# ## Part B: rates and slopes
#
# Rates that fall layer by layer, with no parameter twice and none forgotten; and another
# activation, at the size that the next layer is used to.

# %% exercise="layerwise_groups"

# %% exercise="swap_activation"

# %% [markdown]
# ## Part C: new weights and a clean memory
#
# Dead units drawn anew, with all that belongs to them: norms, flattened channels, and what the
# optimizer remembers.

# %% exercise="renew_units"

# %% [markdown]
# ## Part D: draw back, restart
#
# Two keys that need no gradient: draw a network back towards a fresh one, and put dead codes on
# data.

# %% exercise="shrink_and_perturb"

# %% exercise="restart_codes"

# %% [markdown]
# ## Part E: choose a key
#
# A network does not learn. Find its lock, open that and nothing else, and train within a budget.

# %% exercise="open_lock"
