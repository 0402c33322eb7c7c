"""Colours with one meaning each, in all pictures of lessons and library."""

from __future__ import annotations

COLOURS = {
    "frozen": "#0072B2",  # meant to stay, and stayed
    "trainable": "#E69F00",  # meant to move
    "moved": "#D55E00",  # meant to stay, and moved
    "dead": "#000000",  # a unit whose derivative is zero on every input
    "saturated": "#CC79A7",  # a unit on the flat part of its activation
    "pruned": "#009E73",  # a weight removed on purpose
}
THEORY = {"color": "0.25", "linestyle": ":", "linewidth": 1.6}  # closed forms, never data
