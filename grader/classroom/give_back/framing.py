"""The frame of a page that needs nothing but itself, in light and in dark."""

from __future__ import annotations

from html import escape


def framed(title: str, body: str, style: str) -> str:
    """A whole page: `style` is CSS, `body` is HTML, and the title a text."""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<title>{escape(title)}</title>
<style>
body {{ background: Canvas; color: CanvasText; font: 1rem/1.5 system-ui, sans-serif }}
body {{ margin: auto; padding: 1rem }}
table {{ border-collapse: collapse }}
{style}
</style>
</head>
<body>
<main>
{body}
</main>
</body>
</html>
"""
