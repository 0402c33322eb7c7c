"""What the parts of an exercise hand to one another, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Candidate = Callable[..., Any]
"""An answer to an exercise: the reference, a specimen, or what a learner wrote."""

Part = Callable[..., Any]
"""A part of the right answer in parts; a belief puts another in its place."""

Evidence = Any
"""What a candidate showed in one case, as plain data (see `grader.judging.evidence`)."""

Inputs = Mapping[str, Any]
"""One case: the arguments by name, as plain data."""

Challenge = Mapping[str, Inputs]
"""Named cases. The names are read by learners: 'tied weights', 'one sample'."""

Finding = tuple[bool, str]
"""Whether a case bears a claim out, and the words for what was seen."""
