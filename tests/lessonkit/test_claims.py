"""Claims hold or fail where a lesson runs, and are noted where bands are recorded."""

import json
import math

import numpy as np
import pytest
import torch

from lessonkit import claims


@pytest.fixture
def recording():
    claims.record()
    yield
    claims._noted = None


@pytest.mark.parametrize("value", [0.3, 0.5, torch.tensor(0.5), np.float32(0.4), 1])
def test_a_value_between_the_edges_passes(value):
    claims.band("share", value, low=0.3, high=1)
    claims.band("share", value, low=0.3)
    claims.band("share", value, high=1)


@pytest.mark.parametrize("value", [0.2, 0.7, math.nan, math.inf])
def test_a_value_outside_fails_with_name_edges_and_value(value):
    with pytest.raises(AssertionError) as failed:
        claims.band("share of dead units", value, low=0.3, high=0.6)
    words = f"share of dead units: claimed is at least 0.3 and at most 0.6, measured {value}"
    assert str(failed.value) == words


def test_one_edge_is_enough_and_none_is_refused():
    with pytest.raises(AssertionError, match=r"claimed is at most 0.6, measured 1"):
        claims.band("share", 1, high=0.6)
    with pytest.raises(ValueError, match="needs an edge"):
        claims.band("share", 1)


def test_while_recording_claims_are_noted_and_not_asserted(recording):
    claims.band("share", 0.2, low=0.3)
    claims.band("count", torch.tensor(7), low=1, high=9)
    assert json.loads(claims.recorded()) == [
        {"name": "share", "value": 0.2, "low": 0.3, "high": None},
        {"name": "count", "value": 7.0, "low": 1, "high": 9},
    ]
