# %% [markdown]
# # Lab 19: Flocks
#
# You weigh sheep. There is no lesson to read first.

# %%
from grader import NotAttempted, check, hint

# %% [markdown]
# ## Exercises

# %% exercise="mean_weight"
