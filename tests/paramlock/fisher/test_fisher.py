"""The Fisher diagonal against a loop, against peers, against closed forms; torch against JAX."""

import subprocess
import sys
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import linen, nnx
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import prune

from paramlock.fisher import in_flax as _fisher_jax
from paramlock.fisher.diagonal import fisher_diagonal
from paramlock.fisher.ewc import anchor, ewc_penalty
from paramlock.models.names import parameters_by_name
from tests import ROOT

pytestmark = pytest.mark.usefixtures("quick_compilation")

PEERS = ROOT / "benchmarks" / "peers.txt"
CLOSE = 2e-6  # of the largest entry, in single precision


def by_loop(model, inputs, weights):
    """Mean over samples of Σ weights · (∇ log p(label))², one backward pass each."""
    model.eval().requires_grad_(True)
    params = dict(model.named_parameters())
    totals = {name: torch.zeros_like(p) for name, p in params.items()}
    for row in range(len(inputs)):
        for label in weights[row].nonzero().flatten():
            logs = model(inputs[row : row + 1]).log_softmax(-1)
            found = torch.autograd.grad(logs[0, label], list(params.values()), allow_unused=True)
            for name, gradient in zip(params, found, strict=True):
                if gradient is not None:
                    totals[name] += weights[row, label] * gradient**2 / len(inputs)
    return totals


def assert_close(seen, expected, band=CLOSE):
    assert seen.keys() == expected.keys()
    for name, wanted in expected.items():
        wanted, found = np.asarray(wanted), np.asarray(seen[name])
        assert found.shape == wanted.shape, name
        error = np.abs(found - wanted).max() / max(np.abs(wanted).max(), 1e-30)
        assert error < band, f"{name}: off by {error:.1e} of the largest entry"


