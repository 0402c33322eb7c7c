"""Fixed mixing, learned activations and frozen networks: against scipy, closed forms, twins."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.fft
import scipy.interpolate
import scipy.linalg
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrize

from paramlock.mixing.activations import STARTS, activate, activation_parameters
from paramlock.mixing.networks import (
    AdaptedLinear,
    FrozenMixingBlock,
    FrozenMixingEncoderLayer,
    FrozenMixingNetwork,
    LearnedActivation,
    LowRankAdapter,
    mixing_parameter_groups,
    quantise_activations,
)
from paramlock.mixing.transforms import MIXINGS, dct, hadamard, hartley, mix

RANDOM = ("orthogonal", "permutation")


def rows(n, *shape):
    return np.random.default_rng(n).standard_normal((*shape, n))


def both(function, x, **options):
    """Apply to a torch tensor and to a JAX array; return both results in numpy."""
    ours = function(torch.from_numpy(x), **options).numpy()
    return ours, np.asarray(function(jnp.asarray(x, jnp.float32), **options))


@pytest.mark.parametrize("n", [1, 2, 4, 64, 128, 1024, 8192])
def test_hadamard_is_scipys_matrix(n):
    x = rows(n, 2, 3)
    expected = x @ (scipy.linalg.hadamard(n) / np.sqrt(n))
    ours, twin = both(hadamard, x)
    np.testing.assert_allclose(ours, expected, atol=1e-12)
    np.testing.assert_allclose(twin, expected, atol=3e-5)


@pytest.mark.parametrize("n", [1, 2, 3, 8, 15, 100])
def test_dct_and_hartley_are_scipys(n):
    x = rows(n, 2, 3)
    waves = scipy.fft.fft(x, norm="ortho")
    for function, expected in [
        (dct, scipy.fft.dct(x, norm="ortho")),
        (hartley, waves.real - waves.imag),
    ]:
        ours, twin = both(function, x)
        np.testing.assert_allclose(ours, expected, atol=1e-13)
        np.testing.assert_allclose(twin, expected, atol=3e-6)


@settings(max_examples=60)
@given(
    kind=st.sampled_from(MIXINGS),
    exponent=st.integers(0, 8),
    odd=st.integers(1, 40),
    seed=st.integers(0, 2**31),
    signs=st.booleans(),
)
def test_every_mixing_is_a_rotation(kind, exponent, odd, seed, signs):
    n = 1 << exponent if kind == "hadamard" else odd
    chosen = seed if signs or kind in RANDOM else None
    matrix = mix(torch.eye(n, dtype=torch.float64), kind, seed=chosen)
    torch.testing.assert_close(matrix @ matrix.T, torch.eye(n, dtype=torch.float64))
    x = torch.from_numpy(rows(n, 3))
    torch.testing.assert_close(mix(x, kind, seed=chosen), x @ matrix)


@pytest.mark.parametrize("kind", MIXINGS)
def test_torch_and_jax_mix_alike(kind):
    ours, twin = both(mix, rows(64, 3), kind=kind, seed=7)
    np.testing.assert_allclose(twin, ours, atol=1e-5)
    if kind != "identity":
        assert np.abs(ours - both(mix, rows(64, 3), kind=kind, seed=8)[0]).max() > 0.5


def test_a_random_rotation_spreads_every_entry():
    """Entries of a uniform rotation have variance 1/n and fourth moment 3/(n(n + 2))."""
    n = 256
    matrix = mix(torch.eye(n, dtype=torch.float64), "orthogonal", seed=0)
    assert matrix.mean().abs() < 4 / n**1.5 + 1e-12
    assert matrix.pow(4).mean().item() == pytest.approx(3 / (n * (n + 2)), rel=0.1)


@pytest.mark.parametrize("kind", MIXINGS)
def test_gradients_pass_back_through_the_transpose(kind):
    x = torch.from_numpy(rows(16, 2)).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: mix(x, kind, seed=1), x)
    ours = torch.autograd.grad((mix(x, kind, seed=1) ** 3).sum(), x)[0]
    twin = jax.grad(lambda x: (mix(x, kind, seed=1) ** 3).sum())(jnp.asarray(x.detach().numpy()))
    np.testing.assert_allclose(twin, ours, atol=1e-4)


def test_half_precision_and_jit():
    x = torch.from_numpy(rows(64, 2)).float()
    for kind in MIXINGS:
        half = mix(x.bfloat16(), kind, seed=0)
        assert half.dtype == torch.bfloat16
        assert (half.float() - mix(x, kind, seed=0)).abs().max() < 0.05
        compiled = jax.jit(lambda x, kind=kind: mix(x, kind, seed=0))
        np.testing.assert_allclose(
            compiled(jnp.asarray(x.numpy())), mix(x, kind, seed=0), atol=1e-5
        )


def test_constants_made_in_inference_mode_serve_training():
    with torch.inference_mode():
        hadamard(torch.ones(2, 512))
    x = torch.ones(2, 512, requires_grad=True)
    hadamard(x).sum().backward()
    assert x.grad is not None


def test_padding_fills_up_with_zeros_and_keeps_the_length():
    x = torch.from_numpy(rows(5, 2))
    padded = hadamard(x, pad=True)
    torch.testing.assert_close(padded, hadamard(F.pad(x, (0, 3))))
    torch.testing.assert_close(hadamard(padded)[..., :5], x)
    np.testing.assert_allclose(hadamard(jnp.asarray(x.numpy()), pad=True), padded, atol=1e-6)


BAD = [
    (lambda: hadamard(torch.ones(2, 6)), "6 entries.*no power of two.*up to 8"),
    (lambda: hadamard(torch.ones(2, 0)), "no last axis"),
    (lambda: hadamard(torch.tensor(1.0)), "no last axis"),
    (lambda: hadamard(torch.ones(4, dtype=int)), "torch.int64.*floats first"),
    (lambda: dct(jnp.ones(4, int)), "int32.*floats first"),
    (lambda: hartley(np.ones(4)), "ndarray will not do"),
    (lambda: mix(torch.ones(4), "fourier"), "kind is 'fourier'.*hartley"),
    (lambda: mix(torch.ones(4), "permutation"), "drawn at random: pass seed"),
    (lambda: FrozenMixingBlock(4, mixing="orthogonal"), "drawn at random: pass seed"),
    (lambda: FrozenMixingBlock(4, mixing="fourier"), "kind is 'fourier'"),
    (lambda: activation_parameters("relu", 3), "activation is 'relu'"),
    (lambda: activation_parameters("gated", 3, "relu"), "start of gated is 'relu'.*silu, gelu"),
    (lambda: activation_parameters("gated", 0), "at least one"),
    (lambda: LearnedActivation("gated", 3)(torch.ones(2, 4)), "4 entries.*3 channels"),
    (lambda: LowRankAdapter(4, 3, 4), "rank is 4; it must be from 1 to 3"),
    (lambda: FrozenMixingNetwork(8, 3)(torch.ones(2, 9)), "more than the width 8"),
    (lambda: FrozenMixingNetwork(8, 3, readout="none"), "readout is 'none'"),
    (lambda: FrozenMixingNetwork(8, 9, readout="fixed"), "9 classes need a width"),
    (lambda: quantise_activations(nn.Linear(1, 1)), "no LearnedActivation"),
    (lambda: quantise_activations(FrozenMixingBlock(2), 17), "bits is 17"),
]


@pytest.mark.parametrize(("call", "message"), BAD)
def test_bad_input_gets_one_clear_error(call, message):
    with pytest.raises((ValueError, TypeError), match=message):
        call()


# --- activations ----------------------------------------------------------------------------

SHAPES = {
    "relu": lambda x: np.maximum(x, 0),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.01 * x),
    "identity": lambda x: x,
    "hard_tanh": lambda x: np.clip(x, -1, 1),
    "silu": lambda x: x / (1 + np.exp(-x)),
    "gelu": lambda x: x / (1 + np.exp(-1.702 * x)),
}
X = np.linspace(-4, 4, 81)
CASES = [(kind, start) for kind, starts in STARTS.items() for start in starts]


def drawn(kind, numbers, x=X):
    """The curve of each channel, by torch and by JAX: (points, channels) twice."""
    points = np.repeat(x[:, None], len(next(iter(numbers.values()))), 1)
    ours = activate(
        torch.from_numpy(points),
        {k: torch.from_numpy(v).double() for k, v in numbers.items()},
        kind,
    )
    twin = activate(jnp.asarray(points), {k: jnp.asarray(v) for k, v in numbers.items()}, kind)
    return ours.numpy(), np.asarray(twin)


@pytest.mark.parametrize(("kind", "start"), CASES)
def test_each_activation_starts_at_its_stated_shape(kind, start):
    ours, twin = drawn(kind, activation_parameters(kind, 3, start))
    if (kind, start) == ("monotone_cubic", "tanh"):
        knots = np.isin(X, [-2, -1, 0, 1, 2])
        np.testing.assert_allclose(ours[knots, 0], np.tanh(X[knots]), atol=1e-6)
        assert np.abs(ours[np.abs(X) <= 2, 0] - np.tanh(X[np.abs(X) <= 2])).max() < 0.04
    else:
        np.testing.assert_allclose(ours, SHAPES[start](X)[:, None].repeat(3, 1), atol=1e-6)
    np.testing.assert_allclose(twin, ours, atol=2e-6)
    default = activation_parameters(kind, 3)
    assert next(iter(STARTS[kind])) == start or any(
        not np.array_equal(default[k], v) for k, v in activation_parameters(kind, 3, start).items()
    )


def test_activations_cost_the_stated_numbers_a_channel():
    sizes = {
        kind: sum(v.size for v in activation_parameters(kind, 7).values()) / 7 for kind in STARTS
    }
    assert sizes == {"bi_slope": 3, "piecewise_linear": 5, "monotone_cubic": 5, "gated": 2}


@settings(max_examples=40)
@given(st.lists(st.floats(-6, 6, width=32), min_size=5, max_size=5))
def test_the_cubic_is_scipys_pchip_and_never_falls(numbers):
    first, *rises = numbers
    given_ = {"first": np.float32([first]), "rises": np.float32([rises])}
    ours, _ = drawn("monotone_cubic", given_)
    heights = np.cumsum([first, *np.log1p(np.exp(np.float64(rises)))])
    inside = np.abs(X) <= 2
    pchip = scipy.interpolate.PchipInterpolator([-2, -1, 0, 1, 2], heights)
    np.testing.assert_allclose(ours[inside, 0], pchip(X[inside]), atol=1e-5)
    assert (np.diff(ours[:, 0]) > -1e-9).all()
    end = pchip(2) + pchip.derivative()(2) * (X[X > 2] - 2)
    np.testing.assert_allclose(ours[X > 2, 0], end, atol=1e-4)


def test_crossed_knots_still_give_three_pieces():
    numbers = {"slopes": np.float32([[2, -1, 3]]), "knots": np.float32([[1, -1]])}
    ours, _ = drawn("piecewise_linear", numbers)
    slopes = np.diff(ours[:, 0]) / np.diff(X)
    assert [round(s) for s in (slopes[0], slopes[40], slopes[-1])] == [2, -1, 3]
    assert ours[40, 0] == 0


@pytest.mark.parametrize(("kind", "start"), CASES)
def test_every_parameter_of_an_activation_gets_a_gradient(kind, start):
    module = LearnedActivation(kind, 2, start, axis=1)
    images = torch.linspace(-3, 3, 2 * 2 * 4 * 4).reshape(2, 2, 4, 4) + 0.01
    ((module(images) - 1) ** 3).sum().backward()
    assert module(images).shape == images.shape
    dead = [name for name, p in module.named_parameters() if not p.grad.any()]
    # a knot between equal slopes bends nothing, so moving it changes nothing yet
    assert dead == (["knots"] if (kind, start) == ("piecewise_linear", "identity") else [])


# --- adapters, blocks, networks -------------------------------------------------------------


def test_an_adapter_starts_at_zero_change_and_learns():
    torch.manual_seed(0)
    base, x = nn.Linear(6, 4), torch.randn(5, 6)
    before, kept = base(x).detach(), base.weight.detach().clone()
    adapted = AdaptedLinear(base, 2, scale=0.5)
    assert torch.equal(adapted(x), before)
    adapted(x).square().sum().backward()
    assert adapted.adapter.up.grad.any() and not adapted.adapter.down.grad.any()
    optimizer = torch.optim.AdamW([p for p in adapted.parameters() if p.requires_grad], lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        adapted(x).square().sum().backward()
        optimizer.step()
    assert adapted.adapter.down.grad.any() and torch.equal(base.weight, kept)
    assert (adapted(x) - before).abs().max() > 0.1
    torch.testing.assert_close(adapted.merged()(x), adapted(x))
    assert torch.linalg.matrix_rank(adapted.merged().weight - kept, atol=1e-5) == 2


def test_networks_have_the_published_sizes():
    """facts: 9,217 learned numbers with a fixed readout, 16,394 with a linear one, r8: 38,913."""

    def learned(**options):
        return sum(p.numel() for p in FrozenMixingNetwork(1024, 10, **options).parameters())

    assert learned(depth=3, readout="fixed") == 3 * 3 * 1024 + 1 == 9217
    assert learned(depth=2) == 2 * 3 * 1024 + 1024 * 10 + 10 == 16394


@pytest.mark.parametrize("kind", MIXINGS)
@pytest.mark.parametrize("activation", STARTS)
def test_any_network_runs_and_learns(kind, activation):
    torch.manual_seed(0)
    model = FrozenMixingNetwork(16, 3, mixing=kind, activation=activation, rank=2)
    x, y = torch.randn(30, 2, 5), torch.arange(30) % 3
    optimizer = torch.optim.AdamW(mixing_parameter_groups(model, lr=1e-2))
    losses = []
    for _ in range(25):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]
    seeds = [block.mixing.seed for block in model.blocks]
    assert seeds == ([0, 1] if kind in RANDOM else [None, None])


@pytest.fixture(scope="module")
def digits_accuracy():
    """Train a fixed-readout network on scikit-learn's digits; return its test accuracy."""
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    x, y = torch.tensor(pixels - 8).float() / 6, torch.tensor(labels)

    def train(kind, **rates):
        torch.manual_seed(0)
        model = FrozenMixingNetwork(64, 10, depth=3, readout="fixed", mixing=kind, seed=0)
        optimizer = torch.optim.AdamW(mixing_parameter_groups(model, **rates))
        for _ in range(8):
            for batch in torch.randperm(1400).split(50):
                optimizer.zero_grad()
                F.cross_entropy(model(x[batch]), y[batch]).backward()
                optimizer.step()
        return (model(x[1400:]).argmax(1) == y[1400:]).float().mean().item()

    return train


