"""What is measured of a class: who did how well, how exercises went, which beliefs are held.

Everything is taken from the letters, so that a report says nothing that students were not told.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import StatisticsError, correlation, mean

from grader.checking.catalogue import Entry
from grader.classroom.give_back.letters import Letter
from grader.classroom.give_back.overview import VERDICTS
from grader.classroom.mark.lab import Lab
from grader.judging.judge import Report, Verdict

HALF = 0.5  # of the points; whoever has less is listed
FEW = 5  # students, below which a correlation says nothing
TOGETHER = 2  # students who hold both of two beliefs, for the pair to be listed


@dataclass(frozen=True)
class Result:
    """One student: the share of the points (None where nothing could be graded), and reports."""

    name: str
    number: str
    points: float | None
    out_of: float
    why_none: str
    reports: Mapping[str, Report]

    @property
    def share(self) -> float | None:
        return None if self.points is None or not self.out_of else self.points / self.out_of

    @property
    def beliefs(self) -> list[str]:
        return [report.belief.belief for report in self.reports.values() if report.belief]

    def count(self, verdict: Verdict) -> int:
        return sum(report.verdict == verdict for report in self.reports.values())


@dataclass(frozen=True)
class Item:
    """One exercise: students by verdict, the mean share of its points, and how well it tells.

    `discrimination` is the correlation of an exercise's points with those of all others, from -1
    to 1; None where all did alike or few took part.
    """

    entry: Entry
    verdicts: Mapping[Verdict, int]
    share: float
    discrimination: float | None


@dataclass(frozen=True)
class Held:
    """A belief, why it fails, what leads on, and who holds it."""

    belief: str
    fails: str
    question: str
    entry: Entry
    holders: frozenset[str]


@dataclass(frozen=True)
class Pair:
    """Two beliefs, how many hold both, and how many would by chance."""

    one: Held
    other: Held
    both: int
    by_chance: float


def results(
    letters: Iterable[Letter], lab: Lab, called: Callable[[Letter], tuple[str, str]]
) -> tuple[list[Result], int]:
    """Everybody graded under the lab as it is, by what they are `called`; and how many are not."""
    found, older = [], 0
    for letter in letters:
        if letter.version != lab.version:
            older += 1
            continue
        reports = {part.report.exercise: part.report for part in letter.exercises}
        name, number = called(letter)
        found.append(Result(name, number, letter.points, letter.out_of, letter.unusable, reports))
    return sorted(found, key=lambda one: one.name), older


def items(students: Sequence[Result], lab: Lab) -> list[Item]:
    """All exercises, in the order of the lab."""
    return [_item(entry, students) for entry in lab.entries]


def _item(entry: Entry, students: Sequence[Result]) -> Item:
    taking = [one for one in students if entry.name in one.reports]
    own = [one.reports[entry.name].earned for one in taking]
    rest = [sum(r.earned for n, r in one.reports.items() if n != entry.name) for one in taking]
    counts = Counter(one.reports[entry.name].verdict for one in taking)
    share = mean(own) / entry.points if own else 0.0
    verdicts = {verdict: counts[verdict] for verdict in VERDICTS}
    return Item(entry, verdicts, share, _correlated(own, rest))


def _correlated(own: Sequence[int], rest: Sequence[int]) -> float | None:
    if len(own) < FEW:
        return None
    try:
        return correlation(own, rest)
    except StatisticsError:  # all did alike
        return None


def beliefs(students: Sequence[Result], lab: Lab) -> list[Held]:
    """All beliefs that somebody holds, the most held first."""
    holders: dict[tuple[str, str], set[str]] = {}
    words = {}
    for one in students:
        for name, report in one.reports.items():
            if report.belief:
                holders.setdefault((name, report.belief.belief), set()).add(one.name)
                words[name, report.belief.belief] = report.belief
    entries = {entry.name: entry for entry in lab.entries}
    held = [
        Held(
            text, words[name, text].fails, words[name, text].question, entries[name], frozenset(who)
        )
        for (name, text), who in holders.items()
        if name in entries
    ]
    return sorted(held, key=lambda one: (-len(one.holders), one.belief))


def pairs(held: Sequence[Held], count: int) -> list[Pair]:
    """Beliefs that go together more often than by chance, the most surprising first."""
    found = [
        Pair(one, other, len(one.holders & other.holders), _by_chance(one, other, count))
        for one, other in combinations(held, 2)
    ]
    telling = [pair for pair in found if pair.both >= TOGETHER and pair.both > pair.by_chance]
    return sorted(telling, key=lambda pair: pair.by_chance - pair.both)


def _by_chance(one: Held, other: Held, count: int) -> float:
    return len(one.holders) * len(other.holders) / count


def needing_help(students: Sequence[Result]) -> list[Result]:
    """Whoever has less than half of the points, or nothing that could be graded; least first."""
    low = [one for one in students if one.share is None or one.share < HALF]
    return sorted(low, key=lambda one: (one.share is not None, one.share or 0, one.name))


def reasons(one: Result) -> str:
    """Why somebody is listed: what is missing, and where it goes wrong."""
    if one.why_none:
        return f"Could not be graded: {one.why_none}"
    said = [
        f"{one.count('not attempted')} not attempted" * bool(one.count("not attempted")),
        f"{one.count('raised')} raised an exception" * bool(one.count("raised")),
        f"{one.count('not met')} not met" * bool(one.count("not met")),
    ]
    return ", ".join(filter(None, said)) + "."
