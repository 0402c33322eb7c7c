"""Feedback in words: one form for a terminal, one for a notebook.

First the tally, then for each claim that is not met what was expected and what was seen, perhaps
the belief behind it, last a question. A traceback, and what the answer printed, are folded away.
"""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html import escape

from grader.judging.judge import Outcome, Report

FOLDED = ("Traceback", "Printed")
PRINTED = 2_000  # letters of what an answer printed
NEUTRAL, GOOD, OPEN = "#999999", "#009E73", "#E69F00"  # Okabe-Ito; the words carry the meaning


@dataclass(frozen=True)
class Feedback:
    """A report with its note, shown as HTML in a notebook and as text elsewhere.

    `printed` is what the answer printed, by case. `so_far` says after a pass what of
    the lab is done.
    """

    report: Report
    note: str = ""
    printed: Mapping[str, str] = field(default_factory=dict)
    so_far: str = ""

    def __str__(self) -> str:
        return as_text(self, shutil.get_terminal_size().columns)

    def __repr__(self) -> str:
        return as_text(self)  # of one width, for notebooks store it

    def _repr_html_(self) -> str:
        return as_html(self)


def tally(report: Report) -> str:
    """The first line: how many claims and points."""
    if report.missing:
        return f"not found. {report.missing}"
    if report.verdict == "not attempted":
        return (
            "not attempted yet. Put your code in place of `raise NotAttempted`, run that cell, "
            f"then this one. For a first step: hint({report.exercise})"
        )
    claims = len(report.outcomes)
    met = sum(outcome.verdict == "met" for outcome in report.outcomes)
    how_many = f"all {claims}" if met == claims else f"{met} of {claims}"
    return f"{how_many} claims met, {report.earned} of {report.possible} points."


def unmet(report: Report) -> list[Outcome]:
    """The claims to talk about; of several with the same cause the first stands for all."""
    if report.verdict == "not attempted":
        return []
    told: dict[tuple[str, str], Outcome] = {}
    for outcome in report.outcomes:
        if outcome.verdict != "met":
            told.setdefault(_cause(outcome), outcome)
    return list(told.values())


def _cause(outcome: Outcome) -> tuple[str, str]:
    """What was seen in a case; of an error its kind and the lines that led to it, in any case."""
    if outcome.verdict == "raised" and outcome.trace:
        return outcome.seen.partition(":")[0], outcome.trace
    return outcome.case, outcome.seen


def question(report: Report) -> str:
    """The last line. The belief's question where there is a belief, else the first claim's."""
    if report.belief:
        return report.belief.question
    return next((outcome.question for outcome in unmet(report)), "")


def sight(outcome: Outcome) -> str:
    """What was seen, and in which case."""
    verb = "your code raised " if outcome.verdict == "raised" else ""
    return f"{verb}{outcome.seen} ({outcome.case})"


def as_text(feedback: Feedback, columns: int = 80) -> str:
    """Plain text, wrapped to a terminal of so many columns."""
    return "\n".join(_wrapped(feedback, max(40, min(100, columns))))


def _wrapped(feedback: Feedback, width: int) -> Iterator[str]:
    for label, words in _paragraphs(feedback):
        if label in FOLDED:
            yield textwrap.indent(f"{label}:\n{words.rstrip()}", "    ")
            continue
        start = f"{label}: "
        yield textwrap.fill(start + words, width, subsequent_indent=" " * min(len(start), 10))


def _paragraphs(feedback: Feedback) -> Iterator[tuple[str, str]]:
    """Label and words of each paragraph, in the order in which they are read."""
    report = feedback.report
    yield report.exercise, tally(report)
    for outcome in unmet(report):
        yield "Expected", outcome.claim
        yield "Seen", sight(outcome)
        if outcome.trace:
            yield "Traceback", outcome.trace
    if report.belief:
        yield "Perhaps you believe", report.belief.belief
        yield "Why it fails", report.belief.fails
    if question(report):
        yield "Question", question(report)
    if report.verdict == "met" and feedback.note:
        yield "Note", feedback.note
    if feedback.printed:
        yield "Printed", _prints(feedback)
    if feedback.so_far:
        yield "So far", feedback.so_far


def _prints(feedback: Feedback) -> str:
    """What the answer printed in one case: the one that is talked about, else the first."""
    cases = [*(outcome.case for outcome in unmet(feedback.report)), *feedback.printed]
    case = next(case for case in cases if case in feedback.printed)
    text = feedback.printed[case].rstrip()
    cut = text if len(text) <= PRINTED else f"{text[:PRINTED]}\n[...]"
    others = len(feedback.printed) - 1
    where = f"({case}{f'; {others} other cases print too' if others else ''})"
    return f"{cut}\n{textwrap.fill(where, 36)}"  # as narrow as the narrowest terminal


def as_html(feedback: Feedback) -> str:
    """HTML that inherits the page's colours, so that it reads in light and in dark."""
    verdict = feedback.report.verdict
    colour = {"met": GOOD, "not attempted": NEUTRAL}.get(verdict, OPEN)
    body = "".join(_html_paragraph(*paragraph) for paragraph in _paragraphs(feedback))
    return (
        f'<div role="status" data-verdict="{verdict}" '
        f'style="border-left: 5px solid {colour}; padding: 2px 0 2px 12px; max-width: 46em">'
        f"{body}</div>"
    )


def _html_paragraph(label: str, words: str) -> str:
    if label in FOLDED:
        return (
            f"<details><summary>{label}</summary>"
            f'<pre style="white-space: pre-wrap">{escape(words)}</pre></details>'
        )
    return (
        f'<p style="margin: 4px 0"><strong>{escape(label)}:</strong> {as_code(escape(words))}</p>'
    )


def as_code(words: str) -> str:
    """Text between backticks as <code>."""
    parts = words.split("`")
    return "".join(
        f"<code>{part}</code>" if place % 2 else part for place, part in enumerate(parts)
    )
