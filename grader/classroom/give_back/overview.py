"""The class at a glance: how each exercise went, and which beliefs are behind what went wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from grader.classroom.give_back.letters import Letter
from grader.judging.judge import Verdict

VERDICTS: tuple[Verdict, ...] = ("met", "not met", "raised", "not attempted")


def as_text(letters: Iterable[Letter]) -> str:
    """One line an exercise with so many students for each verdict; below it, beliefs by number."""
    fates: dict[str, Counter[str]] = {}
    beliefs: dict[str, Counter[str]] = {}
    for letter in letters:
        for part in letter.exercises:
            report = part.report
            fates.setdefault(report.exercise, Counter())[report.verdict] += 1
            if report.belief:
                beliefs.setdefault(report.exercise, Counter())[report.belief.belief] += 1
    return "\n".join(_lines(fates, beliefs))


def _lines(fates: dict[str, Counter[str]], beliefs: dict[str, Counter[str]]) -> Iterator[str]:
    width = max(map(len, fates), default=0)
    yield f"{'':{width}}  " + "  ".join(VERDICTS)
    for exercise, counts in fates.items():
        row = "  ".join(f"{counts[verdict]:{len(verdict)}}" for verdict in VERDICTS)
        yield f"{exercise:{width}}  {row}"
    for exercise, held in beliefs.items():
        yield f"\n{exercise}: students who perhaps believe"
        yield from (f"{count:4}  {belief}" for belief, count in held.most_common())
