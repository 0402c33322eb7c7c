"""Pretrained networks that the course brings itself, and how they were trained.

model = pretrained()                      # a thin residual network, trained on animals
python -m lessonkit.bodies.train          # trains it again, in a minute
"""

from lessonkit.bodies.resnet import ResNet
from lessonkit.bodies.weights import pretrained, provenance

__all__ = ["ResNet", "pretrained", "provenance"]
