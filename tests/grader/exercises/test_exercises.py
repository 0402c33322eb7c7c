"""Laws that every exercise obeys, run over the whole registry."""

import ast
import doctest
import functools
import importlib
import inspect
import re
import statistics
from collections import Counter
from itertools import combinations

import numpy as np
import pytest

from grader import check, hint
from grader.checking import book, catalogue, registry
from grader.checking.cited import cited_exercises
from grader.harvesting import views
from grader.judging.evidence import Seen, alike, same
from grader.judging.exercise import Claim, Misconception, NotAttempted, standing_in
from grader.judging.feedback import Feedback
from grader.judging.judge import judge
from grader.judging.run import observations
from grader.judging.wire import decode, encode
from grader.press.mutation import mutants
from grader.press.sources import read
from grader.press.specification import specification
from tests import ROOT, other_wrongs, right_answers
from tests.grader.exercises.unearned import forged, idle

OTHER_SEEDS = (2, 1001)
LABS = sorted((ROOT / "labs").glob("*.py"))
exercises = pytest.mark.parametrize("name", registry.names())


@functools.lru_cache(maxsize=256)  # a candidate is run once on a seed, whatever is asked of it
def seen_at(exercise, candidate, seed):
    return observations(exercise, candidate, exercise.cases((seed,)))


def seen(exercise, candidate, seeds):
    return {k: v for seed in seeds for k, v in seen_at(exercise, candidate, seed).items()}


def run_now(exercise, seeds=book.PUBLIC_SEEDS):
    """The book as its module makes it now."""
    return book.of(exercise, lambda candidate: seen(exercise, candidate, seeds))


def known_evidence(exercise, seeds):
    public = set(seeds) <= set(book.PUBLIC_SEEDS)
    return book.evidence(exercise, seeds) if public else run_now(exercise, seeds)


def judged(exercise, candidate, seeds=book.PUBLIC_SEEDS):
    known = known_evidence(exercise, seeds)
    return judge(exercise, seen(exercise, candidate, seeds), known.reference, known.specimens)


@exercises
def test_reference_meets_every_claim_on_any_challenge(name):
    exercise = registry.find(name)
    for seeds in (book.PUBLIC_SEEDS, OTHER_SEEDS):
        own = seen(exercise, exercise.reference, seeds)
        report = judge(exercise, own, own, [{} for _ in exercise.misconceptions])
        assert report.verdict == "met", report


@exercises
def test_stub_is_not_attempted(name):
    exercise = registry.find(name)
    namespace = dict(vars(importlib.import_module(registry.module_of(name))))
    exec(views.stub(exercise), namespace | {"NotAttempted": NotAttempted}, scope := {})
    feedback = check(scope[name])
    assert feedback.report.verdict == "not attempted"
    assert feedback.report.earned == 0
    assert "not attempted yet" in str(feedback)


@exercises
def test_specimens_are_rejected_and_recognised_as_themselves(name):
    exercise = registry.find(name)
    for seeds in (book.PUBLIC_SEEDS, OTHER_SEEDS):
        for misconception in exercise.misconceptions:
            report = judged(exercise, misconception.specimen, seeds)
            assert report.verdict in ("not met", "raised"), f"passes: {misconception.belief}"
            assert report.belief and report.belief.belief == misconception.belief, report


@exercises
def test_evidence_replayed_on_another_challenge_earns_less_than_full_points(name):
    """Secret inputs are no use where the evidence that they ask for is that of the public ones."""
    exercise = registry.find(name)
    public, other = (known_evidence(exercise, seeds) for seeds in (book.PUBLIC_SEEDS, OTHER_SEEDS))
    for seed in OTHER_SEEDS:
        expected = {case: seen for case, seen in other.reference.items() if _seed(case) == seed}
        replayed = {case: public.reference[_at_seed_0(case)] for case in expected}
        report = judge(exercise, replayed, expected, other.specimens)
        assert report.earned < exercise.points, seed


def _seed(case):
    return int(case.rpartition(" ")[2])


def _at_seed_0(case):
    return f"{case.rpartition(' ')[0]} {book.PUBLIC_SEEDS[0]}"


@exercises
def test_no_two_specimens_look_alike(name):
    exercise = registry.find(name)
    beliefs = [misconception.belief for misconception in exercise.misconceptions]
    evidence = zip(beliefs, book.public(exercise).specimens, strict=True)
    alike_ = [(a, b) for (a, one), (b, other) in combinations(evidence, 2) if same(one, other)]
    assert alike_ == []


@exercises
def test_evidence_is_deterministic_and_survives_the_journey(name):
    exercise = registry.find(name)
    once, again = (
        observations(exercise, exercise.reference, exercise.cases((0,))) for _ in range(2)
    )
    assert same(once, again)
    for case, observation in once.items():
        evidence = observation.evidence
        assert alike(evidence, decode(encode(Seen(evidence)), Seen).evidence), case


