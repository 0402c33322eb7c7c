"""A locking report as one HTML page: no script, no style sheet, no picture from elsewhere."""

from __future__ import annotations

import html
from collections.abc import Sequence

from paramlock.certifying.certificate import Certificate
from paramlock.certifying.locks import Lock
from paramlock.unlocking.remedies import Remedies, remedies

STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; display: block; overflow-x: auto; margin: 1rem 0; }
th, td { padding: 0.15rem 0.6rem; border-bottom: 1px solid #8886; }
caption { text-align: left; }
pre { white-space: pre-wrap; font: inherit; border-left: 6px solid; padding-left: 0.8rem; }
"""
COLOURS = {True: "#009E73", False: "#D55E00"}  # of the bar beside the verdict; words say it too


def page(title: str, verdict: str, undeclared: Sequence[Lock], certificate: Certificate) -> str:
    """The whole page: verdict, picture, certificate, and what opens the undeclared locks."""
    name = html.escape(title)
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{name}</title><style>{STYLE}</style></head>\n<body><main><h1>{name}</h1>\n"
        f"{body(verdict, undeclared, certificate)}</main></body></html>\n"
    )


def body(verdict: str, undeclared: Sequence[Lock], certificate: Certificate) -> str:
    """What stands on the page, for a notebook as well."""
    keys = Remedies(r for r in remedies(certificate) if r.lock in undeclared)
    opened = f"<h2>What opens the locks</h2>\n{keys._repr_html_()}" if keys else ""
    return (
        f'<pre style="border-color:{COLOURS[not undeclared]}">{html.escape(verdict)}</pre>\n'
        f"{certificate.plot()._repr_html_()}\n<h2>Certificate</h2>\n"
        f"{certificate._repr_html_()}\n{opened}\n"
    )
