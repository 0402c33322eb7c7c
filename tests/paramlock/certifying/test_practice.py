"""Certificates in the ways in which people really train: see docs/practice.md."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from paramlock.certifying.certificate import certificate
from paramlock.unlocking.remedies import remedies
from tests.paramlock import zoo

MODES = pytest.mark.parametrize("reentrant", [False, True])


class Checkpointed(nn.Module):
    """A block under checkpoint; ``asks``: whether the block's input is made to need a gradient."""

    def __init__(self, reentrant, activation=nn.GELU, asks=True):
        super().__init__()
        self.a = nn.Linear(8, 16)
        self.b = nn.Sequential(nn.Linear(16, 16), activation())
        self.out = nn.Linear(16, 3)
        self.reentrant, self.asks = reentrant, asks

    def forward(self, x):
        hidden = self.a(x)
        hidden = hidden.requires_grad_() if self.asks else hidden
        return self.out(checkpoint(self.b, hidden, use_reentrant=self.reentrant))


def places(found):
    return [(lock.kind, lock.place) for lock in found.locks]


def numbers(found):
    return [(p.name, p.gradient, p.update) for p in found.measurement.parameters]


@MODES
@pytest.mark.parametrize("activation", [nn.GELU, nn.SiLU, nn.LeakyReLU])
def test_checkpointing_changes_nothing_that_is_found(reentrant, activation):
    torch.manual_seed(0)
    model, plain = Checkpointed(reentrant, activation), nn.Sequential()
    plain = nn.Sequential(copy.deepcopy(model.a), *copy.deepcopy(model.b), copy.deepcopy(model.out))
    kept = [p.register_post_accumulate_grad_hook(lambda p: pytest.fail("woken")) for p in
            model.parameters()]  # fmt: skip
    model.a.weight.grad = marked = torch.ones_like(model.a.weight)
    data = zoo.vectors()
    found, expected = (
        certificate(m, data, F.cross_entropy, optimizer=torch.optim.Adam(m.parameters()))
        for m in (model, plain)
    )
    assert places(found) == places(expected) == []
    ours, theirs = ([row[1:] for row in numbers(f)] for f in (found, expected))
    for one, other in zip(ours, theirs, strict=True):
        assert one == pytest.approx(other, rel=1e-5)
    assert [s.units for s in found.measurement.sites] == [16]
    assert model.a.weight.grad is marked and model.b[0].weight.grad is None and len(kept) == 6


@MODES
@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad=True")
def test_adapters_under_checkpointing_are_cut_off_where_nothing_below_asks_for_a_gradient(
    reentrant,
):
    for asks in (False, True):
        torch.manual_seed(0)
        model = Checkpointed(reentrant, asks=asks)
        model.a.requires_grad_(False)
        found = certificate(model, zoo.vectors(), F.cross_entropy)
        cut = [lock for lock in found.locks if lock.kind == "unreached"]
        assert [lock.place for lock in cut] == (["b.0"] if reentrant and not asks else [])
        assert all("reentrant checkpointing of inputs" in lock.cause for lock in cut)
    if reentrant:
        model = Checkpointed(True, asks=False)
        model.a.requires_grad_(False), model.out.requires_grad_(False)
        with pytest.raises(ValueError, match=r"enable_input_require_grads"):
            certificate(model, zoo.vectors(), F.cross_entropy)


@pytest.mark.parametrize("cut", ["detach", "no_grad"])
def test_what_cuts_the_graph_is_named(cut):
    class Cut(nn.Sequential):
        def forward(self, x):
            with torch.set_grad_enabled(cut != "no_grad"):
                x = torch.tanh(self[0](x))
            return self[1](x.detach() if cut == "detach" else x)

    [lock] = certificate(
        Cut(nn.Linear(8, 16), nn.Linear(16, 3)), zoo.vectors(), F.cross_entropy
    ).locks
    assert (lock.kind, lock.place) == ("unreached", "0") and f"cut off from the loss by {cut}" in (
        lock.cause
    )


class Tokens(nn.Module):
    """Views, slices and shifts its tokens before it looks them up, as language models do."""

    def __init__(self):
        super().__init__()
        self.words, self.a, self.out = nn.Embedding(20, 16), nn.Linear(16, 16), nn.Linear(16, 3)
        nn.init.constant_(self.a.bias, -100.0)

    def forward(self, ids):
        shifted = torch.cat([ids[:, 1:], ids[:, :1]], 1).view(-1, ids.shape[-1])
        return self.out(torch.relu(self.a(self.words(shifted))).mean(1))


