"""The laws of a lesson's form: what is asked, measured, checked, folded and claimed.

All lessons hold them; each is shown to fail on a small source that breaks it.
"""

import ast
import re
import symtable
from typing import NamedTuple

import nbformat
import pytest

from grader.press import bands, building, targets, weave
from grader.press.sources import read
from lessonkit.form_widget import CHANGED
from lessonkit.predict import NO_OPTION, TITLE

TARGETS = {target.source.stem: target for target in targets.targets() if target.is_lesson}
RECORDED = [
    "00_welcome",
    "01_gradient_vanishing",
    "02_dead_relu",
    "03_saturation",
    "04_explicit_freezing",
    "05_pruning",
    "06_fisher_importance",
    "07_lock_cascades",
    "08_unlocking",
]
"""The lessons whose bands are recorded; those of the others are still to be."""

each_lesson = pytest.mark.parametrize("stem", TARGETS)

ASKING = {"number", "choice", "order"}
QUESTIONS = 5


class Call(NamedTuple):
    """A call of a lesson's `predict` or `selfcheck`, or of what makes them."""

    cell: int
    function: str
    name: str


def code_of(target):
    return [cell for cell in read(target.source) if cell.cell_type == "code"]


def calls_in(cells):
    """All calls whose first argument is a text, in the order of the cells."""
    for number, cell in enumerate(cells):
        for node in ast.walk(ast.parse(cell.source)):
            if isinstance(node, ast.Call) and (names := texts(node.args[:1])):
                yield Call(number, ast.unparse(node.func), names[0])


def texts(nodes):
    return [node.value for node in nodes if isinstance(node, ast.Constant)]


def of(calls, subject, methods):
    return [call for call in calls if call.function in {f"{subject}.{name}" for name in methods}]


def faults(target):
    """What in the source of a lesson is against the form."""
    cells = code_of(target)
    calls = list(calls_in(cells))
    yield from misnamed(calls, target.source.stem)
    yield from unasked(calls)
    yield from crowded(cells, calls)
    yield from uncounted(calls)
    yield from unsummed(cells, calls)
    yield from unnamed_folds(target)
    yield from bound_anew(target)


def misnamed(calls, stem):
    for maker in ("Predictions", "SelfCheck"):
        if [call.name for call in calls if call.function == maker] != [stem]:
            yield f"there is one {maker}({stem!r})"


def unasked(calls):
    """Every prediction is asked for once, and later measured once."""
    asked = {call.name: call.cell for call in of(calls, "predict", ASKING)}
    measured = {call.name: call.cell for call in of(calls, "predict", ["measured"])}
    times = [call.name for call in of(calls, "predict", [*ASKING, "measured"])]
    for name in sorted(asked.keys() | measured.keys()):
        if times.count(name) != 2 or not asked.get(name, 1e9) < measured.get(name, -1):
            yield f"{name} is asked for once and then measured once"


def crowded(cells, calls):
    """A question has a cell of its own, with at most a figure above it."""
    for subject in ("predict", "selfcheck"):
        places = [call.cell for call in of(calls, subject, ASKING)]
        yield from (f"one question a cell, not {n}" for n in places if places.count(n) > 1)
        for number in set(places):
            last = ast.unparse(ast.parse(cells[number].source).body[-1])
            if not last.startswith(f"{subject}."):
                yield f"a question is the last in its cell, not {last[:40]}"


def uncounted(calls):
    names = [call.name for call in of(calls, "selfcheck", ASKING)]
    if len(names) != QUESTIONS or len(set(names)) != QUESTIONS:
        yield f"there are {QUESTIONS} self-checks, each with a name of its own"


def unsummed(cells, calls):
    """At its end a lesson lists guesses against measurements."""
    ends = [number for number, cell in enumerate(cells) if "predict.summary()" in cell.source]
    if not ends or any(call.cell >= ends[0] for call in of(calls, "predict", ["measured"])):
        yield "predict.summary() comes after all that is measured"


