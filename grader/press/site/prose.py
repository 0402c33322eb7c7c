"""Markdown as HTML for the site: formulas as MathML, links between pages, and JupyterLab's ids.

A browser shows MathML by itself, so a page needs no script and no font from elsewhere for it.
"""

from __future__ import annotations

import html
import posixpath
import re
from collections.abc import Container
from typing import Any
from urllib.parse import quote, unquote

from latex2mathml.converter import convert
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

NOTEBOOK_OR_TEXT = re.compile(r"\.(ipynb|md)$")
ELSEWHERE = ("http:", "https:", "mailto:")


class Prose:
    """Renders the Markdown of one page; `pages` are the addresses that there are on the site."""

    def __init__(self, page: str, pages: Container[str], of_a_file: bool = False) -> None:
        """Renders for the page of that address, such as `lessons/02_dead_relu.html`.

        Links to headings are written as JupyterLab finds them; `of_a_file`, as code hosts do.
        """
        self._renderer = (_OfAFile if of_a_file else _Renderer)(page, pages)

    def rendered(self, text: str) -> str:
        """The text as HTML."""
        return MarkdownWithMath(renderer=self._renderer).render(text)


class _Renderer(IPythonRenderer):
    def __init__(self, page: str, pages: Container[str]) -> None:
        super().__init__(escape=False, anchor_link_text="#")
        self._page, self._pages = page, pages

    def inline_math(self, body: str) -> str:
        """A formula in a line."""
        return mathml(body)

    def block_math(self, body: str) -> str:
        """A formula on its own; where it is too wide it can be scrolled, by keyboard as well."""
        return f'<div class="formula" tabindex="0">{mathml(body, "block")}</div>'

    def block_code(self, code: str, info: str | None = None) -> str:
        """A piece of code, which can be scrolled by keyboard as well."""
        return super().block_code(code, info).replace("<pre>", '<pre tabindex="0">', 1)

    def link(self, text: str, url: str, title: str | None = None) -> str:
        """A link to another page or elsewhere; one to what is not on the site is left as text."""
        if url.startswith((*ELSEWHERE, "#")):
            return super().link(text, url, title)
        path, _, fragment = url.partition("#")
        page = NOTEBOOK_OR_TEXT.sub(".html", unquote(path))
        if (
            posixpath.normpath(posixpath.join(posixpath.dirname(self._page), page))
            not in self._pages
        ):
            return text
        return super().link(text, quote(page) + (f"#{fragment}" if fragment else ""), title)

    def table(self, text: str) -> str:
        """A table that can be scrolled where it is too wide."""
        return f'<div class="scroll" tabindex="0"><table>{text}</table></div>'


class _OfAFile(_Renderer):
    def heading(self, text: str, level: int, **attrs: Any) -> str:
        """A heading whose id is its words in small letters, without punctuation."""
        plain = html.unescape(re.sub(r"<[^>]+>", "", text)).lower()
        place = re.sub(r"[^\w -]", "", plain).replace(" ", "-")
        return f'<h{level} id="{place}">{text}</h{level}>\n'


def mathml(tex: str, display: str = "inline") -> str:
    """A formula in TeX as MathML."""
    return convert(tex.strip(), display=display)
