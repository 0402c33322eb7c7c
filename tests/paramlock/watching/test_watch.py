"""The watch: the real steps' numbers, nothing left behind, and callbacks that fit."""

from __future__ import annotations

import csv
import importlib
import json
import math
import sys
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from paramlock import loggers
from paramlock.watching import live
from paramlock.watching.watch import watch
from tests.paramlock import zoo


def trained(model, optimizer, steps=7, data=None):
    x, y = data or zoo.vectors()
    for _ in range(steps):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()


def hooks(thing):
    return [len(v) for k, v in vars(thing).items() if k.endswith("hooks")]


@pytest.fixture
def run():
    torch.manual_seed(0)
    model = zoo.mlp(nn.ReLU)
    return model, torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)


def test_it_looks_at_every_nth_step(run):
    with watch(*run, every=3, live=False) as seen:
        trained(*run)
    assert seen.steps == [0, 3, 6]
    assert seen.layers == ["0", "2", "4", "6"]


def test_update_and_gradient_are_those_of_the_step(run):
    model, optimizer = run
    before = [p.detach().clone() for p in model[2].parameters()]
    with watch(model, optimizer, every=1, live=False) as seen:
        trained(model, optimizer, steps=1)
    pairs = zip(before, model[2].parameters(), strict=True)
    moved = math.hypot(*((b - a).norm().item() for a, b in pairs))
    whole = math.hypot(*(p.norm().item() for p in before))
    assert seen.series("update", "2")[0] == pytest.approx(moved / whole, rel=1e-4)
    shares = [seen.series("gradient", name)[0] for name in seen.layers]
    assert math.hypot(*shares) == pytest.approx(1)


def test_dead_and_saturated_units_are_seen():
    torch.manual_seed(0)
    model = zoo.killed(zoo.mlp(nn.ReLU), "2", slice(0, 4))
    model[5] = nn.Sigmoid()
    zoo.scale(model[4], 1e3)
    optimizer = torch.optim.SGD(model.parameters(), 1e-6)
    with watch(model, optimizer, every=1, live=False) as seen:
        trained(model, optimizer, steps=1)
    assert seen.series("dead", "2")[0] >= 4 / 16
    assert seen.series("saturated", "4")[0] > 0.5
    assert math.isnan(seen.series("dead", "6")[0])


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.LSTM(3, 8, num_layers=2, dropout=0.3, batch_first=True)
        self.head = nn.Linear(8, 4)

    def forward(self, x):
        return self.head(self.rnn(x)[0][:, -1])


class Attentive(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, dropout=0.3, batch_first=True)
        self.head = nn.Linear(8, 4)

    def forward(self, x):
        return self.head(self.attention(x, x, x, need_weights=False)[0][:, -1])


FUSED = {Recurrent: ("rnn", 3), Attentive: ("attention", 8)}


@pytest.mark.parametrize("kind", FUSED)
def test_saturation_inside_fused_calls_is_seen_on_request(kind):
    (layer, inputs), seen, weights = FUSED[kind], {}, []
    x, y = torch.randn(6, 5, inputs), torch.tensor([0, 1, 2, 3, 0, 1])
    for replay in (False, True):
        torch.manual_seed(0)
        model = kind()
        with torch.no_grad():
            torch._foreach_mul_([*getattr(model, layer).parameters()], 30)
        optimizer = torch.optim.SGD(model.parameters(), 0.01)
        with watch(model, optimizer, every=1, replay=replay, live=False) as seen[replay]:
            trained(model, optimizer, steps=3, data=(x, y))
        weights.append(torch.cat([p.detach().flatten() for p in model.parameters()]))
    assert min(seen[True].series("saturated", layer)) > 0.5
    assert all(math.isnan(share) for share in seen[False].series("saturated", layer))
    assert torch.equal(*weights), "a replay draws no random numbers and moves nothing"


def test_watching_changes_neither_training_nor_hooks(run):
    def final(watched):
        torch.manual_seed(3)
        model = nn.Sequential(zoo.mlp(nn.GELU), nn.Dropout(0.2))
        optimizer = torch.optim.Adam(model.parameters(), 1e-2)
        seen = watch(model, optimizer, every=2, live=False)
        bare = hooks(model), hooks(optimizer)
        if watched:
            seen.start()
        trained(model, optimizer)
        seen.stop()
        assert (hooks(model), hooks(optimizer)) == bare
        return torch.cat([p.flatten() for p in model.parameters()])

    assert torch.equal(final(True), final(False))


def test_it_lets_go_when_training_fails(run):
    model, optimizer = run
    bare = hooks(model), hooks(optimizer)
    with pytest.raises(RuntimeError), watch(model, optimizer, live=False):
        trained(model, optimizer, data=(torch.randn(4, 5), torch.zeros(4, dtype=torch.long)))
    assert (hooks(model), hooks(optimizer)) == bare
    assert not torch.overrides._get_current_function_mode_stack()


def test_validation_and_accumulation_between_steps_do_no_harm(run):
    model, optimizer = run
    x, y = zoo.vectors()
    with watch(model, optimizer, every=1, live=False) as seen:
        for _ in range(2):
            with torch.no_grad():
                model(x)
            for _ in range(2):
                F.cross_entropy(model(x), y).backward()
            optimizer.step()
    assert seen.steps == [0, 1]


