"""Parameter locking: find, prove, use and undo the parts of a network that do not learn.

Two words are used throughout. A parameter is *frozen* when training is meant to leave it
alone, and *trainable* when training is meant to move it. Whether it *moved* is a measurement,
and the two need not agree.

Nothing is imported here, so torch users need no JAX and JAX users need no torch:

- ``paramlock.seeding``: seeds and thread counts, fixed in one place
- ``paramlock.figures``: colours with one meaning each, pictures with alternative text
- ``paramlock.explore``: slider experiments that answer in under 100 ms
"""

__version__ = "0.1.0"
