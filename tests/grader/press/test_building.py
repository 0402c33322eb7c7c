"""What a notebook gets from its source: claim cells out, folds, sections, links, footers."""

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from grader.checking import registry
from grader.press import building, executing, links, targets, weave
from grader.press.release import ReleaseError, _write_notebook, release

LESSON = """# %% [markdown]
# # Small networks
#
# An introduction.

# %%
predict = selfcheck = None
shown = 1

# %% [markdown]
# The first part ends here.
#
# ## Zero output is not zero derivative
#
# ```
# ## not a heading
# ```

# %% tags=["claim"]
assert shown == 1
print("a claim")

# %% tags=["fold", "nbval-ignore-output"]
# Draw it.
shown

# %% [markdown]
# The second part ends here.
#
# ## Summary
#
# That was all.

# %%
shown + 1
"""
LAB = '# %% [markdown]\n# # Lab: small\n\n# %% exercise="find_dead_units"\n'


def course(folder, **sources):
    """A course of these lessons (`l02=`) and labs (`lab02=`); its targets by label."""
    for name, source in sources.items():
        place = folder / ("labs" if name.startswith("lab") else "lessons") / f"{name[-2:]}_small.py"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(source)
    return {target.label: target for target in targets.targets(folder)}


def lesson(folder, source=LESSON):
    return course(folder, l02=source)["lessons/02_small.ipynb"]


def built(target):
    return building.built(target).cells


def begins(cells):
    return [cell.source.splitlines()[0] for cell in cells]


def test_sections_begin_cells(tmp_path):
    assert begins(built(lesson(tmp_path))) == [
        "# Small networks",
        "predict = selfcheck = None",
        "The first part ends here.",
        "## Zero output is not zero derivative",
        "# Draw it.",
        "The second part ends here.",
        "## Summary",
        "shown + 1",
    ]


