"""The grader's commands. `python -m grader --help` names them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec

ALL_MET, NOT_ALL_MET, UNUSABLE = 0, 1, 2  # exit statuses

BANK = "a folder of your own exercises, beside those of the course"
WEAVING = """\
Build notebooks from their sources, lessons/*.py and labs/*.py, execute and store them.

What a cell of a source may say after its # %%
  tags=["claim"]                 asserts what the lesson says; learners do not get it
  tags=["fold"]                  its source is folded to its first line, a comment
  tags=["nbval-ignore-output"]   what it shows may differ between machines
  tags=["solution"]              stands in the solution of a lab, and not in the lab
  exercise="name"                stands for an exercise, in a lab

Folded without a tag: the outputs of a cell that calls predict.measured, and the source of one
that calls selfcheck. After each section come links to the exercises that practise it, and at the
end those to the notebooks before and after.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    options = _parser().parse_args(arguments)
    from grader.checking import bank

    try:
        with bank.opened(options.exercises):
            return options.run(options)
    except bank.BadBank as error:
        print(error, file=sys.stderr)
        return UNUSABLE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m grader", description="Exercises, checked.")
    parser.set_defaults(exercises=None)  # of commands that know no bank
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    listing = commands.add_parser("list", help="list the exercises")
    listing.add_argument("--json", action="store_true", help="everything about each, as JSON")
    listing.set_defaults(run=_list)
    _add_bank(listing)

    checking = commands.add_parser("check", help="check the answers in notebooks or .py files")
    checking.add_argument("notebooks", nargs="+", metavar="NOTEBOOK", type=Path)
    checking.add_argument("--json", action="store_true", help="reports as JSON")
    checking.add_argument("--seed", type=int, help="draw this challenge, not the public ones")
    checking.set_defaults(run=_check)
    _add_bank(checking)

    telling = commands.add_parser("status", help="what you have done of each lab, and what is next")
    telling.set_defaults(run=_status)

    going_on = commands.add_parser("next", help="the exercise to go on with")
    going_on.set_defaults(run=_next)

    quizzing = commands.add_parser("quiz", help="ten questions from the lessons you have begun")
    quizzing.set_defaults(run=_quiz)

    resetting = commands.add_parser("reset", help="begin a lab, or an exercise of it, again")
    resetting.add_argument("place", metavar="LAB[:EXERCISE]", help="such as 02 or 02:are_dead")
    resetting.set_defaults(run=_reset)

    if find_spec("grader.press"):  # a student edition ends here
        _add_authors_commands(commands)
    return parser


def _add_authors_commands(commands: Any) -> None:
    from grader.classroom.options import add_commands

    for command in add_commands(commands):
        _add_bank(command)

    beginning = commands.add_parser("new", help="begin a new exercise")
    beginning.add_argument("name", metavar="NAME", help="a verb phrase, such as count_dead_units")
    beginning.add_argument("lesson", metavar="NN", help="the number or stem of its lesson")
    beginning.set_defaults(run=_new)
    _add_bank(beginning)

    releasing = commands.add_parser("release", help="write the student edition: no answers in it")
    releasing.add_argument("folder", metavar="DIR", type=Path)
    releasing.set_defaults(run=_release)
    _add_bank(releasing)

    showing = commands.add_parser("site", help="write the course as a site to read, offline")
    showing.add_argument("folder", metavar="DIR", type=Path, nargs="?", default=Path("build/site"))
    showing.set_defaults(run=_site)

    weaving = commands.add_parser(
        "weave",
        help="build the notebooks and the evidence books",
        description=WEAVING,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    weaving.add_argument("stems", nargs="*", metavar="NN_topic", help="only these (default: all)")
    weaving.add_argument("--check", action="store_true", help="only say what is out of date")
    weaving.add_argument(
        "--force", action="store_true", help="execute all, and overwrite what was worked in"
    )
    weaving.add_argument(
        "--bands",
        action="store_true",
        help="weave nothing, but run lessons over ten seeds and record how far claims hold",
    )
    weaving.set_defaults(run=_weave)
    _add_bank(weaving)

    proving = commands.add_parser("prove", help="hold the laws against your own exercises")
    proving.add_argument("exercises", metavar="DIR", type=Path, help=BANK)
    proving.add_argument("names", nargs="*", metavar="NAME", help="only these (default: all)")
    proving.set_defaults(run=_prove)


def _add_bank(command: argparse.ArgumentParser) -> None:
    command.add_argument("--exercises", metavar="DIR", type=Path, help=BANK)


def _list(options: argparse.Namespace) -> int:
    from grader.checking.catalogue import as_table, entries

    found = entries()
    print(_json(found) if options.json else as_table(found))
    return ALL_MET


def _check(options: argparse.Namespace) -> int:
    from grader.checking.book import NoReference
    from grader.harvesting.cells import Unusable
    from grader.running.notebook import check_notebooks

    try:
        checked = check_notebooks(options.notebooks, options.seed)
        reports = []
        for path, feedback in checked:
            reports.append({"notebook": str(path), **feedback.report.summary()})
            if not options.json:
                print(feedback, end="\n\n")
    except (Unusable, NoReference) as error:
        print(error, file=sys.stderr)
        return UNUSABLE
    if options.json:
        print(_json(reports))
    else:
        earned, possible = (sum(r[key] for r in reports) for key in ("earned", "possible"))
        print(f"In all: {earned} of {possible} points.")
    verdicts = [o["verdict"] for report in reports for o in report["outcomes"]]
    return ALL_MET if all(verdict == "met" for verdict in verdicts) else NOT_ALL_MET


def _status(options: argparse.Namespace) -> int:
    from grader.learning.desk import status

    print(status())
    return ALL_MET


def _next(options: argparse.Namespace) -> int:
    from grader.learning.desk import next_exercise

    print(next_exercise())
    return ALL_MET


def _quiz(options: argparse.Namespace) -> int:
    from lessonkit import quiz

    quiz.in_terminal()
    return ALL_MET


def _reset(options: argparse.Namespace) -> int:
    from grader.learning.resetting import CannotReset, reset

    try:
        print(reset(options.place))
    except CannotReset as error:
        print(error, file=sys.stderr)
        return UNUSABLE
    return ALL_MET


def _new(options: argparse.Namespace) -> int:
    from grader.checking import bank
    from grader.press.author import CannotCreate, create
    from grader.press.targets import ROOT

    own = bank.folder()
    try:
        path = create(options.name, options.lesson, own or ROOT, own=own is not None)
    except CannotCreate as error:
        print(error, file=sys.stderr)
        return UNUSABLE
    print(f"Wrote {path}.")
    print("Write the reference first, then cite it in its lab with one line:")
    print(f'    # %% exercise="{options.name}"')
    print(f"Then: {_how_to_prove(options.name, own)}")
    return ALL_MET


def _how_to_prove(name: str, own: Path | None) -> str:
    if own is None:
        return f"python -m grader weave && python course.py test -k {name}"
    return f"python -m grader weave --exercises {own} && python -m grader prove {own} {name}"


def _release(options: argparse.Namespace) -> int:
    from grader.press.release import ReleaseError, release

    try:
        release(options.folder)
    except ReleaseError as error:
        print(error, file=sys.stderr)
        return UNUSABLE
    own = f", with the exercises of {options.exercises}" if options.exercises else ""
    print(f"Wrote the student edition to {options.folder}{own}.")
    return ALL_MET


def _prove(options: argparse.Namespace) -> int:
    from grader.press.laws.prove import prove

    return ALL_MET if prove(options.names) else NOT_ALL_MET


def _site(options: argparse.Namespace) -> int:
    from grader.press.site.building import SiteError, build

    try:
        count = build(options.folder)
    except SiteError as error:
        print(error, file=sys.stderr)
        return UNUSABLE
    print(f"Wrote {count} pages. Open {options.folder / 'index.html'}")
    return ALL_MET


def _weave(options: argparse.Namespace) -> int:
    from grader.checking import bank
    from grader.press import verdicts
    from grader.press.bands import record_all
    from grader.press.targets import ROOT, WeaveError, chosen
    from grader.press.weave import differences, weave_all

    try:
        root = bank.folder() or ROOT
        picked = chosen(options.stems, root)
        if options.bands:
            record_all(picked)
            return ALL_MET
        if options.check:
            found = [line for target in picked for line in differences(target)]
            found += verdicts.differences() if root == ROOT else []
            print("\n".join(found) or f"All {len(picked)} notebooks agree with their sources.")
            return NOT_ALL_MET if found else ALL_MET
        weave_all(picked, options.force)
    except WeaveError as error:
        print(error, file=sys.stderr)
        return UNUSABLE
    return ALL_MET


def _json(value: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


if __name__ == "__main__":
    sys.exit(main())
