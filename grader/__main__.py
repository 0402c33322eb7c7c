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
    return options.run(options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m grader", description="Exercises, checked.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    listing = commands.add_parser("list", help="list the exercises")
    listing.add_argument("--json", action="store_true", help="everything about each, as JSON")
    listing.set_defaults(run=_list)

    checking = commands.add_parser("check", help="check the answers in notebooks or .py files")
    checking.add_argument("notebooks", nargs="+", metavar="NOTEBOOK", type=Path)
    checking.add_argument("--json", action="store_true", help="reports as JSON")
    checking.add_argument("--seed", type=int, help="draw this challenge, not the public ones")
    checking.set_defaults(run=_check)

    if find_spec("grader.press"):  # a student edition ends here
        _add_authors_commands(commands)
    return parser


def _add_authors_commands(commands: Any) -> None:
    from grader.classroom.options import add_commands

    add_commands(commands)

    beginning = commands.add_parser("new", help="begin a new exercise")
    beginning.add_argument("name", metavar="NAME", help="a verb phrase, such as count_dead_units")
    beginning.add_argument("lesson", metavar="NN", help="the number or stem of its lesson")
    beginning.set_defaults(run=_new)

    releasing = commands.add_parser("release", help="write the student edition: no answers in it")
    releasing.add_argument("folder", metavar="DIR", type=Path)
    releasing.set_defaults(run=_release)

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


def _new(options: argparse.Namespace) -> int:
    from grader.press.author import CannotCreate, create

    try:
        path = create(options.name, options.lesson)
    except CannotCreate as error:
        print(error, file=sys.stderr)
        return UNUSABLE
    print(f"Wrote {path}.")
    print("Write the reference first, then cite it in its lab with one line:")
    print(f'    # %% exercise="{options.name}"')
    print(f"Then: python -m grader weave && python course.py test -k {options.name}")
    return ALL_MET


def _release(options: argparse.Namespace) -> int:
    from grader.press.release import ReleaseError, release

    try:
        release(options.folder)
    except ReleaseError as error:
        print(error, file=sys.stderr)
        return UNUSABLE
    print(f"Wrote the student edition to {options.folder}.")
    return ALL_MET


def _weave(options: argparse.Namespace) -> int:
    from grader.press.bands import record_all
    from grader.press.targets import WeaveError, chosen
    from grader.press.weave import differences, weave_all

    try:
        picked = chosen(options.stems)
        if options.bands:
            record_all(picked)
            return ALL_MET
        if options.check:
            found = [line for target in picked for line in differences(target)]
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
