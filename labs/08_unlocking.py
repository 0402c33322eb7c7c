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

from grader import NotAttempted, check, hint

# %% [markdown]
# ## To begin
#
# One idea, five minutes.

# %% exercise="warmup_rate"

# %% [markdown]
# ## Part A: before the lock closes
#
# A warm-up and a fall, in both frameworks, right at both ends.

# %% exercise="warm_up"

# %% exercise="warm_up_schedule"

# %% [markdown]
# ## Part B: draw back, restart
#
# Draw a network back towards a fresh one, so that it can learn again.

# %% exercise="shrink_and_perturb"

# %% exercise="restart_codes"

# %% [markdown]
# ## Part C: rates and slopes
#
# Another activation, with the size that the next layer is used to; and rates that fall layer by
# layer, with no parameter twice and none forgotten.

# %% exercise="swap_activation"

# %% exercise="layerwise_groups"
