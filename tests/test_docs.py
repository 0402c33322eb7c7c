"""The page on the certificate: its example runs, and it names every key, and no other."""

from __future__ import annotations

import re

import pytest

from tests import ROOT

PAGE = (ROOT / "docs" / "certificate.md").read_text(encoding="utf-8")
SECTIONS = {
    "The top level": lambda record: record,
    "A lock": lambda record: record["locks"][0],
    "A parameter": lambda record: record["parameters"][0],
    "A layer": lambda record: record["layers"][0],
    "A site": lambda record: record["sites"][0],
    "A normalisation": lambda record: record["normalisations"][0],
}


@pytest.fixture(scope="module")
def example():
    """Run the page's example, and one with a norm layer; return both records."""
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    scope: dict = {}
    exec(compile(code, "docs/certificate.md", "exec"), scope)
    nn, torch = scope["nn"], scope["torch"]
    normed = nn.Sequential(nn.Linear(8, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 3))
    loss = nn.CrossEntropyLoss()
    data = torch.randn(96, 8), torch.randint(0, 3, (96,))
    other = scope["paramlock"].certificate(normed, data, loss).to_dict()
    return {**scope["record"], "normalisations": other["normalisations"]}


@pytest.mark.parametrize("section", SECTIONS)
def test_the_page_names_every_key(example, section):
    (text,) = re.findall(rf"^## {section}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    cells = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    named = {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}
    assert named == set(SECTIONS[section](example))
