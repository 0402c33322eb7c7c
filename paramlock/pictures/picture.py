"""A picture that says in words what it shows: a PNG with alternative text on a white card."""

from __future__ import annotations

import base64
import html


class Picture:
    """A PNG with alternative text, shown as a white card; in a terminal it is its text."""

    def __init__(self, png: bytes, alt: str) -> None:
        """A picture of the bytes of a PNG.

        Raises:
            ValueError: no alternative text.
        """
        if not alt.strip():
            raise ValueError("a picture needs alternative text: say in a sentence what it shows")
        self.png = png
        self.alt = " ".join(alt.split())

    def __repr__(self) -> str:
        return f"[Figure: {self.alt}]"

    def _repr_html_(self) -> str:
        source = base64.b64encode(self.png).decode("ascii")
        return (
            '<div class="paramlock-figure" style="background:#fff;padding:8px;border-radius:6px;'
            'display:inline-block;max-width:100%">'
            f'<img alt="{html.escape(self.alt)}" src="data:image/png;base64,{source}" '
            'style="max-width:100%;height:auto"></div>'
        )
