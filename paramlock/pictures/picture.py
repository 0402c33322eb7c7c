"""A picture that says in words what it shows: a WebP with alternative text on a white card."""

from __future__ import annotations

import base64
import html


class Picture:
    """A WebP with alternative text, shown as a white card; in a terminal it is its text."""

    def __init__(self, webp: bytes, alt: str, width: int) -> None:
        """A picture of the bytes of a WebP, `width` pixels wide on a page that has the room.

        Raises:
            ValueError: no alternative text.
        """
        if not alt.strip():
            raise ValueError("a picture needs alternative text: say in a sentence what it shows")
        self.webp = webp
        self.alt = " ".join(alt.split())
        self.width = width

    def __repr__(self) -> str:
        return f"[Figure: {self.alt}]"

    def _repr_html_(self) -> str:
        source = base64.b64encode(self.webp).decode("ascii")
        return (
            '<div class="paramlock-figure" style="background:#fff;padding:8px;border-radius:6px;'
            'display:inline-block;max-width:100%;box-sizing:border-box">'
            f'<img alt="{html.escape(self.alt)}" src="data:image/webp;base64,{source}" '
            f'width="{self.width}" style="max-width:100%;height:auto"></div>'
        )
