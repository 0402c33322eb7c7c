"""The command and the assertion: what was declared passes, what was not is named, one sentence."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

from paramlock.auditing.command import main

SICK = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 16), nn.Tanh())
        self.head = nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 3))

    def forward(self, x):
        return self.head(self.encoder(x))

def build(dead=True):
    torch.manual_seed(0)
    model = Net()
    model.encoder[0].requires_grad_(False)
    model.encoder[2].weight.requires_grad_(False)
    if dead:
        nn.init.constant_(model.head[0].bias[5:6].data, -100.0)
    return model, (torch.randn(96, 8), torch.randint(0, 3, (96,))), nn.CrossEntropyLoss()

def mapped():
    model, data, loss = build(dead=False)
    optimizer = torch.optim.SGD([model.head[0].weight], 0.1)
    return {"model": model, "data": data, "loss": loss, "optimizer": optimizer}

def raises():
    raise KeyError("weights.pt")

def wrong():
    return build(), None

def misfit():
    model, (x, y), loss = build()
    return model, (x[:, :5], y), loss

def losing():
    def loss(outputs, targets):
        return {}["missing"]
    return (*build()[:2], loss)

number = 3

def unclean():
    model, (x, y), loss = build(dead=False)
    return model, (x / torch.zeros(8), y), loss
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "sick_net.py").write_text(SICK, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield tmp_path
    sys.modules.pop("sick_net", None)


def test_a_lock_that_was_not_declared_fails_the_run(folder):
    """As a CI runs it: in a process of its own."""
    call = [sys.executable, "-m", "paramlock", "certify", "sick_net.py:build"]
    written = ["--json", "verdict.json", "--html", "report.html", "--allow", "frozen:encoder.*"]
    done = subprocess.run([*call, *written], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, "")
    assert "1 of 3 locks not declared:\n- dead at head.0: 1 of 16 units" in done.stdout
    assert "Declared: frozen at encoder.0, frozen at encoder.2.weight" in done.stdout
    record = json.loads((folder / "verdict.json").read_text(encoding="utf-8"))
    assert [lock["place"] for lock in record["undeclared"]] == ["head.0"]
    assert (record["passed"], record["certificate"]["samples"]) == (False, 96)
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "sick_net.py:build" in page and "paramlock.torch.reinitialise_units(" in page
    assert "paramlock.torch.unfreeze(" not in page, "what was meant needs no key"
    assert "data:image/webp" in page and not re.search(r"https?://|<script|<link", page)


def test_what_was_declared_passes(folder, capsys):
    given = ["certify", "sick_net.py:build", "--allow", "frozen:encoder", "--allow"]
    assert main([*given, "dead"]) == 0
    assert "Every lock was declared (3)." in capsys.readouterr().out
    assert main([*given, "dead:head.0"]) == 0
    assert main([*given, "dead:head.2"]) == 1
    assert "Declared, but not there: dead:head.2" in capsys.readouterr().out
    assert main(["certify", "sick_net:build", "--allow", "frozen:encoder.0"]) == 1
    assert "frozen at encoder.2.weight" in capsys.readouterr().out


def test_a_mapping_gives_all_that_a_certificate_takes(folder, capsys):
    assert main(["certify", "sick_net.py:mapped", "--allow", "frozen:encoder"]) == 1
    assert "idle at head.2" in capsys.readouterr().out


def test_a_lock_at_no_place_of_the_model_is_declared_by_its_kind(folder, capsys):
    given = ["certify", "sick_net.py:unclean", "--json", "verdict.json", "--allow", "frozen"]
    given.append("--allow")
    assert main([*given, "nonfinite"]) == 0
    declared = json.loads((folder / "verdict.json").read_text(encoding="utf-8"))["declared"]
    assert (declared[0]["place"], declared[0]["pseudo"]) == ("input", True)
    assert main([*given, "nonfinite:**"]) == 1
    assert "nonfinite at the input" in capsys.readouterr().out


REFUSED = {
    "sick_net.py": "names no function: write FILE.py:FUNCTION",
    "absent.py:build": "there is no file absent.py",
    "absent:build": "importing absent raised ModuleNotFoundError: No module",
    "broken.py:build": "importing broken.py raised IndentationError on line 2 of broken.py",
    "leaves.py:build": "importing leaves.py raised SystemExit on line 1 of leaves.py: 3",
    "json.py:build": "called like the module json: rename the file",
    "sick_net.py:biuld": "has no function 'biuld'; near it are build",
    "sick_net.py:number": "has no function 'number'",
    "sick_net.py:raises": "raised KeyError on line 29 of sick_net.py: 'weights.pt'",
    "sick_net.py:wrong": "returned tuple of 2, not (model, data, loss) or a mapping",
    "sick_net.py:misfit": "model or loss failed on batch 0 (inputs (96, 5))",
    "sick_net.py:losing": "raised KeyError on line 40 of sick_net.py: 'missing'",
    "sick_net.py:build --allow deda": "'deda' is none; near it is dead. Write KIND",
    "sick_net.py:build --allow frozen:encodr": "called 'encodr'; near it are 'encoder'",
    "sick_net.py:build --json absent/verdict.json": "cannot be written: No such file",
    "sick_net.py:build --jsn x": "unrecognized arguments: --jsn x; see",
}


@pytest.mark.parametrize("given", REFUSED)
def test_bad_input_gets_one_plain_sentence(given, folder, capsys):
    (folder / "broken.py").write_text("def build():\nreturn 3", encoding="utf-8")
    (folder / "leaves.py").write_text("raise SystemExit(3)", encoding="utf-8")
    (folder / "json.py").write_text("def build(): ...", encoding="utf-8")
    assert main(["certify", *given.split()]) == 2
    said = capsys.readouterr().err
    assert REFUSED[given] in said and said.count("\n") == 1 and said.startswith("paramlock: ")


TESTS = """
import paramlock
from sick_net import build

def test_all_but_the_encoder_learns():
    model, data, loss = build(dead=False)
    found = paramlock.assert_learns(model, data, loss, allow="frozen:encoder")
    assert [lock.kind for lock in found.locks] == ["frozen", "frozen"]

def test_all_learns():
    paramlock.assert_learns(*build(), allow=["frozen:encoder"])
"""


def test_pytest_shows_the_test_and_the_locks_alone(folder, capsys):
    (folder / "test_net.py").write_text(TESTS, encoding="utf-8")
    config = ["-c", str(folder / "pytest.ini"), "--rootdir", str(folder), "-p", "no:cacheprovider"]
    (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    assert pytest.main([*config, "-q", "test_net.py"]) == 1
    said = capsys.readouterr().out
    assert "1 failed, 1 passed" in said and "1 of 3 locks not declared:" in said
    assert "- dead at head.0: 1 of 16 units" in said and "declared.py" not in said
