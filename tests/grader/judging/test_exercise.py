"""An exercise is put together from what stands in its module, and claims may need one another."""

import dataclasses

import pytest

from grader.judging.evidence import Raised, Seen
from grader.judging.exercise import (
    Exercise,
    Misconception,
    belief,
    beliefs_about,
    claim,
    needing,
    of_kind,
    standing_in,
)
from grader.judging.judge import judge


def halve(x):
    """Halve a number, and refuse a text."""
    return x / 2


def challenge(rng):
    return {"a number": {"x": 3.0}, "a text": {"x": "3"}}


@claim(3, "By what do you divide?", of_kind("number"))
def halves(seen, expected):
    """A number is halved."""
    return seen["half"] == expected["half"], f"you return {seen['half']}"


@claim(1, "What is half a text?", of_kind("text"), needs=halves)
def refuses_texts(seen, expected):
    """A text is refused."""
    return seen["half"] == "refused", f"you return {seen['half']}"


def in_parts(x, by=2.0):
    return x / by


believing = beliefs_about(in_parts)
BELIEFS = (
    believing("Half is a third.", "It is more.", "Of three?", by=3.0),
    believing("Half is a quarter.", "It is more.", "Of four?", by=4.0),
)


@belief("Half is nothing.", "It is something.", "Of one?")
def forget_it(x):
    return 0.0


EXERCISE = Exercise(
    reference=halve,
    challenge=challenge,
    hints=("Divide.", "By two."),
    lesson="99_halves",
    section="Halves",
    frameworks=("torch",),
    minutes=1,
    difficulty=1,
    note="Doubling is the way back.",
)
RIGHT = {"a number": {"kind": "number", "half": 1.5}, "a text": {"kind": "text", "half": "refused"}}


def outcomes(number, text):
    seen = {"a number": number, "a text": text}
    expected = {case: Seen(evidence) for case, evidence in RIGHT.items()}
    return judge(EXERCISE, seen, expected, [{} for _ in EXERCISE.misconceptions]).outcomes


def half(value, kind):
    return Seen({"kind": kind, "half": value})


def test_claims_and_beliefs_are_those_of_the_module_in_order():
    assert EXERCISE.claims == (halves, refuses_texts)
    assert EXERCISE.misconceptions == (*BELIEFS, forget_it)
    addresses = standing_in(globals(), Misconception).values()
    assert list(addresses) == ["BELIEFS[0]", "BELIEFS[1]", "forget_it"]
    assert [m.specimen(12.0) for m in EXERCISE.misconceptions] == [4.0, 3.0, 0.0]


def test_a_part_that_is_not_there_is_refused():
    with pytest.raises(TypeError, match="of"):
        believing("A belief.", "It fails.", "Why?", of=3.0)


@pytest.mark.parametrize(
    ("number", "text", "verdicts"),
    [
        (half(1.5, "number"), half("refused", "text"), ["met", "met"]),
        (half(1.5, "number"), half("1.5", "text"), ["met", "not met"]),
        (half(1.0, "number"), half("refused", "text"), ["not met", "not met"]),
        (Raised("ValueError", "no"), half("refused", "text"), ["raised", "raised"]),
        (half(1.0, "number"), half("1.5", "text"), ["not met", "not met"]),
    ],
)
def test_a_claim_counts_only_with_the_one_that_it_needs(number, text, verdicts):
    found = outcomes(number, text)
    assert [outcome.verdict for outcome in found] == verdicts
    assert [outcome.points for outcome in found] == [3, 1]


def test_a_claim_that_is_not_counted_says_what_is_amiss_with_the_needed_one():
    needed, needing_it = outcomes(half(1.0, "number"), half("refused", "text"))
    assert (needing_it.case, needing_it.seen) == (needed.case, needed.seen)
    assert needing_it.claim == refuses_texts.expects


def test_a_needed_claim_must_be_among_the_claims():
    with pytest.raises(ValueError, match="A number is halved"):
        dataclasses.replace(EXERCISE, claims=(refuses_texts,))
    (lent,) = needing(refuses_texts, halves)
    assert lent.needs is refuses_texts and halves.needs is None


def test_a_text_in_evidence_does_nothing_to_a_page_or_a_terminal():
    _, told = outcomes(half(1.5, "number"), half("\x1b[2J\u202e\x00red", "text"))
    assert "[2Jred" in told.seen and told.seen.isprintable()