@exercises
def test_inputs_are_plain_data_and_named_like_the_parameters(name):
    exercise = registry.find(name)
    for inputs in exercise.cases((0,)).values():
        assert alike(decode(encode(dict(inputs)), dict), dict(inputs))


@exercises
def test_book_is_up_to_date(name):
    exercise = registry.find(name)
    stored = book.stored(exercise)
    assert stored and book.agree(stored, run_now(exercise)), "run: python -m grader weave"
    assert catalogue.stored(registry.source_of(name)) == catalogue.of(exercise)


@exercises
def test_words_are_there(name):
    exercise = registry.find(name)
    assert exercise.name == name
    assert 2 <= len(exercise.hints) <= 4 and all(exercise.hints)
    assert exercise.note and exercise.minutes > 0 and exercise.frameworks
    assert exercise.difficulty in range(1, 6)
    for claim in exercise.claims:
        assert claim.expects.endswith(".") and claim.question.endswith("?") and claim.points > 0
    for misconception in exercise.misconceptions:
        assert misconception.belief and misconception.fails
        assert misconception.question.endswith("?")


@exercises
def test_the_example_is_the_last_section_and_true_in_its_lab(name):
    exercise = registry.find(name)
    task = inspect.cleandoc(exercise.reference.__doc__)
    head, lines = re.split(r"^(\w+):\n", task, flags=re.MULTILINE)[-2:]
    assert head == "Example" and len(lines.splitlines()) <= 8
    given = imported_in_lab(exercise.lesson) | {name: exercise.reference}
    (example,) = doctest.DocTestFinder(recurse=False).find(exercise.reference, name, globs=given)
    said = []
    assert doctest.DocTestRunner().run(example, out=said.append).failed == 0, "".join(said)


@functools.cache
def imported_in_lab(lesson):
    """The names that a learner has in a lab before any exercise is answered."""
    cells = [c for c in read(ROOT / "labs" / f"{lesson}.py") if c.cell_type == "code"]
    own = [cell.source for cell in cells if not cell.metadata.keys() & {"exercise", "tags"}]
    exec("\n".join(own), names := {})
    return names


@exercises
def test_task_and_stub_hold_no_line_of_the_answer(name):
    exercise = registry.find(name)
    shown = specification(exercise.reference.__doc__) + views.stub(exercise)
    assert [line for line in lines_of_the_answer(exercise) if line in shown] == []


def lines_of_the_answer(exercise):
    """Its lines of code, but for those that say next to nothing."""
    body = inspect.getsource(exercise.reference).rpartition('"""')[2]
    return {line.strip() for line in body.splitlines() if len(line.strip()) > 15}


@exercises
def test_feedback_ends_with_a_question_and_gives_nothing_away(name):
    exercise = registry.find(name)
    for misconception in exercise.misconceptions:
        words = str(Feedback(judged(exercise, misconception.specimen), exercise.note))
        assert words.rstrip().endswith("?"), words
        assert not re.search(r"\bwrong\b", words, re.IGNORECASE), words
        assert not [line for line in lines_of_the_answer(exercise) if line in words]


@exercises
def test_right_answers_in_other_styles_pass(name):
    answers = right_answers.of(name)
    assert len(answers) >= 3
    exercise = registry.find(name)
    for answer in answers:
        report = judged(exercise, answer)
        assert report.verdict == "met", (answer.__name__, report)


@exercises
def test_a_diagnosis_is_true(name):
    """A wrong answer that comes from no listed belief is rejected, and told none."""
    assert name in other_wrongs.names() and len(other_wrongs.of(name)) >= 8
    for answer in other_wrongs.of(name):
        report = judged(registry.find(name), answer)
        assert report.verdict in ("not met", "raised"), f"{answer.__name__} passes"
        assert report.belief is None, (answer.__name__, report.belief)


@exercises
def test_no_claim_is_earned_without_an_answer(name):
    exercise, earned = registry.find(name), {}
    expected = known_evidence(exercise, (0,)).reference
    for words, candidate in idle():
        idled = observations(exercise, candidate, exercise.cases((0,)))
        earned[words] = earned_with(exercise, idled, expected)
    for seed in OTHER_SEEDS:
        other = seen(exercise, exercise.reference, (seed,))
        for words, reply in forged(expected, other):
            earned[words] = earned_with(exercise, reply, expected)
        replayed = dict(zip(other, expected.values(), strict=True))
        earned[f"seed {seed}"] = earned_with(exercise, replayed, other)
    assert {words: claims for words, claims in earned.items() if claims} == {}


def earned_with(exercise, reply, expected):
    """The claims that are met. As in marking, evidence that breaks a claim earns nothing."""
    try:
        outcomes = judge(exercise, reply, expected, [{} for _ in exercise.misconceptions]).outcomes
    except Exception:
        return []
    return [outcome.claim for outcome in outcomes if outcome.verdict == "met"]