class Attention(nn.Module):
    """Tied embedding and decoder, packed attention weights: rules and loop in one model."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(5, 4, padding_idx=2)
        self.norm = nn.LayerNorm(4)
        self.attend = nn.MultiheadAttention(4, 2, batch_first=True)
        self.decode = nn.Linear(4, 5, bias=False)
        self.decode.weight = self.embed.weight

    def forward(self, tokens):
        hidden = self.norm(self.embed(tokens))
        return self.decode((hidden + self.attend(hidden, hidden, hidden)[0]).mean(1))


class Shared(nn.Module):
    """A layer used three times, an in-place residual, a bias used by hand, a stray parameter."""

    def __init__(self):
        super().__init__()
        self.inner, self.out = nn.Linear(6, 6), nn.Linear(6, 3)
        self.gain, self.stray = nn.Parameter(torch.ones(6)), nn.Parameter(torch.ones(2))

    def forward(self, x):
        hidden = torch.tanh(self.inner(x))
        hidden = torch.tanh(self.inner(hidden)) * self.gain
        again = self.inner(hidden)
        again += hidden  # overwrites the layer's output in place
        return self.out(again + self.inner.bias)


class TimeFirst(nn.Module):
    """Rows of the inner layer are time steps, as many as there are samples."""

    def __init__(self):
        super().__init__()
        self.inner, self.out = nn.Linear(3, 4), nn.Linear(4, 3)

    def forward(self, x):
        return self.out(self.inner(x.transpose(0, 1)).cumsum(0).tanh()[-1])


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell, self.out = nn.LSTM(3, 4, batch_first=True), nn.Linear(4, 3)

    def forward(self, x):
        return self.out(self.cell(x)[0][:, -1])


def convolutional():
    return nn.Sequential(
        nn.Conv2d(2, 8, 3, stride=2, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(inplace=True),
        nn.Conv2d(8, 8, 3, groups=4, dilation=2, padding="same", padding_mode="reflect"),
        nn.GroupNorm(2, 8),
        nn.PReLU(8),
        nn.ConvTranspose2d(8, 4, 2),
        nn.Flatten(),
        nn.Dropout(),
        nn.Linear(4 * 49, 3),
    )


def sequence():
    return nn.Sequential(
        nn.Conv1d(3, 6, 2, bias=False),
        nn.RMSNorm(6),
        nn.Linear(6, 4),
        nn.Flatten(),
        nn.PReLU(),
        nn.Linear(24, 3),
    )


def reparametrised():
    """Weights that are computed from parameters: by a norm, by a pruning mask."""
    return nn.Sequential(
        nn.utils.parametrizations.weight_norm(nn.Linear(5, 6)),
        nn.Tanh(),
        prune.random_unstructured(nn.Linear(6, 3), "weight", 0.5),
    )


def encoder():
    """Attention between samples' own tokens, with torch's packed layers; one frozen layer."""
    layer = nn.TransformerEncoderLayer(4, 2, 6, batch_first=True)
    layer.linear1.requires_grad_(False)
    return nn.Sequential(layer, nn.Flatten(), nn.Linear(12, 3))


MODELS = {
    "dense": (lambda: nn.Sequential(nn.Linear(5, 7), nn.ReLU(True), nn.Linear(7, 3)), (5,)),
    "convolutional": (convolutional, (2, 12, 12)),
    "sequence": (sequence, (3, 7)),
    "attention": (Attention, None),
    "tokens": (lambda: nn.Sequential(nn.Embedding(5, 4, 1), nn.Flatten(), nn.Linear(16, 3)), None),
    "shared": (Shared, (6,)),
    "time first": (TimeFirst, (9, 3)),
    "recurrent": (Recurrent, (4, 3)),
    "reparametrised": (reparametrised, (5,)),
    "encoder": (encoder, (3, 4)),
    "volume": (
        lambda: nn.Sequential(nn.Conv3d(1, 3, 2), nn.Flatten(), nn.Linear(24, 3)),
        (1, 3, 3, 3),
    ),
}


def test_a_mapping_holds_keywords():
    model, inputs, targets = specimen("dense")

    class Named(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = model

        def forward(self, *, pixels, offset):
            return self.net(pixels + offset)

    named = {"pixels": inputs, "offset": torch.zeros(9, 1)}
    seen = fisher_diagonal(Named(), [(named, targets)])
    expected = fisher_diagonal(model, (inputs, targets))
    assert_close({k.removeprefix("net."): v for k, v in seen.items()}, expected)
    assert_close(fisher_diagonal(model, [inputs, targets]), expected)  # a batch of a loader


def specimen(name, n=9):
    torch.manual_seed(0)
    build, shape = MODELS[name]
    model = build()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    inputs = torch.randint(0, 5, (n, 4)) if shape is None else torch.randn(n, *shape)
    return model, inputs, torch.randint(0, 3, (n,))


@pytest.mark.parametrize("name", MODELS)
def test_empirical_fisher_equals_a_loop(name):
    model, inputs, targets = specimen(name)
    seen = fisher_diagonal(model.train(), (inputs, targets))
    classes = model.eval()(inputs).shape[-1]
    assert_close(seen, by_loop(model, inputs, F.one_hot(targets, classes).float()))


@pytest.mark.parametrize("name", ["dense", "convolutional", "attention", "shared"])
def test_true_fisher_equals_the_expectation_over_labels(name):
    model, inputs, _ = specimen(name)
    seen = fisher_diagonal(model, [inputs], kind="true")
    chances = model.eval()(inputs).softmax(-1).detach()
    assert_close(seen, by_loop(model, inputs, chances))


def test_true_fisher_holds_where_the_network_is_certain():
    model, inputs, _ = specimen("dense")
    with torch.no_grad():
        model[-1].weight.mul_(300)
    seen = fisher_diagonal(model.double(), [inputs.double()], kind="true")
    chances = model(inputs.double()).softmax(-1).detach()
    assert (chances.amax(-1) > 1 - 1e-12).any()
    assert_close(seen, by_loop(model, inputs.double(), chances), 1e-9)


def test_sampled_fisher_converges_to_the_true_one():
    model, inputs, _ = specimen("dense")
    true = fisher_diagonal(model, [inputs], kind="true")
    seen = fisher_diagonal(model, [inputs], kind="sampled", draws=2000)
    assert_close(seen, true, 0.12)
    again = fisher_diagonal(model, [inputs], kind="sampled", draws=2, seed=1)
    assert_close(again, fisher_diagonal(model, [inputs], kind="sampled", draws=2, seed=1), 1e-9)


@settings(max_examples=25)
@given(
    widths=st.lists(st.integers(1, 6), min_size=1, max_size=3),
    n=st.integers(1, 7),
    classes=st.integers(1, 5),
    positions=st.integers(0, 3),
    seed=st.integers(0, 999),
)
def test_any_dense_architecture_and_any_split_into_batches(widths, n, classes, positions, seed):
    torch.manual_seed(seed)
    sizes = [3, *widths, classes]
    layers = [m for a, b in pairwise(sizes) for m in (nn.Linear(a, b), nn.Tanh())]
    model = nn.Sequential(*layers).double()
    model.append(nn.Linear(classes, classes).double())
    shape = (n, positions, 3) if positions else (n, 3)
    inputs = torch.randn(shape, dtype=torch.float64)
    targets = torch.randint(0, classes, shape[:-1])
    whole = fisher_diagonal(model, (inputs, targets))
    parts = fisher_diagonal(model, zip(inputs.split(2), targets.split(2), strict=True))
    assert_close(parts, whole, 1e-9)
    loop = {name: 0 for name in whole}
    for x, y in zip(inputs, targets, strict=True):
        model.zero_grad()
        F.cross_entropy(model(x).reshape(-1, classes), y.reshape(-1), reduction="sum").backward()
        loop = {k: loop[k] + p.grad**2 / n for k, p in model.named_parameters()}
    model.zero_grad()
    assert all((whole[k] - loop[k]).abs().max() < 1e-9 for k in whole)


def test_a_softmax_alone_has_its_closed_form():
    """F of a bias under softmax is p(1 - p); of a weight it is E[x²] p(1 - p)."""
    model = nn.Linear(2, 4).double()
    with torch.no_grad():
        model.weight.zero_()
    inputs = torch.randn(50, 2, dtype=torch.float64)
    seen = fisher_diagonal(model, [inputs], kind="true")
    p = model.bias.softmax(0).detach()
    expected = p * (1 - p)
    weight = expected[:, None] * (inputs**2).mean(0)
    assert_close(seen, {"weight": weight, "bias": expected}, 1e-12)


def test_gaussian_likelihood():
    model = nn.Linear(3, 2).double()
    inputs, targets = torch.randn(6, 3).double(), torch.randn(6, 2).double()
    g = targets - model(inputs).detach()
    empirical = fisher_diagonal(model, (inputs, targets), likelihood="gaussian")
    assert_close(empirical, {"weight": (g**2).T @ inputs**2 / 6, "bias": (g**2).mean(0)}, 1e-12)
    true = fisher_diagonal(model, [inputs], kind="true", likelihood="gaussian")
    expected = {"weight": (inputs**2).mean(0).expand(2, 3), "bias": torch.ones(2)}
    assert_close(true, expected, 1e-12)
    sampled = fisher_diagonal(model, [inputs], kind="sampled", likelihood="gaussian", draws=4000)
    assert_close(sampled, expected, 0.12)


def test_the_square_of_the_mean_is_another_quantity():
    model, inputs, targets = specimen("dense")
    F.cross_entropy(model(inputs), targets).backward()
    squared_mean = {name: p.grad**2 for name, p in model.named_parameters()}
    model.zero_grad()
    with pytest.raises(AssertionError):
        assert_close(fisher_diagonal(model, (inputs, targets)), squared_mean, 0.2)


def test_a_list_of_two_arrays_is_two_batches():
    model, inputs, _ = specimen("dense")
    halves = [inputs[:4], inputs[4:]]
    whole = fisher_diagonal(model, [inputs], kind="true")
    assert_close(fisher_diagonal(model, halves, kind="true"), whole)


def test_the_model_is_left_as_it_was():
    model, inputs, targets = specimen("convolutional")
    model.train()
    model[1].eval()
    model[0].weight.requires_grad_(False)
    model[9].bias.grad = torch.ones(3)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    modes = [m.training for m in model.modules()]
    noise = torch.get_rng_state()
    fisher_diagonal(model, (inputs, targets), kind="sampled")
    with pytest.raises(ValueError, match="targets must be whole numbers from 0 to 2"):
        fisher_diagonal(model, (inputs, targets + 3))
    assert [m.training for m in model.modules()] == modes
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())
    assert not model[0].weight.requires_grad and model[9].weight.requires_grad
    assert model[9].bias.grad.tolist() == [1, 1, 1] and model[9].weight.grad is None
    assert torch.equal(noise, torch.get_rng_state())
    assert not any(m._forward_hooks for m in model.modules())


def test_low_precision_is_accumulated_in_single():
    model, inputs, targets = specimen("dense")
    single = fisher_diagonal(model, (inputs, targets))
    half = fisher_diagonal(model.bfloat16(), (inputs.bfloat16(), targets))
    assert all(v.dtype == torch.float32 for v in half.values())
    assert_close(half, single, 0.1)


@pytest.fixture(scope="module")
def peers(tmp_path_factory):
    """A folder with BackPACK and nngeometry, which are not installed with the course."""
    folder = tmp_path_factory.mktemp("peers")
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(folder)]
    done = subprocess.run([*pip, "-r", str(PEERS)], capture_output=True, text=True)
    return folder if done.returncode == 0 else pytest.skip(f"pip has no peers: {done.stderr}")


@pytest.mark.filterwarnings("ignore:Full backward hook")  # BackPACK's own
def test_peers_agree(peers, monkeypatch):
    monkeypatch.syspath_prepend(peers)
    import backpack
    from backpack.extensions import DiagGGNExact, SumGradSquared

    model, inputs, targets = specimen("dense")
    extended = backpack.extend(nn.Sequential(*(nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 3))))
    extended.load_state_dict(model.state_dict())
    loss = backpack.extend(nn.CrossEntropyLoss(reduction="sum"))(extended(inputs), targets)
    with backpack.backpack(SumGradSquared(), DiagGGNExact()):
        loss.backward()
    named = dict(extended.named_parameters())
    assert_close(
        fisher_diagonal(model, (inputs, targets)),
        {k: p.sum_grad_squared / 9 for k, p in named.items()},
    )
    assert_close(
        fisher_diagonal(model, [inputs], kind="true"),
        {k: p.diag_ggn_exact / 9 for k, p in named.items()},
    )


def test_nngeometry_agrees(peers, monkeypatch):
    monkeypatch.syspath_prepend(peers)
    from nngeometry.metrics import FIM
    from nngeometry.object import PMatDiag

    model, inputs, targets = specimen("dense")
    rows = torch.utils.data.TensorDataset(inputs, targets)
    loader = torch.utils.data.DataLoader(rows, batch_size=4)
    theirs = FIM(model, loader, PMatDiag, variant="classif_logits").get_diag()
    ours = fisher_diagonal(model, [inputs], kind="true")
    assert_close({"all": torch.cat([v.flatten() for v in ours.values()])}, {"all": theirs.detach()})


# --- JAX ------------------------------------------------------------------------------------


class Net(linen.Module):
    @linen.compact
    def __call__(self, x):
        x = linen.relu(linen.Dense(7)(x))
        again = linen.Dense(7)
        x = again(linen.LayerNorm()(again(x)))
        return linen.Dense(3)(x.mean(1) if x.ndim > 2 else x)


class Step(linen.Module):
    @linen.compact
    def __call__(self, x, _):
        return linen.tanh(linen.Dense(5)(x)), None


class Scanned(linen.Module):
    @linen.compact
    def __call__(self, x):
        many = linen.scan(Step, {"params": 0}, split_rngs={"params": True}, length=3)
        return linen.remat(linen.Dense)(3)(many()(x, None)[0])


class Pictures(linen.Module):
    """Convolutions and norms of all sorts; the last convolution has padding that no rule knows."""

    @linen.compact
    def __call__(self, x):
        x = linen.Conv(4, (3, 3), strides=2)(x)
        x = linen.relu(linen.BatchNorm(use_running_average=True)(x))
        x = linen.Conv(8, (3, 2), padding=((1, 0), 1), kernel_dilation=2, feature_group_count=2)(x)
        x = linen.RMSNorm()(linen.GroupNorm(num_groups=2)(x))
        x = linen.Conv(4, 3, padding="CIRCULAR", use_bias=False)(linen.LayerNorm(use_bias=False)(x))
        return linen.Dense(3)(x.reshape(len(x), -1))


class Tokens(linen.Module):
    """An embedding with repeated tokens and one that is tied to the output."""

    @linen.compact
    def __call__(self, tokens, places):
        tied = linen.Embed(7, 4)
        hidden = linen.LayerNorm()(tied(tokens) + linen.Embed(5, 4)(places))
        return tied.attend(hidden.mean(1))


def jax_by_vmap(apply, params, inputs, targets):
    def one(params, x, y):
        return jax.nn.log_softmax(apply(params, x[None]))[0, y]

    gradients = jax.jit(jax.vmap(jax.grad(one), (None, 0, 0)))(params, inputs, targets)
    return parameters_by_name(jax.tree.map(lambda g: (g**2).mean(0), gradients))


def drawn(module, *inputs):
    """Return a module's variables; compiled, for one operation at a time takes seconds."""
    return jax.jit(module.init)(jax.random.key(1), *inputs)


