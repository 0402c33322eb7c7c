"""The graded exercises of the course: `check` an answer, ask for a `hint`, see your `status`.

An *exercise* is one module in `grader.exercises`. A *candidate* is somebody's answer to it. A
*challenge* is a set of named cases, each a set of inputs. Running a candidate on a challenge gives
*evidence*: plain data about what it did. *Claims* are judged on that evidence alone.
"""

from grader.judging.exercise import NotAttempted
from grader.learning.desk import answers, check, hint, status
from grader.learning.desk import next_exercise as next

__all__ = ["NotAttempted", "answers", "check", "hint", "next", "status"]
