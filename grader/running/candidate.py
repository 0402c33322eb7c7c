"""The process in which harvested answers run: reads requests, observes, writes observations.

It judges nothing and is believed in nothing but what it observed. Run by `grader.running.runner` as
`python -m grader.running.candidate`; frames on standard input and output, see `read_frame`.
"""

from __future__ import annotations

import linecache
import os
import sys
from collections.abc import Callable, Sequence
from itertools import product
from types import ModuleType
from typing import Any

import msgspec
import numpy as np

from grader.checking import registry
from grader.judging.evidence import Observations, Raised, Seen, harmless
from grader.judging.run import candidates_frames, observations
from grader.judging.terms import Challenge
from grader.judging.wire import decode, encode, read_frame, write_frame

PLAIN = {type(None), bool, int, float, str, np.ndarray, list, dict}
DEPTH_LIMIT = 32  # lists and dicts within one another
ITEMS_LIMIT = 500_000  # in all lists and dicts; arrays hold the rest
WORDS_LIMIT = {"kind": 100, "message": 2_000, "trace": 20_000}  # characters of what was raised


class Request(msgspec.Struct):
    """Run the answer made of these statements to this exercise, in these cases."""

    exercise: str
    statements: list[str]
    cases: dict[str, dict[str, Any]]

    @classmethod
    def of(cls, exercise: str, statements: Sequence[str], cases: Challenge) -> Request:
        """The request to run an answer in every case of a challenge."""
        plain_cases = {case: dict(inputs) for case, inputs in cases.items()}
        return cls(exercise, list(statements), plain_cases)


class Reply(msgspec.Struct):
    observations: Observations


def observed_in(reply: bytes) -> Observations:
    """What a reply says, whoever wrote it.

    Raises:
        msgspec.DecodeError: it is anything but observations that hold plain data.
    """
    seen = decode(reply, Reply).observations
    if not _is_plain([one.evidence for one in seen.values() if isinstance(one, Seen)]):
        raise msgspec.DecodeError("evidence that is no plain data, too deep or too much of it")
    return _tamed(seen)


def _is_plain(value: Any) -> bool:
    """Whether a value is what `plain` makes, in bounds: msgpack also carries bytes and odd keys."""
    level, items = [value], 1
    for _ in range(DEPTH_LIMIT):
        if not set(map(type, level)) <= PLAIN:
            return False
        lists = [item for item in level if isinstance(item, list)]
        dicts = [item for item in level if isinstance(item, dict)]
        items += sum(len(one) for one in (*lists, *dicts))
        if items > ITEMS_LIMIT or not {type(key) for d in dicts for key in d} <= {str}:
            return False
        level = [item for one in (*lists, *(d.values() for d in dicts)) for item in one]
    return not level


def _tamed(seen: Observations) -> Observations:
    """What was raised with its words cut short, without characters that do things to a terminal."""
    raised = [observation for observation in seen.values() if isinstance(observation, Raised)]
    for observation, (field, limit) in product(raised, WORDS_LIMIT.items()):
        setattr(observation, field, harmless(getattr(observation, field)[:limit]))
    return seen


def load(statements: Sequence[str], name: str) -> Callable[..., Any]:
    """Execute an answer's statements and return the function called `name`.

    A statement that fails is passed over: it may not matter. If the function is not there at the
    end, the first failure is the reason and is raised.
    """
    module = ModuleType("answer")
    sys.modules["answer"] = module
    failure: BaseException | None = None
    for place, source in enumerate(statements):
        try:
            exec(_compiled(source, place), module.__dict__)
        except (Exception, SystemExit) as error:
            failure = failure or error
    if name not in module.__dict__:
        raise failure or NameError(name)
    return module.__dict__[name]


def _compiled(source: str, place: int) -> Any:
    """Code whose lines a traceback can show although it stands in no file."""
    file = f"<answer, part {place + 1}>"
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    return compile(source, file, "exec")


def respond(request: Request) -> Reply:
    try:
        candidate = load(request.statements, request.exercise)
    except (Exception, SystemExit) as error:
        trace = candidates_frames(error.__traceback__)
        raised = Raised(type(error).__name__, str(error), trace)
        return Reply(_tamed(dict.fromkeys(request.cases, raised)))
    exercise = registry.find(request.exercise)
    return Reply(_tamed(observations(exercise, candidate, request.cases)))


def main() -> None:
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what the answer prints must not look like a reply
    while (frame := read_frame(sys.stdin.buffer)) is not None:
        write_frame(replies, encode(respond(decode(frame, Request))))


if __name__ == "__main__":
    main()
