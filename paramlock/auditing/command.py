"""`python -m paramlock certify`: a certificate in a terminal, and an exit status for a CI."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from paramlock.auditing.declared import Audit, audit
from paramlock.auditing.subject import Unusable, blamed, subject
from paramlock.certifying.certificate import certificate

DECLARED, NOT_DECLARED, UNUSABLE = 0, 1, 2  # exit statuses

TARGET = """\
TARGET is FILE.py:FUNCTION or PACKAGE.MODULE:FUNCTION. The function takes nothing and returns
(model, data, loss), or a mapping of the arguments of paramlock.certificate where more of them are
needed: model, data, loss, optimizer, params, fisher, epsilon, delta.

exit status: 0, no lock but those declared; 1, a lock that was not; 2, nothing could be certified.
"""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise Unusable(f"{message}; see python -m paramlock certify --help")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    try:
        options = _parser().parse_args(arguments)
        judged = _judged(options.target, options.allow)
        print(f"{judged.certificate}\n\n{judged}")
        _write(judged, options)
    except Unusable as error:
        print(f"paramlock: {error}", file=sys.stderr)
        return UNUSABLE
    return DECLARED if judged.passed else NOT_DECLARED


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m paramlock", description="Which parts of a network learn.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    certifying = commands.add_parser(
        "certify",
        help="print a certificate; exit 1 on a lock that was not declared",
        epilog=TARGET,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    certifying.add_argument("target", metavar="TARGET", help="such as checkpoint.py:build")
    certifying.add_argument(
        "--allow",
        metavar="KIND[:PLACE]",
        action="append",
        default=[],
        help="a lock that is meant, such as 'frozen:encoder.*'; may be given again",
    )
    certifying.add_argument("--json", metavar="FILE", type=Path, help="write verdict and numbers")
    certifying.add_argument("--html", metavar="FILE", type=Path, help="write a page to read")
    return parser


def _judged(target: str, allow: Sequence[str]) -> Audit:
    given = subject(target)
    with blamed(f"certifying {target}"):
        try:
            return audit(certificate(**given), allow)
        except (TypeError, ValueError) as error:  # these say what is wrong, and the way out
            raise Unusable(" ".join(str(error).split())) from error


def _write(judged: Audit, options: argparse.Namespace) -> None:
    if options.json:
        _save(options.json, judged.to_json())
    if options.html:
        _save(options.html, judged.to_html(f"Locking report of {options.target}"))


def _save(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise Unusable(f"{path} cannot be written: {error.strerror}") from error
