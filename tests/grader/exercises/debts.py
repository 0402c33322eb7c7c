"""Laws that an exercise does not obey yet. A debt that is paid must be struck out here.

unearned      no claim can be earned without an answer
other_wrongs  `tests/other_wrongs` holds wrong answers that come from no belief listed
beliefs       at least 5 beliefs and at most 12
length        at most 330 lines
annotated     every function but the reference says what it takes and gives
"""

DEBTS = {
    # c02_dead_relu
    # c04_explicit_freezing
}
