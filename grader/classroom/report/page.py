"""The report as one page that needs nothing but itself, in light and in dark."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from statistics import median, quantiles

from grader.classroom.give_back.framing import framed
from grader.classroom.give_back.overview import VERDICTS
from grader.classroom.mark.lab import Lab
from grader.classroom.points.rules import number
from grader.classroom.report import charts, measured
from grader.classroom.report.measured import Held, Item, Pair, Result

LISTED = 12  # beliefs, and pairs of them
LITTLE = 0.1  # a discrimination below it is pointed at

STYLE = """\
:root { --accent: #1f5fa8; --track: #8883; --line: #8888 }
@media (prefers-color-scheme: dark) { :root { --accent: #7db3ee } }
body { max-width: 66rem }
h1 { font-size: 1.6rem; margin-bottom: 0 }
h2 { font-size: 1.2rem; margin: 2.2rem 0 .4rem }
p, li { max-width: 46rem }
table { width: 100% }
th, td { text-align: left; padding: .3rem 1rem .3rem 0; border-bottom: 1px solid var(--line) }
th, td { vertical-align: top; font-weight: normal }
thead th { font-weight: bold }
td { font-variant-numeric: tabular-nums }
dl { display: flex; flex-wrap: wrap; gap: .2rem 2.5rem; margin: .8rem 0 }
dd { margin: 0; font-size: 1.5rem }
svg { width: 100%; max-width: 46rem; height: auto }
svg rect { fill: var(--accent) }
svg text { fill: CanvasText; font-size: 14px }
svg .axis { stroke: var(--line) }
.bar { display: inline-block; width: 6rem; height: .8rem; margin-right: .5rem }
.bar { background: var(--track); vertical-align: middle }
.bar span { display: block; height: 100%; background: var(--accent) }
.middle { background: var(--track) linear-gradient(var(--line), var(--line)) 50% / 2px no-repeat }
.stack { display: flex; min-width: 11rem }
.stack span, .key span { color: #fff; text-align: center; min-width: 1.6rem }
.key span { padding: 0 .6rem; margin-right: .5rem; display: inline-block }
.met { background: #17694c } .not-met { background: #a34812 }
.raised { background: #6b4aa0 } .not-attempted { background: #57626d }
.wide { overflow-x: auto }
"""


def as_page(lab: Lab, students: Sequence[Result], older: int) -> str:
    """The whole report."""
    held = measured.beliefs(students, lab)
    found = measured.items(students, lab)
    body = [
        *_head(lab, students, older),
        *_distribution(students),
        *_exercises(found),
        *_beliefs(held, len(students)),
        *_together(measured.pairs(held, len(students) or 1)),
        *_teach_again(held, lab),
        *_help(measured.needing_help(students)),
    ]
    return framed(f"Report on lab {lab.name}", "\n".join(body), STYLE)


def _shares(students: Sequence[Result]) -> list[float]:
    return [one.share for one in students if one.share is not None]


def _head(lab: Lab, students: Sequence[Result], older: int) -> Iterator[str]:
    shares = _shares(students)
    yield f"<h1>Lab {escape(lab.name)}</h1>"
    figures = {
        "Students": str(len(students)),
        "Could not be graded": str(len(students) - len(shares)),
    }
    if older:
        figures["Graded under an earlier version, left out"] = str(older)
    if shares:
        figures["Median"] = _percent(median(shares))
        figures["All points"] = str(sum(share >= 1 for share in shares))
    yield "<dl>"
    yield from (f"<div><dt>{term}</dt><dd>{value}</dd></div>" for term, value in figures.items())
    yield "</dl>"


def _distribution(students: Sequence[Result]) -> Iterator[str]:
    shares = _shares(students)
    yield "<h2>Points</h2>"
    if len(shares) > 1:
        low, middle, high = quantiles(shares, n=4, method="inclusive")
        yield (
            f"<p>A quarter of the class has at most {_percent(low)} of the points, half at most "
            f"{_percent(middle)}, a quarter {_percent(high)} or more. The bars count students.</p>"
        )
    yield charts.distribution(shares)


def _exercises(found: Sequence[Item]) -> Iterator[str]:
    yield "<h2>Exercises</h2>"
    yield (
        "<p>Mean: the share of the exercise's points that the class has; the lower, the harder. "
        "Tells: how closely these points go with those of all other exercises, from -1 to 1. Near "
        "0, whoever does well elsewhere does no better here: read some answers to it.</p>"
    )
    key = "".join(f'<span class="{v.replace(" ", "-")}">{v}</span>' for v in VERDICTS)
    yield f'<p class="key">{key}</p>\n<div class="wide" tabindex="0"><table>\n<thead><tr>'
    for heading in ("Exercise", "Set as, of 5", "Students", "Mean", "Tells"):
        yield f'<th scope="col">{heading}</th>'
    yield "</tr></thead>\n<tbody>"
    yield from map(_exercise, found)
    yield "</tbody></table></div>"


def _exercise(item: Item) -> str:
    tells = item.discrimination
    shown = "too few, or all alike" if tells is None else charts.around_zero(tells, f"{tells:.2f}")
    if tells is not None and tells < LITTLE:
        shown += " <strong>look</strong>"
    return (
        f'<tr><th scope="row">{escape(item.entry.name)}</th><td>{item.entry.difficulty}</td>'
        f"<td>{charts.stacked(item.verdicts)}</td>"
        f"<td>{charts.bar(item.share, _percent(item.share))}</td><td>{shown}</td></tr>"
    )


def _beliefs(held: Sequence[Held], count: int) -> Iterator[str]:
    yield "<h2>What students perhaps believe</h2>"
    if not held:
        yield "<p>No answer behaves as one of the known mistaken beliefs would have it.</p>"
        return
    yield (
        "<p>An answer that fails is compared with wrong answers of which the belief behind is "
        "known. Who is counted here gave one that does the same. That is a reason to ask, and no "
        "proof of what somebody thinks.</p>"
    )
    yield '<div class="wide" tabindex="0"><table>\n<thead><tr><th scope="col">Belief</th>'
    yield '<th scope="col">Exercise</th><th scope="col">Students</th></tr></thead>\n<tbody>'
    for one in held[:LISTED]:
        share = len(one.holders) / count
        yield (
            f"<tr><td>{escape(one.belief)}</td><td>{escape(one.entry.name)}</td>"
            f"<td>{charts.bar(share, str(len(one.holders)))}</td></tr>"
        )
    yield "</tbody></table></div>"
    if len(held) > LISTED:
        yield f"<p>And {len(held) - LISTED} more, each held by as many or fewer.</p>"


def _together(found: Sequence[Pair]) -> Iterator[str]:
    yield "<h2>Beliefs that go together</h2>"
    if not found:
        yield "<p>No two are held by the same students more often than by chance.</p>"
        return
    yield '<div class="wide" tabindex="0"><table>\n<thead><tr><th scope="col">One</th>'
    yield '<th scope="col">The other</th><th scope="col">Hold both</th>'
    yield '<th scope="col">By chance</th></tr></thead>\n<tbody>'
    for pair in found[:LISTED]:
        yield (
            f"<tr><td>{escape(pair.one.belief)}</td><td>{escape(pair.other.belief)}</td>"
            f"<td>{pair.both}</td><td>{pair.by_chance:.1f}</td></tr>"
        )
    yield "</tbody></table></div>"


def _teach_again(held: Sequence[Held], lab: Lab) -> Iterator[str]:
    if not held:
        return
    most = held[0]
    yield "<h2>What to teach again first</h2>"
    yield f"<p>{len(most.holders)} students: <strong>{escape(most.belief)}</strong></p>"
    yield f"<p>Why it fails: {escape(most.fails)}</p>"
    yield f"<p>Ask: {escape(most.question)}</p>"
    yield (
        f"<p>It is taught in <code>lessons/{escape(lab.name)}.ipynb</code>, section "
        f"<em>{escape(most.entry.section)}</em>, and practised in "
        f"<code>{escape(most.entry.name)}</code>.</p>"
    )


def _help(low: Sequence[Result]) -> Iterator[str]:
    yield "<h2>Who needs help</h2>"
    if not low:
        yield "<p>Everybody has half of the points or more.</p>"
        return
    yield "<p>Whoever has less than half of the points, or nothing that could be graded.</p>"
    yield '<div class="wide" tabindex="0"><table>\n<thead><tr><th scope="col">Student</th>'
    yield '<th scope="col">Points</th><th scope="col">What happened</th></tr></thead>\n<tbody>'
    for one in low:
        points = "none" if one.points is None else f"{number(one.points)} of {number(one.out_of)}"
        held = "".join(f"<br>Perhaps believes: {escape(belief)}" for belief in one.beliefs)
        yield (
            f'<tr><th scope="row">{escape(one.name)}</th><td>{points}</td>'
            f"<td>{escape(measured.reasons(one))}{held}</td></tr>"
        )
    yield "</tbody></table></div>"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