@pytest.mark.parametrize(
    ("module", "shape"),
    [(Net, (9, 4, 5)), (Scanned, (9, 5)), (Pictures, (9, 7, 6, 2))],
)
def test_linen_equals_vmap(module, shape):
    inputs = jax.random.normal(jax.random.key(0), shape)
    targets = jnp.arange(9) % 3
    model = module()
    variables = drawn(model, inputs)

    def apply(params, x):
        return model.apply({**variables, "params": params}, x)

    expected = jax_by_vmap(apply, variables["params"], inputs, targets)
    twice = [(inputs, targets)] * 2
    assert_close(fisher_diagonal(apply, twice, params=variables["params"]), expected)
    if module is Net:  # all variables as they are, with the module or with its function
        for whole in (model, model.apply):
            found = fisher_diagonal(whole, (inputs, targets), params=variables)
            assert_close(found, expected)


def test_which_layers_have_a_rule_in_jax():
    """All of ``Pictures`` but the convolution whose padding goes round."""
    inputs = jnp.zeros((9, 7, 6, 2))
    model, flat, state = _fisher_jax._split(Pictures(), drawn(Pictures(), inputs))
    plan = _fisher_jax._plan(model, *_fisher_jax._abstract((flat, state, inputs)))
    assert plan.loops == ("Conv_2.kernel",)


