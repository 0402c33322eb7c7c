"""The commands `points` and `term`: decisions about points, and the sheet of a term."""

from __future__ import annotations

import argparse
import sys
from typing import Any

import msgspec

from grader.classroom.give_back.letters import letters
from grader.classroom.give_back.term import write_term
from grader.classroom.gradebook.gradebook import Gradebook
from grader.classroom.mark.errors import BatchError
from grader.classroom.mark.lab import Lab, find
from grader.classroom.points import ledger
from grader.classroom.points.ledger import Ledger

DONE, UNUSABLE = 0, 2  # exit statuses
RULES = ("out_of", "best", "grace", "per_day", "at_most")


def points(options: argparse.Namespace) -> int:
    """Add what was decided to the gradebook, then show what holds and how that came about."""
    try:
        lab = find(options.lab)
        with Gradebook(options.gradebook) as gradebook:
            if options.student:
                _decide_for_one(options, lab, gradebook)
            else:
                _decide_for_all(options, lab, gradebook)
            decisions = gradebook.decisions(lab.name)
    except BatchError as error:
        print(error, file=sys.stderr)
        return UNUSABLE
    print(f"Lab {lab.name}: {ledger.in_words(Ledger(decisions).rules)}.")
    print(ledger.trail(decisions) or "Nothing was decided yet.")
    return DONE


def _decide_for_all(options: argparse.Namespace, lab: Lab, gradebook: Gradebook) -> None:
    if options.days is not None or options.add is not None:
        raise BatchError("--days and --add are for one student. Say for whom: --student WHO.")
    before = Ledger.of(gradebook, lab.name).rules
    after = msgspec.structs.replace(before, **_changes(options, lab))
    if after != before:
        ledger.decide(gradebook, lab.name, ledger.RULES, after, options.reason)


def _changes(options: argparse.Namespace, lab: Lab) -> dict[str, Any]:
    """What the options say of rules."""
    changes = {name: getattr(options, name) for name in RULES}
    changes = {name: value for name, value in changes.items() if value is not None}
    if options.due is not None:
        changes["due"] = None if options.due == "none" else options.due
    if options.only is not None:
        changes["only"] = () if options.only == "all" else _exercises(options.only, lab)
    return changes


def _exercises(names: str, lab: Lab) -> tuple[str, ...]:
    asked = tuple(filter(None, (name.strip() for name in names.split(","))))
    if strange := [name for name in asked if name not in lab.names]:
        raise BatchError(
            f"Lab {lab.name} has no exercise {', '.join(strange)}. It has: {', '.join(lab.names)}."
        )
    return asked


def _decide_for_one(options: argparse.Namespace, lab: Lab, gradebook: Gradebook) -> None:
    if _changes(options, lab):
        raise BatchError("Rules are for everybody. Leave --student out, or give --days or --add.")
    if options.days is None and options.add is None:
        raise BatchError("Say what the student gets: --days N, or --add N with a --reason.")
    if options.add is not None:
        if not options.reason:
            raise BatchError("The student reads why. Say it: --reason TEXT.")
        who = ledger.known(gradebook, options.student, lab.name)
        ledger.decide(gradebook, lab.name, ledger.ADJUSTMENT, options.add, options.reason, who)
    if options.days is not None:
        who = _whoever(gradebook, options.student)
        ledger.decide(gradebook, lab.name, ledger.EXTENSION, options.days, options.reason, who)


def _whoever(gradebook: Gradebook, typed: str) -> str:
    """The student; as typed where nothing of theirs is there yet, for an extension comes before."""
    try:
        return ledger.known(gradebook, typed)
    except ledger.Nobody:
        print(
            f"Nobody called {typed} has handed in yet. It will hold for whoever has that number, "
            "or that name as feedback writes it."
        )
        return typed


def term(options: argparse.Namespace) -> int:
    """Write one CSV with all labs of a term."""
    try:
        labs = [find(name.strip()) for name in options.labs.split(",")]
        with Gradebook(options.gradebook, make=False) as gradebook:
            gradebook.remember(str(options.to.resolve()))
            told = {lab.name: list(letters(gradebook, lab, options.keep)) for lab in labs}
        count = write_term(labs, told, options.drop, options.out_of, options.to)
    except BatchError as error:
        print(error, file=sys.stderr)
        return UNUSABLE
    print(f"{count} students, {len(labs)} labs: {options.to}")
    return DONE
