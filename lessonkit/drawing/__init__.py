"""Networks drawn as chains of layers, with what is locked in them.

    draw(chain([784, 128, 10], frozen=["W1"]), "Only the head learns").show()
    draw(paramlock.certificate(model, data, loss)).show()
    play([draw(chain([2, 6, 1], dead={"W1": units})) for units in epochs], label="Epoch")

A drawing comes from a description or from a certificate. Locks have the colours and the letters of
the lock table, the alternative text is made from the same data, and `locked_nodes` says what is
drawn locked.
"""

from lessonkit.drawing.drawing import Drawing, draw, locked_nodes
from lessonkit.drawing.network import Layer, chain
from lessonkit.drawing.playing import play

__all__ = ["Drawing", "Layer", "chain", "draw", "locked_nodes", "play"]
