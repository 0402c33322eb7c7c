"""Laws of form: that the words are there, true and kept short, and give nothing away."""

from __future__ import annotations

import ast
import doctest
import importlib
import inspect
import re
from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

from grader.checking import bank, book, catalogue, registry
from grader.harvesting import views
from grader.judging.evidence import Seen, alike, same
from grader.judging.exercise import Claim, Exercise, Misconception, NotAttempted, standing_in
from grader.judging.feedback import Feedback
from grader.judging.judge import judge
from grader.judging.run import observations
from grader.judging.wire import decode, encode
from grader.press.laws.observed import judged, run_now, seen
from grader.press.sources import read
from grader.press.specification import specification
from grader.press.targets import ROOT

MOST_LINES = 330
EXAMPLE_LINES = 8


def stub_is_not_attempted(exercise: Exercise) -> Iterator[str]:
    """The stub that a lab shows is not attempted, and earns nothing."""
    namespace = dict(vars(importlib.import_module(registry.module_of(exercise.name))))
    scope: dict[str, Callable[..., Any]] = {}
    exec(views.stub(exercise), namespace | {"NotAttempted": NotAttempted}, scope)
    shown = seen(exercise, scope[exercise.name], book.PUBLIC_SEEDS)
    report = judge(exercise, shown, book.public(exercise).reference, [])
    told = str(Feedback(report, exercise.note))
    if report.verdict != "not attempted" or report.earned or "not attempted yet" not in told:
        yield f"the stub is {report.verdict}, earns {report.earned} and is told: {told}"


def evidence_travels(exercise: Exercise) -> Iterator[str]:
    """Evidence is the same each time, and inputs and evidence survive the journey as bytes."""
    cases = exercise.cases((0,))
    once, again = (observations(exercise, exercise.reference, cases) for _ in range(2))
    if not same(once, again):
        yield "the reference shows something else each time that it runs"
    for case, observation in once.items():
        if not isinstance(observation, Seen):
            yield f"the reference does not finish the case {case!r}: {observation}"
        elif not alike(observation.evidence, decode(encode(observation), Seen).evidence):
            yield f"{case}: the evidence is no plain data"
    for case, inputs in cases.items():
        if not alike(decode(encode(dict(inputs)), dict), dict(inputs)):
            yield f"{case}: the inputs are no plain data"


def book_is_up_to_date(exercise: Exercise) -> Iterator[str]:
    """The evidence book and the catalogue are what the module makes now."""
    stored = book.stored(exercise)
    source = registry.source_of(exercise.name)
    noted = source and catalogue.stored(source)
    if not stored or not book.agree(stored, run_now(exercise)) or noted != catalogue.of(exercise):
        yield "its evidence book is out of date: run python -m grader weave, with --exercises DIR"


def words_are_there(exercise: Exercise) -> Iterator[str]:
    """Hints, note, minutes, difficulty, and the words of each claim and belief are there."""
    said = {
        "two to four hints": 2 <= len(exercise.hints) <= 4 and all(exercise.hints),
        "a note": bool(exercise.note),
        "minutes": exercise.minutes > 0,
        "frameworks": bool(exercise.frameworks),
        "a difficulty of 1 to 5": exercise.difficulty in range(1, 6),
    }
    yield from (f"it lacks {what}" for what, is_there in said.items() if not is_there)
    for claim in exercise.claims:
        if not (claim.expects.endswith(".") and claim.question.endswith("?") and claim.points > 0):
            yield f"a claim lacks its sentence, question or points: {claim.expects!r}"
    for one in exercise.misconceptions:
        if not (one.belief and one.fails and one.question.endswith("?")):
            yield f"a belief lacks words: {one.belief!r}"


def is_finished(exercise: Exercise) -> Iterator[str]:
    """It has five to twelve beliefs, and nothing in it is still to be done."""
    beliefs = {misconception.belief for misconception in exercise.misconceptions}
    if not 5 <= len(beliefs) <= 12:
        yield f"it has {len(beliefs)} beliefs"
    if "TODO" in inspect.getsource(_module(exercise)):
        yield "there is still a TODO in it"


def example_is_true(exercise: Exercise) -> Iterator[str]:
    """The last section of the task is an example of at most eight lines, true in its lab."""
    task = inspect.cleandoc(exercise.reference.__doc__ or "")
    head, lines = ["", "", *re.split(r"^(\w+):\n", task, flags=re.MULTILINE)][-2:]
    if head != "Example" or len(lines.splitlines()) > EXAMPLE_LINES:
        yield f"the task does not end with an Example: of at most {EXAMPLE_LINES} lines"
        return
    given = imported_in_lab(exercise.lesson) | {exercise.name: exercise.reference}
    finder = doctest.DocTestFinder(recurse=False)
    (example,) = finder.find(exercise.reference, exercise.name, globs=given)
    said: list[str] = []
    if doctest.DocTestRunner().run(example, out=said.append).failed:
        yield "".join(said)