def test_mixing_beats_identity_where_the_readout_is_fixed(digits_accuracy):
    """The ablation of facts A.6, here with sign flips; its worst gap on MNIST was 0.135."""
    mixed = [digits_accuracy(kind) for kind in ("dct", "hadamard", "orthogonal")]
    assert min(mixed) - digits_accuracy("identity") > 0.05, mixed


def test_activations_want_a_higher_rate_than_weights_not_a_lower_one(digits_accuracy):
    low = digits_accuracy("dct", lr=1e-3, activation_lr=1e-4)
    assert digits_accuracy("dct", lr=1e-3) - low > 0.2, low


def test_the_encoder_layer_mixes_tokens():
    torch.manual_seed(0)
    layer = FrozenMixingEncoderLayer(8, token_mixing="orthogonal", seed=3)
    x = torch.randn(2, 6, 8, requires_grad=True)
    layer(x)[0, 0].sum().backward()
    assert (x.grad[0].abs().sum(-1) > 0).all() and not x.grad[1].any()
    held = FrozenMixingEncoderLayer(8, gate=0.0)
    assert torch.equal(held(x), x)
    held(x).square().sum().backward()
    assert [n for n, p in held.named_parameters() if p.grad.any()] == ["gates"]


def test_parameter_groups_cover_each_learned_parameter_once():
    model = nn.Sequential(
        FrozenMixingEncoderLayer(8), FrozenMixingBlock(8, rank=2), nn.Linear(8, 2)
    )
    model[2].weight.requires_grad_(False)
    groups = mixing_parameter_groups(model, lr=1e-3, activation_lr=5e-3, decay=0.1)
    assert [(g["name"], g["lr"], g["weight_decay"]) for g in groups] == [
        ("activations", 5e-3, 0.0),
        ("scales", 1e-3, 0.0),
        ("weights", 1e-3, 0.1),
    ]
    given_ = [p for group in groups for p in group["params"]]
    assert len(given_) == len(set(given_))
    assert set(given_) == {p for p in model.parameters() if p.requires_grad}
    assert all(p.ndim == 2 for p in groups[2]["params"])


