"""What a learner waits for after `check`: python benchmarks/checks.py

The second check of each exercise's reference may take a second of CPU. The first one may load a
framework and compile; it has no limit.
"""

import side_by_side  # isort: skip  # first: it sets the thread counts
import sys

from grader import check
from grader.checking import registry

LIMIT = 1.0  # seconds of CPU


def in_time(name: str) -> bool:
    reference = registry.find(name).reference
    check(reference)
    seconds, _ = side_by_side.timed(lambda: check(reference))
    return side_by_side.within(name, seconds, LIMIT)


if __name__ == "__main__":
    sys.exit(not all([in_time(name) for name in registry.names()]))
