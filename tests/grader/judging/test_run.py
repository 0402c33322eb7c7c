"""What is told of an error in an answer: the author's own frames, wherever they lie."""

from pathlib import Path

import pytest

import grader
from grader.judging.run import candidates_frames

OURS = Path(grader.__file__).parent


@pytest.mark.parametrize(
    ("file", "shown"),
    [
        (f"{OURS}_notes/answer.py", True),
        (f"{OURS.parent}/answer.py", True),
        (f"{OURS}/judging/run.py", False),
    ],
)
def test_a_frame_is_the_authors_unless_it_lies_in_our_folder(file, shown):
    with pytest.raises(ZeroDivisionError) as raised:
        exec(compile("1 / 0", file, "exec"), {})
    assert (file in candidates_frames(raised.value.__traceback__)) == shown
