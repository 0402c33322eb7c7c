"""A task as text: what the docstring of a reference says, in Markdown.

A learner reads the task as a page, not as a string in code. The sections are those of Google's
docstrings; an example is a doctest, so that a law can run it.
"""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Iterator

HEADS = {
    "Args": "You get",
    "Returns": "You return",
    "Raises": "You raise",
    "Example": "For example",
}
SECTION = re.compile(rf"^({'|'.join(HEADS)}):\n((?: {{4}}.*\n?|\n)*)", re.MULTILINE)
ENTRY = re.compile(r"^(\*{0,2}\w+(?:, \*{0,2}\w+)*): ")


def specification(docstring: str) -> str:
    """The task in Markdown, without its first line, which stands in the heading."""
    _, _, body = inspect.cleandoc(docstring).partition("\n")
    prose = SECTION.sub("", body + "\n")
    return "\n\n".join([*_paragraphs(prose), *_sections(body + "\n")])


def _paragraphs(text: str) -> list[str]:
    """Paragraphs, each on one line; code in single backticks."""
    blocks = re.split(r"\n\s*\n", text.strip("\n"))
    return [" ".join(block.split()).replace("``", "`") for block in blocks if block.strip()]


def _sections(body: str) -> Iterator[str]:
    for head, lines in SECTION.findall(body):
        text = textwrap.dedent(lines).strip("\n")
        if head == "Example":
            yield f"**{HEADS[head]}:**\n\n```python\n{text}\n```"
        elif head == "Returns":
            yield f"**{HEADS[head]}:** " + "\n\n".join(_paragraphs(text))
        else:
            yield f"**{HEADS[head]}:**\n\n" + "\n".join(map(_entry, _entries(text)))


def _entries(text: str) -> list[str]:
    """The entries of a list; the lines that carry one on stand further in."""
    return re.split(r"\n(?=\S)", text)


def _entry(entry: str) -> str:
    """`name: what it is` as an item of a list; whole sentences stay as they are."""
    words = "\n\n  ".join(_paragraphs(textwrap.dedent(entry)))
    return "- " + ENTRY.sub(r"`\1`: ", words)
