"""The sandbox for answers of people you do not know; see `grader.sandbox.sandbox`."""

from grader.sandbox.box import Broken
from grader.sandbox.inside.limits import Limits
from grader.sandbox.sandbox import Measured, Sandbox, Unavailable

__all__ = ["Broken", "Limits", "Measured", "Sandbox", "Unavailable"]
