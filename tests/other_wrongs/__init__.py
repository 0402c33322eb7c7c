"""Wrong answers that come from no belief listed: for each exercise a module of its name.

Each is a mistake that somebody may make, and has a docstring where its name does not say which.
"""

from tests.answers import Answers

_answers = Answers(__name__)
names, module, of = _answers.names, _answers.module, _answers.of
