"""Errors that a learner meets by a slip: a notebook shows the sentence, not our code."""

from __future__ import annotations


class Told(Exception):
    """An error whose message says what happened, the cause and the way out."""

    def _render_traceback_(self) -> list[str]:
        """What IPython shows in place of a traceback."""
        return [str(self)]