def test_gradients_that_underflow_are_seen():
    torch.manual_seed(0)
    model = zoo.mlp(nn.Sigmoid, depth=28)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with watch(model, optimizer, every=1, live=False) as seen:
        trained(model, optimizer, steps=1)
    assert 0 < seen.series("gradient", "0")[0] < 1e-15


def test_values_that_are_not_finite_are_said(run, capsys):
    model, optimizer = run
    zoo.fill(model[2].weight, math.inf)
    with watch(model, optimizer, every=1, live=True):
        trained(model, optimizer, steps=1)
    assert "not finite" in capsys.readouterr().err


def test_a_terminal_gets_a_line_now_and_then(run, capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with watch(*run, every=1, interval=60):
        trained(*run)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(":")[0] for line in lines] == ["step 0", "step 6"]
    assert "least update" in lines[0]


def test_a_log_gets_nothing_unless_asked(run, capsys):
    with watch(*run, every=1):
        trained(*run)
    assert not capsys.readouterr().err
    with watch(*run, every=1, live=True):
        trained(*run)
    assert "step 6" in capsys.readouterr().err


def noted(seen, steps=6):
    """A loop in JAX, as the watch is told of it."""
    for step in range(steps):
        seen.note(*({"layer": {"kernel": np.full((2, 2), size)}} for size in (1.0, 0.5, step)))


def test_a_loop_that_notes_its_steps_shows_the_last_one_at_the_end(capsys):
    def shown():
        return [line.split(":")[0] for line in capsys.readouterr().err.splitlines()]

    with watch(every=2, interval=60, live=True) as seen:
        noted(seen)
    assert shown() == ["step 0", "step 4"]
    seen.stop()
    assert not shown(), "it has stopped"
    by_hand = watch(every=2, interval=60, live=True)
    noted(by_hand)
    by_hand.stop()
    assert shown() == ["step 0", "step 4"]
    with pytest.warns(UserWarning, match="saw no step"), watch(every=2) as unused:
        pass
    assert not shown() and not unused.history


def test_a_notebook_gets_one_figure_that_follows(run, monkeypatch):
    shown = []

    class Handle:
        def update(self, picture):
            shown.append(picture)

    monkeypatch.setattr(live, "_in_notebook", lambda: True)
    monkeypatch.setattr(
        "IPython.display.display", lambda p, display_id: shown.append(p) or Handle()
    )
    with watch(*run, every=2, interval=0):
        trained(*run)
    assert len(shown) == 5  # four looks, and once more at the end
    assert all("least update" in picture.alt for picture in shown)


def test_the_history_is_written_as_json_and_csv(run, tmp_path):
    with watch(*run, every=3, live=False) as seen:
        trained(*run)
    assert json.loads(seen.to_json())["records"][1]["step"] == 3
    seen.to_csv(tmp_path / "run.csv")
    rows = list(csv.DictReader((tmp_path / "run.csv").read_text().splitlines()))
    assert len(rows) == 3 * 4
    assert float(rows[0]["update"]) == seen.series("update", "0")[0]
    assert seen._repr_html_().startswith("<div") and "step 6" in repr(seen)


def test_lightning_runs_it_as_a_callback(tmp_path, recwarn):
    import warnings

    name = "lightning.pytorch" if find_spec("lightning") else "pytorch_lightning"
    lightning = pytest.importorskip(name)

    class Module(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.net = zoo.mlp()

        def forward(self, x):
            return self.net(x)

        def training_step(self, batch, index):
            return F.cross_entropy(self(batch[0]), batch[1])

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), 0.1)

    data = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(*zoo.vectors()), 24)
    logger = importlib.import_module(f"{name}.loggers").CSVLogger(tmp_path)
    seen = watch(None, every=2, live=False, on_record=loggers.to_logger(logger))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Lightning's own
        trainer = lightning.Trainer(
            max_epochs=2,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            accelerator="cpu",
            callbacks=[seen.lightning_callback()],
        )
        trainer.fit(Module(), data)
    assert seen.steps == [0, 2, 4, 6]
    assert seen.layers == ["net.0", "net.2", "net.4", "net.6"]
    logged = logger.experiment.metrics
    assert [row["step"] for row in logged] == seen.steps
    assert logged[1]["paramlock/update/net.2"] == seen.series("update", "net.2")[1]


def test_bad_use_gets_one_clear_error(run):
    with pytest.raises(ValueError, match="1 or more"):
        watch(*run, every=0)
    for model, optimizer in ((run[0], None), (None, run[1])):
        with pytest.raises(ValueError, match="torch model and its optimizer"):
            watch(model, optimizer, live=False).start()
    seen = watch(*run, live=False)
    with pytest.raises(ValueError, match="nothing was recorded"):
        seen.plot()
    with seen, pytest.raises(RuntimeError, match="started already"):
        seen.start()
    with watch(*run, every=1, live=False) as seen:
        trained(*run, steps=1)
    with pytest.raises(ValueError, match="no layer is called"):
        seen.series("update", "nine")
    with pytest.raises(ValueError, match="quantity is"):
        seen.series("loss", "0")


def test_a_watch_that_was_given_nothing_and_saw_nothing_says_so(run):
    with pytest.warns(UserWarning, match="saw no step"), watch(live=False):
        trained(*run)