_given: dict[Path, dict[str, Any]] = {}


def imported_in_lab(lesson: str) -> dict[str, Any]:
    """The names that a learner has in a lab before any exercise is answered."""
    source = next((path for path in _places("labs", lesson) if path.exists()), None)
    if source is None:
        return {}
    if source not in _given:
        cells = [cell for cell in read(source) if cell.cell_type == "code"]
        own = [cell.source for cell in cells if not cell.metadata.keys() & {"exercise", "tags"}]
        exec("\n".join(own), names := {})  # type: ignore[var-annotated]
        _given[source] = names
    return dict(_given[source])


def _places(kind: str, lesson: str) -> list[Path]:
    roots = [root for root in (bank.folder(), ROOT) if root]
    return [root / kind / f"{lesson}.py" for root in roots]


def task_holds_no_answer(exercise: Exercise) -> Iterator[str]:
    """Task and stub hold no line of the answer."""
    shown = specification(exercise.reference.__doc__ or "") + views.stub(exercise)
    given = [line for line in lines_of_the_answer(exercise) if line in shown]
    yield from (f"the task or the stub holds a line of the answer: {line}" for line in given)


def lines_of_the_answer(exercise: Exercise) -> set[str]:
    """Its lines of code, but for those that say next to nothing."""
    body = inspect.getsource(exercise.reference).rpartition('"""')[2]
    return {line.strip() for line in body.splitlines() if len(line.strip()) > 15}


def feedback_leads_on(exercise: Exercise) -> Iterator[str]:
    """Feedback on each mistaken belief ends with a question and gives nothing away."""
    for misconception in exercise.misconceptions:
        assert misconception.specimen
        words = str(Feedback(judged(exercise, misconception.specimen), exercise.note))
        if not words.rstrip().endswith("?"):
            yield f"feedback does not end with a question: {words}"
        if re.search(r"\bwrong\b", words, re.IGNORECASE):
            yield f"feedback says wrong: {words}"
        if given := [line for line in lines_of_the_answer(exercise) if line in words]:
            yield f"feedback holds a line of the answer: {given[0]}"


def no_two_specimens_look_alike(exercise: Exercise) -> Iterator[str]:
    """No two beliefs leave the same evidence."""
    beliefs = [misconception.belief for misconception in exercise.misconceptions]
    evidence = zip(beliefs, book.public(exercise).specimens, strict=True)
    for (one, left), (other, right) in combinations(evidence, 2):
        if same(left, right):
            yield f"two beliefs leave the same evidence: {one!r} and {other!r}"


def all_is_part_of_it(exercise: Exercise) -> Iterator[str]:
    """All claims and beliefs that stand in the module are part of its exercise."""
    module = vars(_module(exercise))
    for claim in set(standing_in(module, Claim)) - set(exercise.claims):
        yield f"a claim is not part of the exercise: {claim.expects!r}"
    for belief in set(standing_in(module, Misconception)) - set(exercise.misconceptions):
        yield f"a belief is not part of the exercise: {belief.belief!r}"


def module_is_short(exercise: Exercise) -> Iterator[str]:
    """The module is at most 330 lines long."""
    lines = len(inspect.getsource(_module(exercise)).splitlines())
    if lines > MOST_LINES:
        yield f"the module has {lines} lines, more than {MOST_LINES}"


def functions_are_annotated(exercise: Exercise) -> Iterator[str]:
    """Functions say what they take and give; the reference, whose docstring tells in words, not."""
    tree = ast.parse(inspect.getsource(_module(exercise)))
    tree.body = [node for node in tree.body if getattr(node, "name", "") != exercise.name]
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and not _is_annotated(node):
            yield f"{node.name} does not say what it takes and gives"


def _is_annotated(function: ast.FunctionDef) -> bool:
    own = function.args
    arguments = [*own.posonlyargs, *own.args, *own.kwonlyargs]
    named = [argument for argument in arguments if argument.arg != "self"]
    return function.returns is not None and all(argument.annotation for argument in named)


def section_is_there(exercise: Exercise) -> Iterator[str]:
    """The section that it rests on, if there is one, is a heading of its lesson."""
    texts = [
        p.read_text(encoding="utf-8") for p in _places("lessons", exercise.lesson) if p.exists()
    ]
    if exercise.section and not any(f"# ## {exercise.section}\n" in text for text in texts):
        yield f"no lesson {exercise.lesson} has a section {exercise.section!r}"
    if texts and not exercise.section:
        yield f"it rests on no section of its lesson {exercise.lesson}"


def _module(exercise: Exercise) -> Any:
    return inspect.getmodule(exercise.reference)
