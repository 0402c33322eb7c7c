"""Each term of the glossary occurs in the lesson it is at home in, and says what it means."""

import pytest

from lessonkit import glossary
from paramlock.certifying.locks import KINDS
from tests import ROOT


def words_of(lesson):
    source = (ROOT / "lessons" / f"{lesson}.py").read_text(encoding="utf-8")
    return " ".join(source.replace("\n# ", " ").split()).lower()


@pytest.mark.parametrize("term", glossary.terms(), ids=lambda term: term.name)
def test_a_term_is_at_home_in_its_lesson_and_is_told_in_sentences(term):
    words = words_of(term.lesson)
    assert all(word.lower() in words for word in term.name.split()), term
    assert term.means[0].isupper() and term.means.endswith(".") and "  " not in term.means


def test_a_lock_is_told_by_the_librarys_table_and_no_term_stands_twice():
    terms = {term.name: term for term in glossary.terms()}
    assert len(terms) == len(glossary.terms()) >= 38
    assert KINDS["dead"].mechanism in terms["dead unit"].means


def test_cards_are_shown_folded_and_a_lesson_without_terms_is_refused(capsys):
    glossary.show("02_dead_relu")
    shown = capsys.readouterr().out
    assert "rule of three: What was not seen" in shown and len(shown.splitlines()) == 4
    cards = glossary.Cards(glossary.terms())._repr_html_()
    assert cards.count("<details>") == len(glossary.terms())
    with pytest.raises(ValueError, match="There are terms of: 00_welcome"):
        glossary.show("99_none")