def unnamed_folds(target):
    """The first line of a folded source stays in view."""
    for cell in building.built(target).cells:
        folded = cell.metadata.get("jupyter", {}).get("source_hidden")
        if folded and not re.match(r"# \w", cell.source):
            yield f"a folded cell begins with a comment, not {cell.source[:40]!r}"


def bound_anew(target):
    """A learner runs cells again; so what one has from an earlier cell, no later one replaces."""
    sources = [cell.source for cell in building.built(target).cells if cell.cell_type == "code"]
    cells = [names(source) for source in sources]
    for number, (_, had) in enumerate(cells):
        before, after = cells[:number], cells[number + 1 :]
        for name in sorted(had & bound_in(before) & bound_in(after)):
            yield f"{name} is bound anew after the cell that begins {sources[number][:40]!r}"


def bound_in(cells):
    return {name for bound, _ in cells for name in bound}


def names(source):
    """The names that a cell binds, and those that it has from elsewhere, its functions included."""
    tree = ast.fix_missing_locations(AsGenerators().visit(ast.parse(source)))
    table = symtable.symtable(ast.unparse(tree), "cell", "exec")
    bound = {symbol.get_name() for symbol in table.get_symbols() if symbol.is_assigned()}
    return bound, {name for scope in scopes(table) for name in read_in(scope)} - bound


class AsGenerators(ast.NodeTransformer):
    """Comprehensions as generators. From Python 3.12 on only these have names of their own."""

    def visit_ListComp(self, node):
        self.generic_visit(node)
        return ast.GeneratorExp(node.elt, node.generators)

    visit_SetComp = visit_ListComp

    def visit_DictComp(self, node):
        self.generic_visit(node)
        return ast.GeneratorExp(ast.Tuple([node.key, node.value], ast.Load()), node.generators)


def scopes(table):
    yield table
    for child in table.get_children():
        yield from scopes(child)


def read_in(scope):
    at_top = scope.get_type() == "module"
    seen = (symbol for symbol in scope.get_symbols() if symbol.is_referenced())
    return {symbol.get_name() for symbol in seen if at_top or symbol.is_global()}


def parts_of(output):
    """What an output says: what is printed, or what it says plain and in HTML."""
    data = output.get("data", {})
    parts = output.get("text", ""), data.get("text/plain", ""), data.get("text/html", "")
    return list(filter(None, parts))


def shown(output):
    """An output as text."""
    return "\n".join(parts_of(output))


def tells(notebook):
    """What the stored outputs show that they should not."""
    for cell in (cell for cell in notebook.cells if cell.cell_type == "code"):
        said = "".join(map(shown, cell.outputs))
        if re.search(r"\b(True|False)\b", said):
            yield f"True or False is shown by {cell.source[:60]!r}"
        if CHANGED in said or NO_OPTION in said:
            yield f"nobody has changed {cell.source[:60]!r}, and it says so"
        if cell.metadata.get("jupyter", {}).get("outputs_hidden"):
            first = cell.outputs[0] if cell.outputs else {}
            if {part.strip().partition("\n")[0] for part in parts_of(first)} != {TITLE}:
                yield f"a folded output tells its answer: {shown(first)[:60]!r}"


@each_lesson
def test_a_lesson_has_the_form(stem):
    assert list(faults(TARGETS[stem])) == []


@each_lesson
def test_its_outputs_tell_numbers_and_no_answer_early(stem):
    assert list(tells(nbformat.read(TARGETS[stem].notebook, as_version=4))) == []


@pytest.mark.parametrize("stem", RECORDED)
def test_its_claims_are_recorded_and_hold_with_room(stem):
    record = bands.stored(TARGETS[stem])
    assert all(len(row["values"]) == len(bands.SHIFTS) == 10 for row in record["bands"].values())
    assert bands.problems(record) == []


@pytest.mark.parametrize("stem", TARGETS)
def test_no_record_is_older_than_its_lesson(stem):
    if bands.place(TARGETS[stem]).exists():
        bands.stored(TARGETS[stem])