def test_tokens_are_followed_to_their_embedding():
    torch.manual_seed(0)
    data = torch.randint(0, 20, (64, 5)), torch.randint(0, 3, (64,))
    found = certificate(Tokens(), data, F.cross_entropy)
    assert places(found) == [("dead", "a")] and not found.measurement.unseen
    assert all(layer.called for layer in found.measurement.layers)


@pytest.mark.usefixtures("torch_compiles")
@pytest.mark.parametrize("part", [False, True])
def test_compiled_code_is_looked_into_as_it_is_written(part):
    from torch._dynamo.utils import counters

    torch.manual_seed(0)
    model = zoo.killed(zoo.mlp(nn.ReLU), "2", slice(0, 16))
    data = zoo.vectors()
    expected = certificate(model, data, F.cross_entropy)
    whole = nn.Sequential(model) if part else model
    if part:
        whole[0] = torch.compile(model, backend="eager")
    else:
        whole = torch.compile(model, backend="eager")
    whole(zoo.vectors()[0])
    before = {name: dict(counts) for name, counts in counters.items()}
    found = certificate(whole, data, F.cross_entropy)
    assert {name: dict(counts) for name, counts in counters.items()} == before
    start = "0." if part else ""
    assert places(found) == [(kind, start + place) for kind, place in places(expected)]
    assert all(whole.get_submodule(p) is model.get_submodule(p.removeprefix(start))
               for _, p in places(found))  # fmt: skip


def test_an_optimizer_is_taken_out_of_what_is_wrapped_around_it():
    from accelerate import Accelerator
    from accelerate.optimizer import AcceleratedOptimizer

    Accelerator(cpu=True)
    model, data = zoo.mlp(), zoo.vectors()
    inner = torch.optim.AdamW(model.parameters())
    wrapped, bare = (
        certificate(model, data, F.cross_entropy, optimizer=o)
        for o in (AcceleratedOptimizer(inner), inner)
    )
    assert numbers(wrapped) == numbers(bare) and wrapped.measurement.optimizer == "AdamW"


def test_several_optimizers_take_their_steps_together():
    torch.manual_seed(0)
    model, data = zoo.mlp(), zoo.vectors()
    muon = torch.optim.Muon([p for p in model.parameters() if p.ndim == 2])
    adamw = torch.optim.AdamW([p for p in model.parameters() if p.ndim != 2])
    assert "idle" in {kind for kind, _ in places(certificate(model, data, F.cross_entropy,
                                                             optimizer=muon))}  # fmt: skip
    found = certificate(model, data, F.cross_entropy, optimizer=[muon, adamw])
    assert not found.locks and found.measurement.optimizer == "Muon and AdamW"
    assert all(p.update for p in found.measurement.parameters)
    with pytest.raises(ValueError, match=r"optimizer is str: .* or a list"):
        certificate(model, data, F.cross_entropy, optimizer=[muon, "adamw"])


def test_an_optimizer_that_fails_on_copies_leaves_a_note():
    class Odd(torch.optim.SGD):
        def step(self, closure=None):
            raise RuntimeError("only on Sundays")

    model = zoo.mlp()
    found = certificate(
        model, zoo.vectors(), F.cross_entropy, optimizer=Odd(model.parameters(), 0.1)
    )
    assert "only on Sundays" in found.measurement.notes[0]
    assert all(p.update is None and p.in_optimizer for p in found.measurement.parameters)


# --- zeros that open by themselves, and what is frozen on purpose


class Adapted(nn.Module):
    """A frozen layer and a low-rank path beside it, as fresh as it comes."""

    def __init__(self):
        super().__init__()
        self.base = nn.Linear(16, 16).requires_grad_(False)
        self.lora_a, self.lora_b = nn.Linear(16, 2, bias=False), nn.Linear(2, 16, bias=False)
        nn.init.zeros_(self.lora_b.weight)

    def forward(self, x):
        return torch.tanh(self.base(x) + self.lora_b(self.lora_a(x)))


def test_fresh_adapters_are_no_alarm_and_frozen_layers_are_summed_up():
    torch.manual_seed(0)
    layers = nn.ModuleList(Adapted() for _ in range(32))
    model = nn.Sequential(nn.Linear(8, 16), *layers, nn.Linear(16, 3))
    optimizer = torch.optim.AdamW(p for p in model.parameters() if p.requires_grad)
    found = certificate(model, zoo.vectors(), F.cross_entropy, optimizer=optimizer)
    frozen = [lock for lock in found.locks if lock.kind == "frozen"]
    assert [(lock.place, lock.value) for lock in frozen] == [("*.base", 32 * (256 + 16))]
    assert len(frozen[0].layers) == 32 and not {k for k, _ in places(found)} - {"frozen"}
    assert len(str(found).splitlines()) < 20 and "*.lora_b (32)" in str(found)
    [remedy] = remedies(found)
    assert remedy.call == 'paramlock.torch.unfreeze(model, "*.base", optimizer=optimizer)'


