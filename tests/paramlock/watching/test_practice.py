"""Watches in the ways in which people really train: see docs/practice.md."""

from __future__ import annotations

import copy
import math
import pickle

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from paramlock.watching.watch import watch
from tests.paramlock import zoo


class Model(nn.Module):
    """A layer whose bias kills all its units, and one more; ``parts``: called one by one."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(8, 16), nn.ReLU())
        self.out = nn.Linear(16, 3)
        nn.init.constant_(self.net[0].bias, -100.0)

    def forward(self, x):
        return self.out(self.net(x))


def hooks(thing):
    modules = thing.modules() if isinstance(thing, nn.Module) else [thing]
    return [len(v) for m in modules for k, v in vars(m).items() if k.endswith("hooks")]


torch.manual_seed(1)
DATA = zoo.vectors()


def stepped(model, optimizer, call=None):
    x, y = DATA
    optimizer.zero_grad()
    F.cross_entropy(call(model, x) if call else model(x), y).backward()
    optimizer.step()


def watched(model, optimizer, call=None, **options):
    with watch(model, optimizer, every=1, live=False, **options) as seen:
        stepped(model, optimizer, call)
    return seen


CALLS = {
    "by position": lambda m, x: m(x),
    "by keyword": lambda m, x: m(x=x),
    "part by part": lambda m, x: m.out(m.net(x)),
    "after one without gradients": lambda m, x: (torch.no_grad()(m)(x), m(x))[1],
}


@pytest.mark.parametrize("call", CALLS)
def test_units_are_seen_however_the_model_is_called(call):
    torch.manual_seed(0)
    model = Model()
    seen = watched(model, torch.optim.Adam(model.parameters()), CALLS[call])
    assert seen.series("dead", "net.0") == [1.0] and not seen.history[0].unseen
    assert "dead up to 100%" in str(seen) and "not seen" not in str(seen)
    assert not any(hooks(model))


def test_what_is_not_seen_is_said_and_not_counted_as_nothing():
    model = Model()
    weights = [model.net[0].weight, model.net[0].bias]
    optimizer = torch.optim.Adam(model.parameters())
    seen = watched(model, optimizer, lambda m, x: m.out(torch.relu(F.linear(x, *weights))))
    assert seen.history[0].unseen == ["net.0"] and math.isnan(seen.series("dead", "net.0")[0])
    assert "no activation was seen" in str(seen) and "not seen: net.0" in str(seen)
    assert "dead" not in str(seen)


@pytest.mark.parametrize("reentrant", [False, True])
@pytest.mark.parametrize("activation", [nn.GELU, nn.SiLU, nn.LeakyReLU])
def test_a_checkpointed_step_is_the_same_with_a_watch(reentrant, activation):
    def make():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(8, 16), nn.Linear(16, 16), activation(), nn.Linear(16, 3))

    def call(m, x):
        return m[3](checkpoint(m[1:3], m[0](x), use_reentrant=reentrant))

    plain, model = make(), make()
    stepped(plain, torch.optim.SGD(plain.parameters(), 0.1), call)
    seen = watched(model, torch.optim.SGD(model.parameters(), 0.1), call)
    assert all(map(torch.equal, plain.parameters(), model.parameters()))
    assert seen.series("update", "1")[0] > 0


@pytest.mark.usefixtures("torch_compiles")
def test_compiled_code_is_left_as_it_was_compiled_and_said_to_be_unseen():
    from torch._dynamo.utils import counters

    torch.manual_seed(0)
    model = Model()
    model.net = torch.compile(model.net, backend="eager")
    optimizer = torch.optim.Adam(model.parameters())
    stepped(model, optimizer)
    before = counters["stats"]["unique_graphs"], sum(counters["graph_break"].values())
    seen = watched(model, optimizer)
    assert seen.layers == ["net.0", "out"] and seen.history[0].unseen == ["net.0"]
    assert before == (counters["stats"]["unique_graphs"], sum(counters["graph_break"].values()))
    whole = torch.compile(Model(), backend="eager")
    seen = watched(whole, torch.optim.Adam(whole.parameters()))
    assert seen.history[0].unseen == ["net.0", "out"]


@pytest.mark.usefixtures("torch_compiles")
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
def test_a_compiled_function_in_a_look_compiles_once_more_and_unbroken():
    from torch._dynamo.utils import counters

    model = Model()
    inner = torch.compile(lambda h: torch.tanh(h) * 2, backend="eager", fullgraph=True)
    optimizer = torch.optim.Adam(model.parameters())

    model.out = nn.Sequential(model.out)
    model.out.forward = lambda h: inner(model.out[0](h))
    for look in range(3):
        counters.clear()
        watched(model, optimizer)
        assert counters["stats"]["unique_graphs"] == (look == 0)
        assert not counters["graph_break"]


def test_wrapped_optimizers_are_watched_and_nothing_is_left_after_an_error():
    from accelerate import Accelerator
    from accelerate.optimizer import AcceleratedOptimizer

    Accelerator(cpu=True)
    model = Model()
    inner = torch.optim.AdamW(model.parameters())
    assert watched(model, AcceleratedOptimizer(inner)).steps == [0]
    other = torch.optim.AdamW(zoo.mlp().parameters())
    for wrong in (other, "adamw", [inner, "adamw"], [other], []):
        with pytest.raises(ValueError, match=r"optimizer"):
            watch(model, wrong, live=False).start()
        assert not any(hooks(model)) and not any(hooks(inner)) and not any(hooks(other))
    with pytest.raises(ZeroDivisionError), watch(model, inner, every=1, live=False):
        stepped(model, inner, lambda m, x: m(x) / 0 if m(x).numel() else 1 // 0)
        1 // 0  # noqa: B018
    assert not any(hooks(model)) and not any(hooks(inner))


def test_a_forward_that_fails_leaves_no_mode_behind():
    class Fails(Model):
        def forward(self, x):
            raise KeyboardInterrupt

    model = Fails()
    optimizer = torch.optim.Adam(model.parameters())
    with pytest.raises(KeyboardInterrupt), watch(model, optimizer, every=1, live=False):
        model(zoo.vectors()[0])
    assert torch.overrides._get_current_function_mode() is None and not any(hooks(model))


def test_several_optimizers_step_in_rounds():
    torch.manual_seed(0)
    model = Model()
    one, two = (torch.optim.SGD(part.parameters(), 0.1) for part in (model.net, model.out))
    with watch(model, [one, two], every=1, live=False) as seen:
        for optimizers in ([one, two], [two], [two, one], [one]):
            x, y = zoo.vectors()
            F.cross_entropy(model(x), y).backward()
            for optimizer in optimizers:
                optimizer.step()
    moved = [not math.isnan(v) for v in seen.series("update", "net.0")]
    assert seen.steps == [0, 1, 2, 3] and moved == [True, False, True, True]
    assert [not math.isnan(v) for v in seen.series("update", "out")] == [True, True, True, False]


def test_a_scaler_that_skips_every_step_is_told():
    torch.manual_seed(0)
    model, (x, y) = zoo.mlp(), zoo.vectors()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**120)
    with watch(model, optimizer, every=1, live=False) as seen:
        for _ in range(5):
            optimizer.zero_grad()
            scaler.scale(F.cross_entropy(model(x), y) * 1e15).backward()
            scaler.step(optimizer)
            scaler.update()
    assert not seen.history and "5 passes and no step" in str(seen) and "skipped" in str(seen)


def test_copies_of_a_watched_model_are_not_watched():
    model = Model()
    optimizer = torch.optim.Adam(model.parameters())
    with watch(model, optimizer, every=1, live=False) as seen:
        for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
            stepped(twin, torch.optim.Adam(twin.parameters()))
        assert not seen.history
        stepped(model, optimizer)
    assert seen.steps == [0]


def test_a_look_that_fails_is_warned_of_and_ends_no_step(monkeypatch):
    from paramlock.watching import in_torch

    def fails(*_):
        raise RuntimeError("out of memory")

    monkeypatch.setattr(in_torch, "states", fails)
    model = Model()
    before = model.out.bias.detach().clone()
    with pytest.warns(RuntimeWarning, match=r"out of memory\); training goes on"):
        seen = watched(model, torch.optim.Adam(model.parameters()))
    assert not seen.history and not torch.equal(before, model.out.bias)


def test_whole_numbers_and_ragged_inputs_are_watched():
    torch.manual_seed(0)
    model = Model()
    model.scale = nn.Parameter(torch.ones(3, dtype=torch.int8), requires_grad=False)
    x, y = DATA
    rows = torch.nested.nested_tensor([r[None].expand(2 + i % 3, -1) for i, r in enumerate(x)],
                                      layout=torch.jagged)  # fmt: skip
    optimizer = torch.optim.Adam(p for p in model.parameters() if p.requires_grad)
    seen = watched(model, optimizer, lambda m, _: m(rows).to_padded_tensor(0.0).mean(1))
    assert seen.series("update", "out")[0] > 0
    assert model.scale.dtype == torch.int8 and len(y) == len(rows.unbind())
