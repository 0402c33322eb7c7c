"""Check all the answers in a notebook: harvest each, run it apart, judge what it did."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from grader.checking import book, registry
from grader.harvesting.cells import Unusable, cells_of, unreadable
from grader.harvesting.modules import with_modules
from grader.harvesting.slices import NotFound, readings, statements
from grader.judging.evidence import Observations, Unattempted
from grader.judging.exercise import Exercise
from grader.judging.feedback import Feedback
from grader.judging.judge import judge
from grader.running.runner import Runner


def check_notebooks(
    paths: Sequence[Path], seed: int | None = None
) -> Iterator[tuple[Path, Feedback]]:
    """Feedback on every exercise of the labs that each notebook answers.

    Raises:
        Unusable: a file cannot be read, or answers no exercise of the course. All files are read
            before the first answer runs.
    """
    notebooks = [Notebook(path) for path in paths]
    with Runner() as runner:
        for notebook in notebooks:
            for exercise in notebook.exercises:
                yield notebook.path, notebook.checked(exercise, runner, seed)


class Notebook:
    """The statements of a notebook, and which exercises they answer."""

    def __init__(self, path: Path) -> None:
        """Raises `Unusable`: the file cannot be read, or answers no exercise."""
        cells = cells_of(path)
        self.path = path
        self.pool = statements(cells)
        self.unread = unreadable(cells)
        self.modules = _beside(path)
        self.exercises = self._asked()

    def _asked(self) -> list[Exercise]:
        """All exercises of every lab that it answers a part of, in the order it answers them."""
        places = {name: i for i, statement in enumerate(self.pool) for name in statement.binds}
        known = [registry.find(name) for name in registry.names()]
        labs = {exercise.lesson for exercise in known if exercise.name in places}
        if not labs:
            raise Unusable(
                f"{self.path} defines no function of any exercise. "
                f"`python -m grader list` names them.{self._unread_words()}"
            )
        asked = [exercise for exercise in known if exercise.lesson in labs]
        return sorted(asked, key=lambda exercise: places.get(exercise.name, len(self.pool)))

    def _unread_words(self) -> str:
        return f" Python cannot read {'; '.join(self.unread)}." if self.unread else ""

    def checked(self, exercise: Exercise, runner: Runner, seed: int | None = None) -> Feedback:
        """Feedback on one exercise."""
        seeds = book.PUBLIC_SEEDS if seed is None else (seed,)
        known, cases = book.evidence(exercise, seeds), exercise.cases(seeds)
        try:
            answers = readings(self.pool, exercise.name)
        except NotFound as error:
            nothing: Observations = {case: Unattempted() for case in cases}
            report = judge(exercise, nothing, known.reference, known.specimens)
            report.missing = f"{error}{self._unread_words()}"
            return Feedback(report)
        reports = []
        for answer in answers:
            sources = with_modules([s.source for s in answer], self.modules)
            seen = runner.observe(exercise.name, sources, cases)
            reports.append(judge(exercise, seen, known.reference, known.specimens))
            if reports[-1].verdict == "met":
                break
        return Feedback(max(reports, key=lambda report: report.earned), exercise.note)


def _beside(path: Path) -> dict[str, str]:
    """The modules in the folder of a notebook that it may import."""
    return {
        other.stem: other.read_text(encoding="utf-8", errors="replace")
        for other in path.resolve().parent.glob("*.py")
        if other.is_file() and other.stem.isidentifier() and other.name != path.name
    }