def test_frozen_layers_are_not_summed_up_under_a_name_that_others_bear():
    torch.manual_seed(0)
    model = nn.Sequential(*(nn.Linear(8, 8) for _ in range(6)), nn.Linear(8, 3))
    for layer in model[:6:2]:
        layer.requires_grad_(False)
    model[1].requires_grad_(False)
    found = certificate(model, zoo.vectors(), F.cross_entropy)
    assert [p for _, p in places(found)] == ["0", "1", "2", "4"]


class Gated(nn.Module):
    """A block with a gate at zero before a last layer at zero, as diffusion transformers start."""

    def __init__(self, shut=False):
        super().__init__()
        self.a, self.gate, self.out = nn.Linear(8, 16), nn.Linear(8, 16), nn.Linear(16, 3)
        self.token = nn.Parameter(torch.zeros(1, 16))
        nn.init.zeros_(self.gate.weight), nn.init.zeros_(self.gate.bias)
        nn.init.zeros_(self.out.weight)
        self.shut = shut

    def forward(self, x):
        hidden = self.token + torch.tanh(self.a(x))
        return self.out(self.gate(x) * hidden if self.shut else hidden + self.gate(x) * hidden)


def test_zeros_that_training_opens_are_no_lock():
    torch.manual_seed(0)
    assert not certificate(Gated(), zoo.vectors(), F.cross_entropy).locks
    closed = certificate(Gated(shut=True), zoo.vectors(), F.cross_entropy).locks
    assert {lock.kind for lock in closed} == {"zeroed"}  # both factors are zero: neither opens


# --- what was missed


class Listed(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden, self.out = [nn.Linear(8, 8) for _ in range(3)], nn.Linear(8, 3)

    def forward(self, x):
        for layer in self.hidden:
            x = torch.relu(layer(x))
        return self.out(x)


def test_layers_in_a_plain_list_are_told_unless_the_optimizer_holds_them():
    model = Listed()
    own = list(model.parameters())
    hidden = [p for layer in model.hidden for p in layer.parameters()]
    for held, told in ((own, True), (own + hidden, False)):
        notes = certificate(
            model, zoo.vectors(), F.cross_entropy, optimizer=torch.optim.Adam(held)
        ).measurement.notes
        assert [n.startswith("6 tensors with 216 weights") for n in notes] == [True] * told
    leaf = torch.randn(96, 8, requires_grad=True)  # data may want a gradient as well
    assert not certificate(zoo.mlp(), (leaf, zoo.vectors()[1]), F.cross_entropy).measurement.notes


@pytest.mark.parametrize(("hook", "decay"), [(True, 0.1), (True, 0.0), (False, 0.1), (None, 0.1)])
def test_rows_whose_gradient_a_hook_stops_leak_by_decay(hook, decay):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Embedding(50, 16), nn.Flatten(), nn.Linear(64, 2))
    learns = torch.zeros(50, 1)
    learns[0] = 1
    if hook is not None:  # a hook that only looks on stops nothing
        model[0].weight.register_hook(lambda g: g * learns if hook else None)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-2, weight_decay=decay)
    ids = torch.randint(0, 45, (64, 4))  # some rows are never seen: they decay too, on no order
    found = certificate(model, (ids, ids[:, 0] % 2), F.cross_entropy, optimizer=optimizer)
    assert places(found) == ([("leaking", "0")] if hook and decay else [])
    assert len(model[0].weight._backward_hooks or {}) == (hook is not None)


@pytest.mark.parametrize("rate", [1e-12, 1e-2])
def test_steps_that_float32_cannot_hold_are_told(rate):
    torch.manual_seed(0)
    model = zoo.mlp()
    found = certificate(
        model, zoo.vectors(), F.cross_entropy, optimizer=torch.optim.Adam(model.parameters(), rate)
    )
    assert {kind for kind, _ in places(found)} == ({"rounding"} if rate < 1e-9 else set())


def test_a_scale_in_half_precision_is_found_beside_a_larger_tensor():
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight, self.scale = (
                nn.Parameter(torch.randn(8, 3) * 1e-3),
                nn.Parameter(torch.ones(3)),
            )

        def forward(self, x):
            return x @ self.weight * self.scale

    torch.manual_seed(0)
    model, (x, y) = Scaled().bfloat16(), zoo.vectors()
    data, optimizer = (x.bfloat16(), y), torch.optim.Adam(model.parameters(), 1e-4)
    found = certificate(model, data, F.cross_entropy, optimizer=optimizer)
    assert places(found) == [("rounding", "scale")]