def test_embeddings_in_jax_equal_vmap_and_take_keywords():
    tokens = jnp.asarray([[1, 1, 3], [0, 2, 2], [6, 6, 6], [4, 5, 6]])
    places, targets = jnp.tile(jnp.arange(3), (4, 1)) // 2, jnp.arange(4)
    model = Tokens()
    params = drawn(model, tokens, places)
    expected = jax_by_vmap(
        lambda p, both: model.apply(p, both[:, :3], both[:, 3:]),
        params,
        jnp.concatenate([tokens, places], 1),
        targets,
    )
    named = {"tokens": tokens, "places": places}
    assert_close(fisher_diagonal(model.apply, [(named, targets)], params=params), expected)


class Twin(nnx.Module):
    """The nnx twin of a torch network: convolution, norm, a shared layer and dropout."""

    def __init__(self, rngs):
        self.conv = nnx.Conv(1, 2, 2, strides=2, padding="VALID", rngs=rngs)
        self.first, self.norm = nnx.Linear(4, 6, rngs=rngs), nnx.BatchNorm(6, rngs=rngs)
        self.inner = nnx.List([nnx.Linear(6, 6, rngs=rngs)])
        self.drop, self.last = nnx.Dropout(0.5, rngs=rngs), nnx.Linear(6, 4, rngs=rngs)

    def __call__(self, x):
        x = self.conv(x[..., None]).reshape(len(x), -1)
        x = jnp.tanh(self.norm(self.first(x)))
        return self.last(self.drop(self.inner[0](jnp.tanh(self.inner[0](x)))))


