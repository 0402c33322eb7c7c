"""What becomes of a call that should be refused, as one text: so that one belief leaves one trace.

The reference's refusal reads "a fitting error", whichever fitting error it raises.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from grader.judging.evidence import plain
from grader.judging.exercise import attempt
from grader.judging.terms import Candidate, Finding

FITTING = "a fitting error"


def refusal(
    candidate: Candidate,
    *arguments: Any,
    fitting: type[Exception] | tuple[type[Exception], ...] = ValueError,
    naming: Sequence[str] = (),
    sparing: Sequence[str] = (),
    returned: Callable[[Any], Any] = plain,
) -> str:
    """How the call ended, to be read after "there was".

    Args:
        candidate: what is called.
        *arguments: what it is called with.
        fitting: the kinds of error that the task asks for.
        naming: texts that the error's message has to hold.
        sparing: texts that it must not hold.
        returned: what to tell of something that was returned in place of an error.
    """
    answer, error = attempt(candidate, *arguments)
    if error is None:
        return f"no error, but {returned(answer)}"
    if not isinstance(error, fitting):
        return _with_article(type(error).__name__)
    missing = [text for text in naming if text not in str(error)]
    more = [text for text in sparing if text in str(error)]
    kinds = fitting if isinstance(fitting, tuple) else (fitting,)
    kind = next(kind for kind in kinds if isinstance(error, kind))
    faults = [f"does not name {' and '.join(missing)}"] if missing else []
    faults += [f"names {' and '.join(more)} as well"] if more else []
    return f"{_with_article(kind.__name__)} that {' and '.join(faults)}" if faults else FITTING


def _with_article(name: str) -> str:
    return f"{'an' if name[0] in 'AEIOU' else 'a'} {name}"


def refused(seen: str) -> Finding:
    """Whether it was refused as asked, and how it ended."""
    return seen == FITTING, f"there was {seen}"