def test_claim_cells_run_and_leave_no_trace(tmp_path):
    target = lesson(tmp_path)
    assert weave.weave(target) and weave.differences(target) == []
    notebook = nbformat.read(target.notebook, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == [1, 2, 3]
    assert [output.execution_count for cell in code for output in cell.outputs] == [2, 3]
    assert "claim" not in target.notebook.read_text()
    target.source.write_text(LESSON.replace("shown == 1", "shown == 2"))
    assert weave.differences(target) == []
    with pytest.raises(targets.WeaveError, match="AssertionError"):
        weave.weave(target)


def test_a_tag_folds_the_source_and_is_not_kept(tmp_path):
    cell = built(lesson(tmp_path))[4]
    assert cell.metadata == {
        "tags": ["nbval-ignore-output"],
        "jupyter": {"source_hidden": True},
    }


@pytest.mark.parametrize(
    "code, folded",
    [
        ('predict.measured("share", 1)', {"outputs_hidden": True}),
        ('print(1)\npredict.measured(\n    "share", 1\n)', {"outputs_hidden": True}),
        ('# Question 1.\nselfcheck.number("n", "How many?")', {"source_hidden": True}),
        ('predict.number("share", "How many?")', None),
        ('selfcheck = SelfCheck("02_small")', None),
        ("predict.summary()", None),
    ],
)
def test_answers_are_folded_without_a_tag(tmp_path, code, folded):
    (cell,) = built(lesson(tmp_path, f"# %%\n{code}\n"))
    assert cell.metadata.get("jupyter") == folded


def test_another_fold_is_a_difference(tmp_path):
    target = lesson(tmp_path, "# %%\n# One.\nprint(1)\n")
    weave.weave(target)
    target.source.write_text(target.source.read_text().replace("# %%", '# %% tags=["fold"]'))
    assert weave.differences(target) == ["lessons/02_small.ipynb differs from 02_small.py"]


def test_an_output_read_from_a_file_is_what_was_written(tmp_path):
    """The file lists its forms by name."""
    forms = {"text/plain": "one", "text/html": "<b>one</b>"}
    cell = new_code_cell("one", outputs=[new_output("display_data", forms)])
    nbformat.write(new_notebook(cells=[cell]), tmp_path / "one.ipynb")
    (again,) = nbformat.read(tmp_path / "one.ipynb", as_version=4).cells
    assert list(again.outputs[0].data) != list(forms)
    assert executing.compared(again) == executing.compared(cell)


def test_a_cell_of_the_solution_is_in_the_solution_alone(tmp_path):
    source = LAB + '\n# %% tags=["solution"]\nprint(find_dead_units)\n'
    woven = {label: built(t) for label, t in course(tmp_path, lab02=source).items()}
    has = {label: "print(find_dead_units)" in begins(cells) for label, cells in woven.items()}
    assert has == {"labs/02_small.ipynb": False, "solutions/02_small.ipynb": True}


def test_a_section_is_followed_by_links_to_what_practises_it(tmp_path):
    cells = built(course(tmp_path, l02=LESSON, lab02=LAB)["lessons/02_small.ipynb"])
    exercise = registry.find("find_dead_units")
    assert exercise.section == "Zero output is not zero derivative"
    at = begins(cells).index("## Summary") - 1
    place = f"../labs/02_small.ipynb#1.-{exercise.title.rstrip('.').replace(' ', '-')}"
    words = f"Practise: [find_dead_units]({place}) · {exercise.minutes} minutes"
    assert cells[at].source == words


def test_the_last_section_has_its_links_too_and_several_stand_in_one_line(tmp_path):
    source = LESSON.partition("# The second part")[0]
    lab = LAB + '\n# %% exercise="find_dead_flax_units"\n'
    *_, practise, footer = built(course(tmp_path, l02=source, lab02=lab)["lessons/02_small.ipynb"])
    assert practise.source.count("[find_dead") == 2 and "minutes; [" in practise.source
    assert footer.source == "Lab: [Lab: small](../labs/02_small.ipynb)"


def test_the_heading_says_how_large_and_how_hard_an_exercise_is():
    first = registry.find("are_dead")
    size = (
        f"plain Python · {first.points} points · difficulty 1 of 5 · about 5 minutes · rests on ["
    )
    title, line = building.heading(first, 1).split("\n\n")
    assert title == "### 1. Say of each ReLU unit whether it is dead on these samples"
    assert line.startswith(size) and line.endswith("stuck? `hint(are_dead)`")


def test_an_exercise_on_no_section_stops_the_weave(tmp_path):
    source = LESSON.replace("## Zero", "## Nearly zero")
    target = course(tmp_path, l02=source, lab02=LAB)["lessons/02_small.ipynb"]
    with pytest.raises(targets.WeaveError, match="rest on Zero output is not zero derivative"):
        built(target)


def three(folder):
    titled = "# %% [markdown]\n# # {}\n".format
    lessons = {f"l0{n}": titled(f"Lesson {n}") for n in (1, 2, 3)}
    return course(folder, **lessons, lab02="# %% [markdown]\n# # Lab two\n")


def test_footers_lead_on_and_back(tmp_path):
    ends = {label: links.footer(target) for label, target in three(tmp_path).items()}
    lab, next_one = (
        "Lab: [Lab two](../labs/02_small.ipynb)",
        "[Lesson 3](../lessons/03_small.ipynb)",
    )
    assert ends == {
        "lessons/01_small.ipynb": "Next: [Lesson 2](02_small.ipynb)",
        "lessons/02_small.ipynb": f"Previous: [Lesson 1](01_small.ipynb) · {lab} · "
        "Next: [Lesson 3](03_small.ipynb)",
        "lessons/03_small.ipynb": "Previous: [Lesson 2](02_small.ipynb)",
        "labs/02_small.ipynb": "Lesson: [Lesson 2](../lessons/02_small.ipynb) · "
        f"Solution: [Lab two](../solutions/02_small.ipynb) · Next lesson: {next_one}",
        "solutions/02_small.ipynb": f"Lesson: [Lesson 2](../lessons/02_small.ipynb) · {lab} · "
        f"Next lesson: {next_one}",
    }


def test_what_goes_deeper_stands_beside_the_way(tmp_path):
    three(tmp_path)
    (tmp_path / "lessons" / "02_small_deeper.py").write_text("# %% [markdown]\n# # Further on\n")
    ends = {target.label: links.footer(target) for target in targets.targets(tmp_path)}
    assert ends["lessons/02_small.ipynb"].endswith(
        "Deeper: [Further on](02_small_deeper.ipynb) · Next: [Lesson 3](03_small.ipynb)"
    )
    assert ends["lessons/02_small_deeper.ipynb"] == (
        "Lesson: [Lesson 2](02_small.ipynb) · Next: [Lesson 3](03_small.ipynb)"
    )
    assert ends["lessons/03_small.ipynb"] == "Previous: [Lesson 2](02_small.ipynb)"


def test_an_edition_has_no_way_to_the_solution(tmp_path):
    lab = three(tmp_path)["labs/02_small.ipynb"]
    weave.weave(lab)
    copy = tmp_path / "edition" / "02_small.ipynb"
    _write_notebook(lab, copy)
    notebook = nbformat.read(copy, as_version=4)
    assert notebook.cells[-1].source == links.footer(lab, solved=False)
    assert "solutions" not in copy.read_text() and "solutions" in lab.notebook.read_text()
    assert notebook.metadata.woven == building.digest(notebook.cells)


def test_an_edition_without_a_notebook_is_refused_before_it_is_begun(tmp_path):
    three(tmp_path / "course")
    with pytest.raises(ReleaseError, match=r"lessons/01_small.ipynb is missing\. Run"):
        release(tmp_path / "edition", tmp_path / "course")
    assert not (tmp_path / "edition").exists()


@pytest.mark.parametrize("heading", ["A $z$", "Über", "50 % of it", "a > b", "One\u2019s own"])
def test_a_heading_that_jupyterlab_would_not_find_is_refused(heading):
    with pytest.raises(targets.WeaveError, match="No link can lead to"):
        links.anchor(heading)


def test_the_anchor_is_the_text_as_shown():
    assert links.anchor("2. Use `a.b` (twice), don't") == "2.-Use-a.b-(twice),-don't"
