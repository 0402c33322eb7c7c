"""The process in which harvested answers run: reads requests, observes, writes observations.

It judges nothing and is believed in nothing but what it observed. Run by `grader.runner` as
`python -m grader.candidate`; frames on standard input and output, see `read_frame`.
"""

from __future__ import annotations

import linecache
import os
import struct
import sys
from collections.abc import Callable, Sequence
from itertools import product
from types import ModuleType
from typing import IO, Any

import msgspec
import numpy as np

from grader import registry
from grader.evidence import Observations, Raised, Seen, decode, encode
from grader.run import candidates_frames, observations

FRAME_LIMIT = 64_000_000  # bytes; far more than any evidence
PLAIN = {type(None), bool, int, float, str, np.ndarray, list, dict}
DEPTH_LIMIT = 32  # lists and dicts within one another
ITEMS_LIMIT = 500_000  # in all lists and dicts; arrays hold the rest
WORDS_LIMIT = {"kind": 100, "message": 2_000, "trace": 20_000}  # characters of what was raised


class Request(msgspec.Struct):
    """Run the answer made of these statements to this exercise, in these cases."""

    exercise: str
    statements: list[str]
    cases: dict[str, dict[str, Any]]


class Reply(msgspec.Struct):
    observations: Observations


def read_frame(stream: IO[bytes]) -> bytes | None:
    """A frame: its length in four bytes, then its bytes. None at the end of the stream."""
    head = stream.read(4)
    if len(head) < 4:
        return None
    (length,) = struct.unpack(">I", head)
    if length > FRAME_LIMIT:
        raise ValueError(f"a message of {length} bytes is larger than {FRAME_LIMIT}")
    body = stream.read(length)
    return body if len(body) == length else None


def write_frame(stream: IO[bytes], frame: bytes) -> None:
    stream.write(struct.pack(">I", len(frame)) + frame)
    stream.flush()


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
        words = getattr(observation, field)[:limit]
        setattr(observation, field, "".join(c for c in words if c.isprintable() or c in "\n\t"))
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
