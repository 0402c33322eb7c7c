"""What is said of an answer of another form than the one expected."""

import numpy as np
import pytest

from grader.judging.evidence import mismatch


@pytest.mark.parametrize(
    ("seen", "expected", "words"),
    [
        ([1.0], {"rates": [1.0]}, "your answer is a list, which is not what the task asks for."),
        (None, {"rates": [1.0]}, "which is not what the task asks for. Is a `return` missing?"),
        (None, [1.0], "your answer is None, where a list was expected. Is a `return` missing?"),
        ({"rates": 1.0}, {"rates": [1.0]}, "rates is a number, where a list was expected."),
        (np.zeros(2), 1.0, "your answer is an array of shape (2,), where a number was expected."),
    ],
)
def test_another_form_is_told_in_words_of_the_task(seen, expected, words):
    assert mismatch(seen, expected).endswith(words)


def test_lengths_and_words_are_no_form():
    assert mismatch({"names": ["a"], "end": None}, {"names": [], "end": "b"}) is None