@exercises
def test_a_module_has_five_to_twelve_beliefs(name):
    beliefs = {misconception.belief for misconception in registry.find(name).misconceptions}
    assert 5 <= len(beliefs) <= 12


@exercises
def test_all_that_stands_in_a_module_is_part_of_its_exercise(name):
    exercise = registry.find(name)
    module = vars(inspect.getmodule(exercise.reference))
    assert set(standing_in(module, Claim)) <= set(exercise.claims)
    assert set(standing_in(module, Misconception)) <= set(exercise.misconceptions)


def lines_of(name):
    return len(inspect.getsource(inspect.getmodule(registry.find(name).reference)).splitlines())


@exercises
def test_a_module_is_short(name):
    assert lines_of(name) <= 330


def test_most_modules_are_shorter_still():
    assert statistics.median(map(lines_of, registry.names())) < 270


@exercises
def test_functions_say_what_they_take_and_give(name):
    """The reference is left out: its docstring tells learners, in words."""
    tree = ast.parse(inspect.getsource(inspect.getmodule(registry.find(name).reference)))
    tree.body = [node for node in tree.body if getattr(node, "name", "") != name]
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    assert [function.name for function in functions if not _is_annotated(function)] == []


def _is_annotated(function):
    arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    named = [argument for argument in arguments if argument.arg != "self"]
    return function.returns is not None and all(argument.annotation for argument in named)


@exercises
def test_hints_follow_one_another(name):
    exercise = registry.find(name)
    given = [hint(exercise.reference) for _ in exercise.hints]
    assert sorted(text.partition(": ")[2] for text in given) == sorted(exercise.hints)


@exercises
def test_section_is_a_heading_of_its_lesson(name):
    exercise = registry.find(name)
    lesson = (ROOT / "lessons" / f"{exercise.lesson}.py").read_text()
    assert f"# ## {exercise.section}\n" in lesson


def test_each_exercise_is_cited_by_the_one_lab_of_its_lesson():
    cited = Counter((lab.stem, name) for lab in LABS for name in cited_exercises(lab))
    assert cited == Counter((registry.find(name).lesson, name) for name in registry.names())


@pytest.mark.parametrize("lab", LABS, ids=lambda lab: lab.stem)
def test_a_lab_begins_with_five_easy_minutes_and_has_one_hardest(lab):
    first, *others = map(registry.find, cited_exercises(lab))
    assert first.difficulty == 1 and first.minutes <= 5
    difficulties = [exercise.difficulty for exercise in others]
    assert min(difficulties) > 1 and difficulties.count(5) == 1


def _twins():
    return [name for name in registry.names() if registry.find(name).twin]


@pytest.mark.parametrize("name", _twins())
def test_twins_agree_from_the_same_initial_values(name):
    exercise = registry.find(name)
    twin = registry.find(exercise.twin)
    assert twin.twin == name and set(twin.frameworks).isdisjoint(exercise.frameworks)
    pair = [book.public(one).reference for one in (exercise, twin)]
    shared = pair[0].keys() & pair[1].keys()
    assert shared
    for case in shared:
        assert _agree(*(reference[case].evidence for reference in pair)), case


def _agree(ours, theirs):
    """Twins agree on the parameters they end with where both show these, else on all both show."""
    if not isinstance(ours, dict):
        return alike(ours, theirs)
    both = ours.keys() & theirs.keys()
    return bool(both) and all(alike(ours[key], theirs[key]) for key in both & {"trainable"} or both)


def passing_mutants(exercise):
    """Descriptions of the mutants that are not rejected, and how many mutants there are."""
    source = inspect.getsource(exercise.reference)
    module = importlib.import_module(exercise.reference.__module__)
    tried = list(mutants(source, exercise.name, vars(module)))
    return [why for why, mutant in tried if is_met(exercise, mutant)], len(tried)


def is_met(exercise, mutant):
    """One seed is enough to reject it, the second only tried where the first does not."""
    return all(judged(exercise, mutant, (seed,)).verdict == "met" for seed in book.PUBLIC_SEEDS)


@exercises
def test_mutants_of_the_reference_are_rejected(name, record_property):
    passing, tried = passing_mutants(registry.find(name))
    heading = f"mutants rejected, {name}: {tried - len(passing)} of {tried}"
    record_property("figures", "\n  passes: ".join([heading, *passing]))
    least = 2 if registry.find(name).difficulty == 1 else 5  # a first exercise is one line
    assert tried >= least and len(passing) <= 0.15 * tried


def test_evidence_tells_apart_what_it_must():
    assert alike({"a": [1, np.nan]}, {"a": [1.0, float("nan")]})
    assert not alike(True, 1)
    assert not alike("1", 1)
    assert not alike(np.zeros(3), np.zeros((3, 1)))
