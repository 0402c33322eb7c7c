"""A question as a form in the page: the one widget that predictions and self-checks share.

The form is native controls with names, in a `fieldset` whose legend is the question; replies are
announced. Under it stands a line of text that says what is kept. Where there is no kernel, question
and line read as text.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import anywidget
import traitlets
from IPython import get_ipython
from IPython.display import DisplayHandle, display

from lessonkit.forms import Number, Question

SUMMARY = '<summary data-lm-suppress-shortcuts="true">The answer</summary>'
"""What unfolds an answer; the attribute keeps JupyterLab from taking Enter for its cell."""


AGAIN = "Python was restarted: run this cell to answer."
"""What a form says that has lost its kernel."""

CHANGED = "The question was changed"
"""How a sentence begins that stands where a learner changed the cell of a question."""


class Purpose(NamedTuple):
    """The words by which forms that serve one end differ from others."""

    title: str
    label: str
    button: str
    without_kernel: str


@dataclass(frozen=True)
class Text:
    """An output that is text: in HTML, and plain for a terminal."""

    html: str
    plain: str

    def _repr_html_(self) -> str:
        return self.html

    def __repr__(self) -> str:
        return self.plain


def paragraph(words: str) -> Text:
    """A sentence as an output."""
    return Text(f"<p>{html.escape(words)}</p>", words)


def passage(title: str, *parts: Text | str) -> Text:
    """A heading and what stands under it; empty parts are left out.

    The heading is a line of its own without markup: of a folded output JupyterLab shows the first
    line of the HTML as it is written.
    """
    texts = [part if isinstance(part, Text) else paragraph(part) for part in parts if part]
    return Text(
        "\n".join([html.escape(title), *(text.html for text in texts)]),
        "\n".join([title, *(text.plain for text in texts)]),
    )


@contextmanager
def said(words: Callable[[ValueError], Text]) -> Iterator[None]:
    """In a notebook, show words in place of a ValueError: a learner may have changed the cell.

    A script has an author and no learner, so there the error is raised.
    """
    try:
        yield
    except ValueError as error:
        if get_ipython() is None:
            raise
        display(words(error))


def not_asked(error: ValueError) -> Text:
    """What there is to say where a question cannot be asked."""
    return paragraph(f"{CHANGED}, and cannot be asked as it stands here: {error}.")


def asked_anew(_error: ValueError) -> Text:
    """What there is to say where a question is another than before."""
    return paragraph(f"{CHANGED}: it is asked as it stands here now.")


class Form(anywidget.AnyWidget):
    """One question with its controls, a button, and a reply.

    Subclasses say what happens to an answer (`respond`) and what is kept (`standing`).
    """

    _esm = Path(__file__).with_name("form.js")
    _css = Path(__file__).with_name("form.css")

    purpose: Purpose

    asked: traitlets.Dict[str, Any] = traitlets.Dict().tag(sync=True)
    answer = traitlets.Any(None, allow_none=True).tag(sync=True)
    """What the controls show at first: a number as text, an option, or items in order."""
    closed = traitlets.Unicode().tag(sync=True)
    """Why the answer can no longer be changed; empty while it can."""
    solution = traitlets.Unicode().tag(sync=True)
    """The answer to unfold in the form; empty while it is not offered."""

    def __init__(self, question: Question, lines: Sequence[str], answer: Any) -> None:
        """A form for `question`; `lines` are its options or items in the order shown."""
        self.question = question
        self._lines = list(lines)
        self._standing: DisplayHandle | None = None
        super().__init__(asked=self._wording(), answer=answer)
        self.on_msg(self._receive)

    def respond(self, answer: Any) -> str:
        """Keep an answer that could be read, and say so."""
        raise NotImplementedError

    def standing(self) -> str:
        """What is kept, in a sentence."""
        raise NotImplementedError

    def hidden(self) -> str:
        """What a page without a kernel folds away; empty for nothing."""
        return ""

    def show(self) -> None:
        """Display the form, and under it what is kept."""
        display(self)
        self._standing = display(paragraph(self.standing()), display_id=True)

    def _wording(self) -> dict[str, Any]:
        note, label = self.question.note, self.purpose.label
        if isinstance(self.question, Number):
            note += f" You can write {self.question.examples}."
            label += f", in {self.question.unit}" if self.question.unit else ""
        return {
            "kind": self.question.kind,
            "title": self.purpose.title,
            "question": self.question.question,
            "note": note,
            "label": label,
            "lines": self._lines,
            "button": self.purpose.button,
            "again": AGAIN,
        }

    def _receive(self, _widget: object, message: dict[str, Any], _buffers: object) -> None:
        """Answer a browser's `{"answer": what its controls hold}`."""
        try:
            answer = self.question.read(message["answer"])
        except ValueError as error:
            self.send({"words": str(error), "failed": True})
            return
        words = self.respond(answer)
        if self._standing:
            self._standing.update(paragraph(self.standing()))
        self.send({"words": words, "failed": False})

    def _text(self) -> Text:
        """What reads without a kernel."""
        title, question, note = self.purpose.title, self.question.question, self.question.note
        hidden, run = self.hidden(), self.purpose.without_kernel
        entries = "".join(f"<li>{html.escape(line)}</li>" for line in self._lines)
        body = [
            f"<p><strong>{title}.</strong> {html.escape(question)}</p>",
            f"<ul>{entries}</ul>" if entries else "",
            f"<p>{html.escape(note)} <em>{run}</em></p>",
            f"<details>{SUMMARY}<p>{html.escape(hidden)}</p></details>" if hidden else "",
        ]
        plain = [f"{title}. {question}", *(f"- {line}" for line in self._lines), f"{note} {run}"]
        return Text("".join(body), "\n".join(plain + [f"The answer: {hidden}"] * bool(hidden)))

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        data, metadata = super()._repr_mimebundle_(**kwargs) or ({}, {})
        text = self._text()
        return {**data, "text/html": text.html, "text/plain": text.plain}, metadata

    def __repr__(self) -> str:
        return self._text().plain
