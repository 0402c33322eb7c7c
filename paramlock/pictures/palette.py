"""Colours with one meaning each, in all pictures and tables of lessons and library.

What is meant, whatever the chapter, in the colour of the same name (`COLOURS["dead"]`):

    trainable   learns, or is free to: no lock on it
    frozen      meant to stay, and stayed
    moved       meant to stay, and moved (the lock *leaking*)
    dead        derivative zero on every input
    saturated   on the flat part of an activation
    vanishing   its gradient fades on the way down
    pruned      removed on purpose, held at zero
    held        written back to its value after every step
    healthy     the reference: the same network without the lock
    accuracy    how often a network is right, and how much of that is lost
    loss        what training lowers

The other kinds of locks have theirs too: batchnorm, unreached, idle, rounding, constant, zeroed,
no_signal, nonfinite, emptied, unused, collapsed, heavy, inactive. Every lock has a letter beside
its colour, so that nothing is said by colour alone; `ink_on` says in which ink.

What is no meaning of its own gets a style instead, to be unpacked into a plot: `THEORY` for closed
forms, `CHANCE` for guessing, and `ARMS` for the sides of a comparison that stand for nothing above
(two optimizers, two losses), told apart by line and mark.

Most colours are those of Okabe and Ito (2008, https://jfly.uni-koeln.de/color/) and of Tol (2021,
https://personal.sron.nl/~pault/), chosen so that people with any common colour blindness can tell
apart those that meet in one picture.
"""

from __future__ import annotations

from typing import Any, NamedTuple


class Meaning(NamedTuple):
    """What a colour stands for; locks have a letter as well."""

    letter: str
    colour: str
    words: str


MEANINGS = {
    "trainable": Meaning("", "#E69F00", "learns, or is free to"),
    "frozen": Meaning("F", "#0072B2", "meant to stay, and stayed"),
    "moved": Meaning("M", "#D55E00", "meant to stay, and moved"),
    "dead": Meaning("D", "#000000", "derivative zero on every input"),
    "saturated": Meaning("S", "#CC79A7", "on the flat part of the activation"),
    "vanishing": Meaning("V", "#999933", "the gradient fades on the way down"),
    "pruned": Meaning("P", "#009E73", "removed on purpose, held at zero"),
    "emptied": Meaning("E", "#8FD9B6", "all weights of a layer removed"),
    "held": Meaning("H", "#332288", "written back after every step"),
    "batchnorm": Meaning("B", "#56B4E9", "the mode contradicts the freeze"),
    "unreached": Meaning("U", "#8C8C8C", "no path leads here from the loss"),
    "idle": Meaning("I", "#BFBFBF", "the optimizer makes no use of the gradient"),
    "rounding": Meaning("R", "#CC9966", "steps below the weights' resolution"),
    "collapsed": Meaning("T", "#EE6677", "all positions have become the same"),
    "unused": Meaning("K", "#8899DD", "codes or experts that nothing picks"),
    "heavy": Meaning("W", "#661100", "too large for a step to turn"),
    "inactive": Meaning("L", "#004466", "latents that the loss holds at the prior"),
    "constant": Meaning("C", "#A65628", "the same output for all data"),
    "zeroed": Meaning("Z", "#F0E442", "all weights are zero"),
    "no_signal": Meaning("N", "#595959", "the gradient that arrives is zero"),
    "nonfinite": Meaning("X", "#882255", "NaN or infinity"),
    "healthy": Meaning("", "#117733", "the reference, without the lock"),
    "accuracy": Meaning("", "#2A8C82", "how often it is right"),
    "loss": Meaning("", "#AA4499", "what training lowers"),
}
COLOURS = {name: meaning.colour for name, meaning in MEANINGS.items()}

THEORY = {"color": "0.25", "linestyle": ":", "linewidth": 1.6}  # closed forms, never data
CHANCE = {"color": "0.45", "linestyle": "--", "linewidth": 1.2}  # what guessing reaches
ARMS: tuple[dict[str, Any], ...] = (
    {"color": "#3B4A5A", "linestyle": "-", "marker": "o"},
    {"color": "#7C8B9A", "linestyle": "--", "marker": "s"},
    {"color": "#3B4A5A", "linestyle": "-.", "marker": "^", "markerfacecolor": "white"},
)


def look(meaning: str) -> tuple[str, str]:
    """Letter and colour of a meaning."""
    return MEANINGS[meaning][:2]


def ink_on(colour: str) -> str:
    """The ink that is easier to read on a colour `#rrggbb`, "black" or "white".

    Its contrast is at least 4.58:1 on any colour, for the product of both contrasts is 21.
    """
    return "black" if contrast(colour, "#000000") >= contrast(colour, "#FFFFFF") else "white"


def contrast(one: str, other: str) -> float:
    """The contrast of two colours `#rrggbb`, from 1 to 21, as the WCAG 2.2 define it."""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    channels = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    linear = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
