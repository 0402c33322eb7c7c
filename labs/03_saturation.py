# %% [markdown]
# # Lab 03: Saturation
#
# You find units on the flat part of their activation, predict how many there will be, see what two
# losses send through a saturated output, look for saturated rows of attention, and bring a layer
# back. Every exercise rests on a section of [the lesson](../lessons/03_saturation.ipynb); do them
# in any order.
#
# Write your code in place of `raise NotAttempted`, run the cell, then run the `check` cell under
# it. The answer to a check is what your code *did*: numbers, units, perhaps a belief that would
# explain them, and a question. `hint(name_of_the_function)` gives one hint a call. Nothing is
# hidden: grading asks for the same, with other numbers. The first check takes some seconds, since
# torch and JAX are loaded and JAX compiles.

# %%
import math

import jax
import jax.numpy as jnp
import torch

from grader import NotAttempted, check, hint

# %% [markdown]
# ## To begin
#
# One idea, five minutes.

# %% exercise="slope_from_output"

# %% [markdown]
# ## Part A: which units are flat
#
# The same question in two frameworks. The activation is a function you have never seen, so no
# formula for its derivative will do.

# %% exercise="find_saturated_units"

# %% exercise="flag_saturated_units"

# %% [markdown]
# ## Part B: how many to expect
#
# No network is run here. The distribution of the weights and the lengths of the inputs are enough.

# %% exercise="predict_saturated_share"

# %% [markdown]
# ## Part C: outputs and attention
#
# Two places where saturation decides what is learned: the last unit before the loss, and the
# softmax that chooses among keys.

# %% exercise="compare_output_gradients"

# %% exercise="find_saturated_rows"

# %% [markdown]
# ## Part D: a key
#
# Last, the repair: unit by unit, in place, and no more than is needed.

# %% exercise="rescale_saturated_units"