class Rewrites(nn.Linear):
    def forward(self, x):
        self.weight.data.div_(self.weight.data.norm())
        return super().forward(x)


def test_a_forward_pass_that_writes_to_a_weight_is_noted():
    model = nn.Sequential(Rewrites(8, 8), nn.Linear(8, 3))
    before = model[0].weight.detach().clone()
    found = certificate(model, zoo.vectors(), F.cross_entropy)
    assert "the forward pass writes to 0.weight" in found.measurement.notes[0]
    assert torch.equal(before, model[0].weight)


def test_probabilities_for_logits_are_noted():
    x, y = zoo.vectors()
    for last, loss, target in (
        (nn.Softmax(-1), F.cross_entropy, y),
        (nn.Sigmoid(), F.binary_cross_entropy_with_logits, F.one_hot(y).float()),
    ):
        found = certificate(nn.Sequential(nn.Linear(8, 3), last), (x, target), loss)
        assert "as if they were logits" in found.measurement.notes[0]
    assert not certificate(zoo.mlp(), (x, y), F.cross_entropy).measurement.notes


def test_a_key_says_what_else_it_changes():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 8), nn.Linear(8, 3))
    model[2].weight = model[0].weight
    model[0].weight.requires_grad_(False)
    [remedy] = remedies(certificate(model, zoo.vectors(), F.cross_entropy))
    assert remedy.shared == ("2.weight",)
    assert "2.weight: the same tensor, so it changes too" in str(remedy)


# --- what is taken, and what is refused


class Quantised(nn.Module):
    def __init__(self):
        super().__init__()
        whole = torch.randint(-128, 127, (16, 8), dtype=torch.int8)
        whole[0, 0] = -128
        self.weight = nn.Parameter(whole, requires_grad=False)
        self.down, self.up = (nn.Parameter(torch.randn(*s) * 0.1) for s in ((4, 8), (16, 4)))

    def forward(self, x):
        return x @ (self.weight.float() * 0.01).T + x @ self.down.T @ self.up.T


def test_whole_numbers_are_frozen():
    torch.manual_seed(0)
    model = nn.Sequential(Quantised(), nn.ReLU(), nn.Linear(16, 3))
    optimizer = torch.optim.Adam(p for p in model.parameters() if p.requires_grad)
    found = certificate(model, zoo.vectors(), F.cross_entropy, optimizer=optimizer)
    assert places(found) == [("frozen", "0.weight")]
    whole = model[0].weight.double().norm().item()
    assert found.measurement.parameters[0].norm == pytest.approx(whole)


def test_sparse_gradients_reach_a_sparse_optimizer():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Embedding(50, 8, sparse=True), nn.Flatten(), nn.Linear(32, 3))
    data = torch.randint(0, 50, (64, 4)), torch.randint(0, 3, (64,))
    optimizers = [
        torch.optim.SparseAdam(model[0].parameters()),
        torch.optim.Adam(model[2].parameters()),
    ]
    found = certificate(model, data, F.cross_entropy, optimizer=optimizers)
    assert not found.locks and not found.measurement.notes
    assert all(p.update for p in found.measurement.parameters)


class Fourier(nn.Module):
    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.randn(5, dtype=torch.cfloat) * 0.1)
        self.out = nn.Linear(8, 3)

    def forward(self, x):
        return self.out(torch.fft.irfft(torch.fft.rfft(x) * self.w, n=8))


def test_refusals_say_what_is_not_supported():
    x, y = zoo.vectors()
    with pytest.raises(ValueError, match=r"'w' is made of complex numbers.*view_as_real"):
        certificate(Fourier(), (x, y), F.cross_entropy)
    rows = torch.nested.nested_tensor([r[: 2 + i % 6] for i, r in enumerate(x)],
                                      layout=torch.jagged)  # fmt: skip
    with pytest.raises(ValueError, match=r"nested tensors are not supported"):
        certificate(zoo.mlp(), (rows, y), F.cross_entropy)


def test_what_cannot_be_looked_at_is_said_and_stops_nothing(monkeypatch):
    from paramlock.certifying.in_torch import trace

    def fails(*_):
        raise RuntimeError("no derivative of this")

    monkeypatch.setattr(trace, "_slope", fails)
    found = certificate(zoo.mlp(nn.GELU), zoo.vectors(), F.cross_entropy)
    assert found.measurement.unseen[0] == "gelu (RuntimeError: no derivative of this)"
