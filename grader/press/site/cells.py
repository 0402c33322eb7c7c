"""Notebooks as HTML for the site. What is folded in JupyterLab is folded here.

Of self-checks the source is left out, for it holds the answers; what was measured after a
prediction is to be unfolded, so that whoever reads can guess first.
"""

from __future__ import annotations

import html
from collections.abc import Iterator

from nbformat import NotebookNode
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from grader.press.building import ASKS
from grader.press.site.prose import Prose

UNANSWERED = ("<p>No guess is kept yet.</p>", "<p>Not answered yet.</p>")
"""What stands under a form that nobody has used; on the site nobody can."""


def notebook_html(notebook: NotebookNode, prose: Prose, outputs: bool) -> str:
    """The cells of a notebook; without `outputs` the texts and the code alone."""
    return "\n".join(
        part for cell in notebook.cells for part in _cell(cell, prose, outputs) if part
    )


def _cell(cell: NotebookNode, prose: Prose, outputs: bool) -> Iterator[str]:
    if cell.cell_type == "markdown":
        yield prose.rendered(cell.source)
        return
    hidden = cell.metadata.get("jupyter", {})
    if not ASKS.search(cell.source):
        yield _code(cell.source, bool(hidden.get("source_hidden")))
    shown = "".join(map(_output, cell.outputs)) if outputs else ""
    if shown and hidden.get("outputs_hidden"):
        yield _folded("Guess first. Then unfold what was measured.", shown, "measured")
    elif shown:
        yield shown


def _code(source: str, folded: bool) -> str:
    code = highlight(source, PythonLexer(), HtmlFormatter(wrapcode=True))
    code = code.replace("<pre>", '<pre tabindex="0">', 1)
    return _folded(source.partition("\n")[0].lstrip("# "), code, "code") if folded else code


def _folded(summary: str, body: str, kind: str) -> str:
    head = f"<summary>{html.escape(summary)}</summary>"
    return f'<details class="{kind}">{head}{body}</details>'


def _output(output: NotebookNode) -> str:
    data = output.get("data", {})
    shown = data.get("text/html") or f"<pre>{html.escape(_plain(output))}</pre>"
    return "" if shown in UNANSWERED else f'<div class="output" tabindex="0">{shown}</div>'


def _plain(output: NotebookNode) -> str:
    return str(output.get("text") or output.get("data", {}).get("text/plain", ""))
