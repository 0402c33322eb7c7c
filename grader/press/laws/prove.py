"""Prove exercises: hold every law against each of them, and say which do not hold."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from grader.checking import bank, registry
from grader.judging.exercise import Exercise
from grader.press.laws import forgery, form, judgement

Law = Callable[[Exercise], Iterator[str]]

LAWS: tuple[Law, ...] = (
    judgement.reference_is_met,
    form.evidence_travels,
    form.stub_is_not_attempted,
    form.book_is_up_to_date,
    form.words_are_there,
    form.is_finished,
    form.example_is_true,
    form.task_holds_no_answer,
    form.section_is_there,
    form.all_is_part_of_it,
    form.module_is_short,
    form.functions_are_annotated,
    judgement.specimens_are_recognised,
    form.no_two_specimens_look_alike,
    form.feedback_leads_on,
    judgement.replay_earns_less,
    judgement.nothing_is_unearned,
    forgery.forgery_does_not_pay,
    judgement.mutants_are_rejected,
)
"""The laws that need nothing but the exercise, those first on which others rest."""


def prove(names: Sequence[str] = ()) -> bool:
    """Prove the exercises of the open bank, or of the course where none is; print what fails.

    Raises:
        UnknownExercise: one of the names is no exercise.
    """
    asked = names or own()
    kept = [proved(name) for name in asked]
    print(f"{sum(kept)} of {len(asked)} exercises obey all {len(LAWS)} laws.")
    return all(kept)


def own() -> list[str]:
    """The names of the exercises in the open bank; those of the course where none is open."""
    place = bank.folder() or bank.COURSE
    sources = {name: registry.source_of(name) or Path() for name in registry.names()}
    return [name for name, source in sources.items() if source.is_relative_to(place)]


def proved(name: str) -> bool:
    """Hold every law against one exercise and print the outcome."""
    broken = [f"  {_sentence(law)}\n    {why}" for law in LAWS for why in _against(law, name)]
    print(
        "\n".join([f"{name}: {'broken laws' if broken else 'all laws hold'}", *broken]), flush=True
    )
    return not broken


def _against(law: Law, name: str) -> list[str]:
    """What speaks against an exercise. One that breaks a law in a way of its own is told how."""
    try:
        return list(law(registry.find(name)))
    except registry.UnknownExercise:
        raise
    except Exception as error:
        return [f"{type(error).__name__}: {error}"]


def _sentence(law: Law) -> str:
    return inspect.cleandoc(law.__doc__ or "").partition("\n")[0]
