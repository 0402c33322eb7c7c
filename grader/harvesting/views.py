"""Views of an exercise's reference: the stub that a lab shows, the answer that a solution shows."""

from __future__ import annotations

import ast
import inspect
import sys

from grader.harvesting.slices import Statement, statements, take
from grader.judging.exercise import Exercise


def stub(exercise: Exercise) -> str:
    """Signature and title of the reference over a body that raises `NotAttempted`.

    The task itself stands in the text above it (see `press.specification`).
    """
    source = inspect.getsource(exercise.reference)
    function = ast.parse(source).body[0]
    assert isinstance(function, ast.FunctionDef)
    head = source.splitlines()[function.lineno - 1 : function.body[0].lineno - 1]
    title = f'    """{exercise.title}"""'
    return "\n".join([*head, title, "    raise NotAttempted  # your code instead of this line"])


def answer(exercise: Exercise) -> list[Statement]:
    """The reference and what it needs of its module, in order, imports first."""
    module = inspect.getsource(sys.modules[exercise.reference.__module__])
    return take(statements([module]), exercise.name)
