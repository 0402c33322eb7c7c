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
# Nothing is hidden: grading asks for the same, with other numbers.

# %%
import copy

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import torch
from flax import nnx

from grader import NotAttempted, check, hint

# %% exercise="freeze_first_dense"
