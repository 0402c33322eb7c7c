"""The graded exercises of the course: `check` an answer, ask for a `hint`.

An *exercise* is one module in `grader.exercises`. A *candidate* is somebody's answer to it. A
*challenge* is a set of named cases, each a set of inputs. Running a candidate on a challenge gives
*evidence*: plain data about what it did. *Claims* are judged on that evidence alone.
"""

from grader.checking.check import check, hint
from grader.judging.exercise import NotAttempted

__all__ = ["NotAttempted", "check", "hint"]
