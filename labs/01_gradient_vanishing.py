# %% [markdown]
# # Lab 01: Vanishing gradients
#
# You measure whether a gradient arrives, whether a layer moves, and how far a signal carries. Every
# exercise rests on a section of [the lesson](../lessons/01_gradient_vanishing.ipynb); do them in
# any order.
#
# Write your code in place of `raise NotAttempted`, run the cell, then run the `check` cell under
# it. The answer to a check is what your code *did*: numbers, names of parameters, perhaps a belief
# that would explain them, and a question. `hint(name_of_the_function)` gives one hint a call.
# Nothing is hidden: grading asks for the same, with other numbers. A check that never ends is
# stopped with the square button above.

# %%
import math

import jax
import jax.numpy as jnp
import numpy as np
import torch

from grader import NotAttempted, check, hint

# %% [markdown]
# ## To begin
#
# One idea, five minutes.

# %% exercise="error_signal_left"

# %% [markdown]
# ## Part A: does a gradient arrive?
#
# The relative gradient of a part, once in PyTorch and once on a JAX pytree. Then the locks of a
# whole model, and norms that survive any precision.

# %% exercise="relative_gradient"

# %% exercise="relative_gradient_tree"

# %% exercise="locked_parameters"

# %% exercise="log10_gradient_norms"

# %% [markdown]
# ## Part B: does the layer move?
#
# A gradient is a wish. The optimizer grants it, enlarges it or rounds it away.

# %% exercise="update_ratios"

# %% [markdown]
# ## Part C: how far does a signal carry?
#
# Choose weights that keep it from layer to layer, and find the step at which a recurrent network
# has lost it.

# %% exercise="preserving_stds"

# %% exercise="gradient_horizon"
