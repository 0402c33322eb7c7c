"""The command `forget`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from grader.classroom.compiled import home
from grader.classroom.forgetting.copies import take_out
from grader.classroom.forgetting.person import person
from grader.classroom.forgetting.search import search
from grader.classroom.gradebook.gradebook import Gradebook
from grader.classroom.mark import draw
from grader.classroom.mark.errors import BatchError
from grader.classroom.points import ledger

GONE, STILL_THERE, UNUSABLE = 0, 1, 2  # exit statuses

NOT_OURS = """\
Not searched, unless named with --also: what you downloaded from the LMS, and what the LMS, mail and
backups hold."""


def forget(options: argparse.Namespace) -> int:
    """Remove a student from gradebook and copies, then search all of it."""
    try:
        with Gradebook(options.gradebook, make=False) as gradebook:
            secret = draw.secret_in(options.secret)[0] if options.secret.exists() else None
            who = person(gradebook, options.student, secret)
            copies = [Path(path) for path in gradebook.copies()]
            for path in copies:
                for words in take_out(who, path):
                    print(words)
            count = gradebook.forget(who.names, who.number)
            ledger.decide(gradebook, "", ledger.FORGOTTEN, 0, "")
            print(f"Took {count} submissions out of {gradebook.name}.")
            places = [*copies, *gradebook.files, home(), *options.also]
        searched = search(who, places)
    except BatchError as error:
        print(error, file=sys.stderr)
        return UNUSABLE
    except OSError as error:
        print(f"{error.filename} cannot be read: {error.strerror}.", file=sys.stderr)
        return UNUSABLE
    print(searched)
    print(NOT_OURS)
    return STILL_THERE if searched.found else GONE
