"""Weights on disk: one file of arrays under the names of `state_dict`, with where they come from.

The file is numpy's, and holds numbers and one text. Nothing in it can be run.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lessonkit.bodies.resnet import ResNet

FILE = Path(__file__).with_name("thin_resnet.npz")
PROVENANCE = "provenance"


def pretrained() -> ResNet:
    """The thin residual network as it was trained on the animals, in evaluation mode."""
    with np.load(FILE) as stored:
        state = {name: torch.from_numpy(stored[name]) for name in stored if name != PROVENANCE}
    model = ResNet()
    model.load_state_dict(state)
    return model.eval()


def provenance() -> dict[str, Any]:
    """On what the weights were trained, how, by which versions, and how well they do."""
    with np.load(FILE) as stored:
        found: dict[str, Any] = json.loads(str(stored[PROVENANCE]))
    return found


def store(model: ResNet, about: dict[str, Any], file: Path = FILE) -> None:
    """Write the weights of a model, and what there is to say about them."""
    arrays: dict[str, Any] = {name: array.numpy() for name, array in model.state_dict().items()}
    arrays[PROVENANCE] = np.array(json.dumps(about))
    np.savez_compressed(file, **arrays)