class Original(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(1, 2, 2, stride=2)
        self.first, self.norm = nn.Linear(4, 6), nn.BatchNorm1d(6)
        self.inner, self.drop = nn.ModuleList([nn.Linear(6, 6)]), nn.Dropout()
        self.last = nn.Linear(6, 4)

    def forward(self, x):
        x = self.conv(x[:, None]).mT.flatten(1)
        x = torch.tanh(self.norm(self.first(x)))
        return self.last(self.drop(self.inner[0](torch.tanh(self.inner[0](x)))))


class Parts(nnx.Module):
    """The nnx layers that ``Twin`` leaves out."""

    def __init__(self):
        rngs = nnx.Rngs(0)
        self.embed, self.norm = nnx.Embed(5, 4, rngs=rngs), nnx.LayerNorm(4, rngs=rngs)
        self.conv = nnx.Conv(4, 4, 2, feature_group_count=2, rngs=rngs)
        self.grouped = nnx.GroupNorm(4, num_groups=2, rngs=rngs)
        self.scaled, self.last = nnx.RMSNorm(4, rngs=rngs), nnx.Linear(12, 3, rngs=rngs)

    def __call__(self, tokens):
        x = jnp.tanh(self.conv(self.norm(self.embed(tokens))))
        return self.last(self.scaled(self.grouped(x)).reshape(len(x), -1))


def test_nnx_layers_equal_vmap():
    model, targets = Parts(), jnp.arange(4) % 3
    tokens = jnp.asarray([[1, 1, 3], [0, 2, 2], [4, 4, 4], [3, 0, 1]])
    graph, params = nnx.split(model, nnx.Param)

    def one(params, row, target):
        return jax.nn.log_softmax(nnx.merge(graph, params)(row[None]))[0, target]

    gradients = jax.jit(jax.vmap(jax.grad(one), (None, 0, 0)))(params, tokens, targets)
    squares = nnx.to_flat_state(jax.tree.map(lambda g: (g**2).mean(0), gradients))
    expected = {".".join(map(str, path)): leaf[...] for path, leaf in squares}
    assert_close(fisher_diagonal(model, (tokens, targets)), expected)
    flat = {name: leaf for name, leaf in parameters_by_name(model).items()}
    runner, _, state = _fisher_jax._split(model, None)
    plan = _fisher_jax._plan(runner, *_fisher_jax._abstract((flat, state, tokens)))
    assert plan.loops == () and len(plan.rules) == 6


@pytest.fixture(scope="module")
def twins():
    torch.manual_seed(0)
    model, twin = Original(), Twin(nnx.Rngs(0))
    for ours, theirs in [
        (model.first, twin.first),
        (model.inner[0], twin.inner[0]),
        (model.last, twin.last),
    ]:
        theirs.kernel[...] = jnp.asarray(ours.weight.detach().numpy().T)
        theirs.bias[...] = jnp.asarray(ours.bias.detach().numpy())
    kernel = model.conv.weight.detach().numpy().transpose(2, 1, 0)
    twin.conv.kernel[...] = jnp.asarray(kernel)
    twin.conv.bias[...] = jnp.asarray(model.conv.bias.detach().numpy())
    twin.norm.epsilon = model.norm.eps
    inputs, targets = torch.randn(9, 5), torch.randint(0, 4, (9,))
    return model, twin, inputs, targets


def renamed(fisher):
    """The torch result under the names and in the layout of Flax."""
    out = {}
    for name, value in fisher.items():
        *path, last = name.split(".")
        last = {"weight": "scale" if path == ["norm"] else "kernel"}.get(last, last)
        value = np.transpose(np.asarray(value)) if last == "kernel" else value
        out[".".join([*path, last])] = value
    return out


@pytest.mark.parametrize("kind", ["empirical", "true"])
@pytest.mark.parametrize("likelihood", ["categorical", "gaussian"])
def test_torch_and_nnx_agree(twins, kind, likelihood):
    model, twin, inputs, targets = twins
    if likelihood == "gaussian":
        targets = torch.randn(9, 4)
    batch = (inputs, targets)
    options = {"kind": kind, "likelihood": likelihood}
    seen = fisher_diagonal(twin, tuple(jnp.asarray(a.numpy()) for a in batch), **options)
    expected = renamed(fisher_diagonal(model, batch, **options))
    assert_close({k: seen[k] for k in expected}, expected, 1e-5)
    assert seen.keys() == expected.keys()


def test_nnx_sampled_fisher_converges_and_the_module_keeps_its_mode(twins):
    _, twin, inputs, _ = twins
    inputs = jnp.asarray(inputs.numpy())
    twin.train()
    true = fisher_diagonal(twin, [inputs], kind="true")
    assert_close(fisher_diagonal(twin, [inputs], kind="sampled", draws=2000), true, 0.12)
    assert twin.drop.deterministic is False and twin.norm.use_running_average is False


# --- elastic weight consolidation -----------------------------------------------------------


def test_the_penalty_is_half_the_weighted_square():
    model = nn.Linear(2, 1)
    kept, fisher = anchor(model), {"weight": torch.tensor([[2.0, 0.0]]), "bias": torch.ones(1)}
    assert ewc_penalty(model, fisher, kept, strength=10).item() == 0
    with torch.no_grad():
        model.weight += 3
        model.bias += 1
    penalty = ewc_penalty(model, fisher, kept, strength=10)
    assert penalty.item() == pytest.approx(10 / 2 * (2 * 9 + 0 * 9 + 1), rel=1e-5)
    penalty.backward()
    assert model.weight.grad.tolist() == [[pytest.approx(10 * 2 * 3, rel=1e-5), 0]]


def test_the_penalty_works_on_flax_parameters(twins):
    _, twin, inputs, targets = twins
    batch = (jnp.asarray(inputs.numpy()), jnp.asarray(targets.numpy()))
    fisher, kept = fisher_diagonal(twin, batch), anchor(twin)
    assert fisher.keys() == kept.keys()
    moved = {name: value + 1 for name, value in parameters_by_name(twin).items()}
    expected = sum(float(f.sum()) for f in fisher.values()) / 2
    assert float(ewc_penalty(moved, fisher, kept, strength=1)) == pytest.approx(expected, rel=1e-5)


def test_a_penalty_that_would_hold_nothing_is_refused():
    model = nn.Linear(2, 1)
    with pytest.raises(ValueError, match=r"'wieght'.*missing.*same model"):
        ewc_penalty(model, {"wieght": torch.ones(1, 2)}, anchor(model), strength=1)
    with pytest.raises(ValueError, match="negative"):
        ewc_penalty(model, {}, anchor(model), strength=-1)


def test_the_penalty_keeps_an_old_task():
    """Digits, then digits with permuted pixels; over three seeds the least gap was 0.139."""
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    old, y = torch.tensor(pixels - 8).float() / 6, torch.tensor(labels)
    torch.manual_seed(0)
    new = old[:, torch.randperm(64)]
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))

    def train(inputs, penalty):
        optimizer = torch.optim.Adam(model.parameters(), 3e-3)
        for batch in (b for _ in range(8) for b in torch.randperm(1400).split(50)):
            optimizer.zero_grad()
            (F.cross_entropy(model(inputs[batch]), y[batch]) + penalty()).backward()
            optimizer.step()

    def accuracy(inputs):
        return (model(inputs[1400:]).argmax(1) == y[1400:]).float().mean().item()

    train(old, lambda: 0)
    fisher, kept = fisher_diagonal(model, [old[:1400]], kind="true"), anchor(model)
    train(new, lambda: 0)
    plain = accuracy(old), accuracy(new)
    model.load_state_dict(kept)
    train(new, lambda: ewc_penalty(model, fisher, kept, strength=100))
    consolidated = accuracy(old), accuracy(new)
    assert consolidated[0] - plain[0] > 0.07, (plain, consolidated)
    assert sum(consolidated) > sum(plain)