@pytest.mark.parametrize("bits", [1, 4, 8, 16])
def test_quantised_parameters_take_few_values_and_still_learn(bits):
    torch.manual_seed(0)
    model = FrozenMixingBlock(64)
    with torch.no_grad():
        for p in model.parameters():
            p += torch.randn_like(p)
    exact = model.activation.above.detach().clone()
    assert quantise_activations(model, bits) is model
    rounded = model.activation.above.detach()
    step = (exact.amax().clamp_min(0) - exact.amin().clamp_max(0)) / (2**bits - 1)
    assert len(rounded.unique()) <= 2**bits
    assert (rounded - exact).abs().max() <= step * 0.51 + 1e-6
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model(torch.randn(9, 64)).square().mean().backward()
    optimizer.step()
    assert not torch.equal(model.activation.parametrizations.above.original, exact)
    kept = model.activation.above.detach()
    parametrize.remove_parametrizations(model.activation, "above")
    assert torch.equal(model.activation.above, kept)


def test_quantising_a_start_changes_nothing():
    """The default slopes 1 and 0 are levels themselves."""
    model, x = FrozenMixingBlock(16), torch.randn(3, 16)
    before = model(x)
    torch.testing.assert_close(quantise_activations(model, 8)(x), before)
    torch.testing.assert_close(quantise_activations(model, 4)(x), before)


@pytest.mark.parametrize(("used", "unused"), [("torch", "jax"), ("jax", "torch")])
def test_each_framework_works_without_the_other(used, unused):
    array = {"torch": "import torch as xp", "jax": "import jax.numpy as xp"}[used]
    code = f"""import sys; sys.modules[{unused!r}] = None
{array}
from paramlock.mixing.activations import activate, activation_parameters
from paramlock.mixing import mix
x = mix(xp.ones((2, 8)), "orthogonal", seed=0)
p = {{k: xp.asarray(v) for k, v in activation_parameters("monotone_cubic", 8).items()}}
assert abs(activate(x, p, "monotone_cubic") - x).max() < 1e-5"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=100)
