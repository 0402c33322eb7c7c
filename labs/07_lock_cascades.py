# %% [markdown]
# # Lab 07: Lock cascades
#
# You say what a silent layer does to the rest of a network: which outputs become constant, which
# gradients are exactly zero. Every exercise rests on a section of
# [the lesson](../lessons/07_lock_cascades.ipynb); do them in any order.
#
# Write your code in place of `raise NotAttempted`, run the cell, then run the `check` cell under
# it. The answer to a check is what your code *did*: names, numbers, perhaps a belief that would
# explain them, and a question. `hint(name_of_the_function)` gives one hint a call. Nothing is
# hidden: grading asks for the same, with other numbers. One that never ends is stopped with the
# square button above.

# %%
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
# A network of any shape, described by its layers. First what becomes constant.

# %% exercise="constant_outputs"

# %% exercise="zero_gradient_names"

# %% [markdown]
# ## Part B: a lock made by the loss
#
# What each latent of a linear autoencoder will tell, before it is trained.

# %% exercise="active_latents"

# %% [markdown]
# ## Part C: measure it
#
# Silence a module of a model in PyTorch, read its gradients, and leave no trace.

# %% exercise="gradients_behind"

# %% [markdown]
# ## Part D: what stops it
#
# A residual block whose branch may be locked, with BatchNorm in both of its modes, by hand.

# %% exercise="block_gradient"