# --- bad input ------------------------------------------------------------------------------


class Detached(nn.Linear):
    def forward(self, x):
        return super().forward(x).detach()


BAD = [
    (lambda m, x, y: fisher_diagonal(m, []), "no samples"),
    (lambda m, x, y: fisher_diagonal(m, (x[:0], y[:0])), "no samples"),
    (lambda m, x, y: fisher_diagonal(m, x), "a loss needs targets too"),
    (lambda m, x, y: fisher_diagonal(m, (x[:, :3], y)), r"inputs \(9, 3\)"),
    (lambda m, x, y: fisher_diagonal(m, (x.numpy(), y)), "pass torch tensors"),
    (lambda m, x, y: fisher_diagonal(m, [x]), "needs targets"),
    (lambda m, x, y: fisher_diagonal(m, (x, y[:-1])), r"targets have the shape \(8,\)"),
    (lambda m, x, y: fisher_diagonal(m, (x, y.float())), "whole numbers"),
    (lambda m, x, y: fisher_diagonal(m, (x, y), kind="exact"), "kind is 'exact'"),
    (lambda m, x, y: fisher_diagonal(m, (x, y), likelihood="poisson"), "likelihood is"),
    (lambda m, x, y: fisher_diagonal(m, (x, y), kind="sampled", draws=0), "at least one"),
    (lambda m, x, y: fisher_diagonal(m.to("meta"), (x, y)), "meta device"),
    (lambda m, x, y: fisher_diagonal(nn.ReLU(), (x, y)), "no parameters"),
    (lambda m, x, y: fisher_diagonal(Detached(5, 3), (x, y)), "hang on no parameter"),
    (
        lambda m, x, y: fisher_diagonal(nn.BatchNorm1d(5, track_running_stats=False), (x, y)),
        "track_running_stats=True",
    ),
    (
        lambda m, x, y: fisher_diagonal(nn.Sequential(nn.Linear(5, 3), nn.Flatten(0)), (x, y)),
        "first axis",
    ),
    (lambda m, x, y: fisher_diagonal(3, (x, y)), "model is int"),
    (lambda m, x, y: fisher_diagonal(lambda p, x: x, (x, y)), "params="),
]


@pytest.mark.parametrize(("call", "message"), BAD)
def test_bad_input_gets_one_clear_error(call, message):
    model, inputs, targets = specimen("dense")
    with pytest.raises((ValueError, TypeError), match=message):
        call(model, inputs, targets)


@pytest.mark.parametrize(("used", "unused"), [("torch", "jax"), ("jax", "torch")])
def test_each_framework_works_without_the_other(used, unused):
    program = {
        "torch": "import torch; m = torch.nn.Linear(2, 3)\n"
        "fisher_diagonal(m, (torch.ones(4, 2), torch.zeros(4, dtype=int)))",
        "jax": "import jax.numpy as jnp; p = {'w': jnp.ones((2, 3))}\n"
        "fisher_diagonal(lambda p, x: x @ p['w'], "
        "(jnp.ones((4, 2)), jnp.zeros(4, int)), params=p)",
    }[used]
    absent = f"import sys; sys.modules[{unused!r}] = None"
    code = f"{absent}\nfrom paramlock import fisher_diagonal\n{program}"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=100)