GOOD = """# %%
from lessonkit.predict import Predictions
from lessonkit.selfcheck import SelfCheck

predict = Predictions("00_small")

# %%
predict.number("share", "Which share?", within=0.1)

# %%
predict.measured("share", 0.25)
print("and more")

# %% tags=["fold"]
# Draw it.
print("drawn")

# %%
selfcheck = SelfCheck("00_small")

# %%
predict.summary()
"""
GOOD += "".join(
    f'\n# %%\n# Question {n}\nselfcheck.number("q{n}", "{n}?", answer={n}, within=0, why="So.")\n'
    for n in range(QUESTIONS)
)


def small(folder, source):
    (folder / "lessons").mkdir()
    (folder / "lessons" / "00_small.py").write_text(source)
    (target,) = targets.targets(folder)
    return target


def test_a_good_source_has_no_fault(tmp_path):
    assert list(faults(small(tmp_path, GOOD))) == []


def test_a_good_lesson_tells_nothing_early(tmp_path):
    target = small(tmp_path, GOOD)
    weave.weave(target)
    notebook = nbformat.read(target.notebook, as_version=4)
    assert list(tells(notebook)) == []
    assert sum("outputs_hidden" in cell.metadata.get("jupyter", {}) for cell in notebook.cells) == 1


MEASURED = 'predict.measured("share", 0.25)\n'
BROKEN = {
    "another lesson's predictions": ('Predictions("00_small")', 'Predictions("01_small")'),
    "another lesson's self-check": ('SelfCheck("00_small")', 'SelfCheck("00-small")'),
    "measured twice": (MEASURED, MEASURED + MEASURED),
    "never measured": (MEASURED, ""),
    "measured under another name": ('measured("share"', 'measured("shares"'),
    "measured where it is asked": ("within=0.1)", f"within=0.1)\n{MEASURED}"),
    "no summary": ("predict.summary()", "print()"),
    "a summary before the end": ("predict.measured", "predict.summary()\npredict.measured"),
    "asked twice": ("within=0.1)", 'within=0.1)\n\n# %%\npredict.number("share", "?", within=1)'),
    "two questions in a cell": ("\n# %%\n# Question 2\n", ""),
    "a question with code under it": ("within=0.1)", "within=0.1)\nprint(1)"),
    "a question too few": (GOOD[GOOD.rindex("\n# %%") :], ""),
    "a fold without a comment": ("# Draw it.\n", ""),
    "a self-check that shows its answer": ("# Question 3\n", ""),
    "a name bound anew": (
        'print("drawn")\n',
        "share = 1\n\n# %%\nprint(share)\n\n# %%\nshare = 2\n",
    ),
    "two self-checks of one name": ('"q3"', '"q2"'),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_source_has_a_fault(tmp_path, how):
    old, new = BROKEN[how]
    assert old in GOOD
    assert list(faults(small(tmp_path, GOOD.replace(old, new, 1))))


def executed_cell(source, text, **metadata):
    output = nbformat.v4.new_output("stream", text=text)
    return nbformat.v4.new_code_cell(source, outputs=[output], metadata=metadata)


FOLDED = {"jupyter": {"outputs_hidden": True}}


@pytest.mark.parametrize(
    "text, metadata, fault",
    [
        ("larger: True\n", {}, "True or False"),
        ("[0.1, 0.2]\n", {}, None),
        (f"{TITLE}\nMeasured: 3. {NO_OPTION}\n", FOLDED, "nobody has changed"),
        (f"{CHANGED}, and cannot be asked\n", {}, "nobody has changed"),
        ("the share is 0.25\n", FOLDED, "tells its answer"),
        (f"{TITLE}\n0.25\n", FOLDED, None),
    ],
)
def test_outputs_that_tell_too_much_are_found(text, metadata, fault):
    cell = executed_cell("predict.measured(1)", text, **metadata)
    found = list(tells(nbformat.v4.new_notebook(cells=[cell])))
    assert len(found) == (fault is not None) and (fault or "") in "".join(found)
