# %% [markdown]
# # Lab 02: Dead ReLU
#
# You find dead units, judge which of them can ever wake, and revive one. Every exercise rests on a
# section of [the lesson](../lessons/02_dead_relu.ipynb); do them in any order.
#
# Write your code in place of `raise NotAttempted`, run the cell, then run the `check` cell under
# it. The answer to a check is what your code *did*: numbers, units, perhaps a belief that would
# explain them, and a question. `hint(name_of_the_function)` gives one hint a call. Nothing is
# hidden: grading asks for the same, with other numbers. A first check in JAX takes some seconds,
# since JAX compiles. One that never ends is stopped with the square button above.

# %%
import math

import jax
import jax.numpy as jnp
import numpy as np
import torch
from flax import linen
from torch import nn
from torch.nn import functional as F

from grader import NotAttempted, check, hint

# %% [markdown]
# ## To begin
#
# One idea, five minutes.

# %% exercise="are_dead"

# %% [markdown]
# ## Part A: who is dead?
#
# Ask the derivative, on all the data, under any activation. The same in both frameworks, and then
# once more for a layer that is partly broken.

# %% exercise="find_dead_units"

# %% exercise="find_dead_flax_units"

# %% exercise="dead_fraction"

# %% [markdown]
# ## Part B: before the first step
#
# How likely a network is to be born dead, for any widths, down to the smallest risk.

# %% exercise="born_dead_probability"

# %% [markdown]
# ## Part C: for good?
#
# A dead unit cannot move itself. Whether something else can move it is a question about the layers
# below and the gradient that reaches them.

# %% exercise="dead_for_good"

# %% [markdown]
# ## Part D: a new start
#
# Give one unit fresh weights, leave the network's answers as they are, and let the optimizer forget
# that unit and nothing else.

# %% exercise="revive_unit"
