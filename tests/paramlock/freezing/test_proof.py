"""assert_frozen finds what moves a frozen layer, says why, and finds nothing where nothing does."""

import contextlib

import jax
import jax.numpy as jnp
import optax
import pytest
import torch
from flax import linen, nnx
from torch import nn
from torch.utils.checkpoint import checkpoint

from paramlock.freezing import in_optax
from paramlock.freezing.in_torch import freeze, frozen, unfreeze
from paramlock.freezing.proof import assert_frozen

OPTIMIZERS = {
    "SGD": lambda p: torch.optim.SGD(p, 0.1),
    "SGD+WD": lambda p: torch.optim.SGD(p, 0.1, weight_decay=0.1),
    "SGD warm momentum": lambda p: torch.optim.SGD(p, 0.1, momentum=0.9),
    "Adam cold": lambda p: torch.optim.Adam(p, 0.01),
    "Adam warm": lambda p: torch.optim.Adam(p, 0.01),
    "Adam+L2": lambda p: torch.optim.Adam(p, 0.01, weight_decay=0.1),
    "AdamW": lambda p: torch.optim.AdamW(p, 0.01, weight_decay=0.1),
}
# What moves a layer whose gradient is zeroed, by optimizer (warm: after steps with a gradient).
ZEROED = {
    "SGD": set(),
    "SGD+WD": {"decay"},
    "SGD warm momentum": {"momentum"},
    "Adam cold": set(),
    "Adam warm": {"momentum"},
    "Adam+L2": {"decay", "momentum"},
    "AdamW": {"decay"},
}
WORDS = {"decay": "weight decay", "momentum": "momentum from earlier steps"}


class Training:
    """A body of two layers, a head, and an optimizer that holds them all."""

    def __init__(self, optimizer="SGD", norm=False):
        torch.manual_seed(0)
        middle = nn.BatchNorm1d(4) if norm else nn.Tanh()
        self.model = nn.Sequential(nn.Sequential(nn.Linear(3, 4), middle), nn.Linear(4, 2))
        self.optimizer = OPTIMIZERS[optimizer](self.model.parameters())
        self.x, self.y = torch.randn(16, 3), torch.randn(16, 2)
        self.to_none = True
        if "warm" in optimizer:
            self.step()

    def step(self, before_update=lambda: None):
        self.model.train()
        self.optimizer.zero_grad(set_to_none=self.to_none)
        (self.model(self.x) - self.y).square().mean().backward()
        before_update()
        self.optimizer.step()


def report(*args, **options):
    with pytest.raises(AssertionError) as caught:
        assert_frozen(*args, **options)
    return str(caught.value)


def check(training, step, causes):
    """The body moves for these causes, or not at all."""
    if not causes:
        return assert_frozen(training.model, "0", step)
    text = report(training.model, "0", step)
    assert all((word in text) is (cause in causes) for cause, word in WORDS.items()), text
    assert "parameter 0.0.weight: 12 of 12 entries" in text and "1.weight" not in text


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_zeroed_gradient_is_no_lock(name):
    training = Training(name)
    body = list(training.model[0].parameters())
    check(training, lambda: training.step(lambda: [p.grad.zero_() for p in body]), ZEROED[name])


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_flag_with_a_gradient_of_zeros_left_is_no_lock(name):
    training = Training(name)
    training.to_none = False
    for p in training.model[0].parameters():
        p.grad = torch.zeros_like(p)
        p.requires_grad_(False)
    check(training, training.step, ZEROED[name])


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_what_is_frozen_stays_under_every_optimizer(name):
    training = Training(name, norm=True)
    training.step()
    training.to_none = False
    freeze(training.model, "0")
    assert_frozen(training.model, "0", training.step)
    unfreeze(training.model, "0")
    assert "gets a gradient" in report(training.model, "0", training.step)


def test_a_stale_gradient():
    training = Training()
    training.step()
    stale = training.model[0][0].weight
    stale.requires_grad_(False)

    def step():
        kept = stale.grad
        training.optimizer.zero_grad()
        stale.grad = kept
        (training.model(training.x) - training.y).square().mean().backward()
        training.optimizer.step()

    text = report(training.model, "0.0.weight", step)
    assert "a stale gradient" in text and text.count("parameter") == 1


def test_the_distance_is_that_of_the_closed_form():
    """Momentum v, then zeros: after k steps a drift of lr · v · (μ + … + μ^k)."""
    training = Training("SGD warm momentum")
    weight = training.model[0][0].weight
    velocity = training.optimizer.state[weight]["momentum_buffer"].norm()
    far = 0.1 * velocity * sum(0.9**k for k in range(1, 6)) / weight.norm()
    zero = lambda: [p.grad.zero_() for p in training.model[0].parameters()]  # noqa: E731
    text = report(training.model, "0", lambda: training.step(zero))
    assert f"0.0.weight: 12 of 12 entries, by {far.item():.3g}" in text


def test_running_statistics_move_without_a_gradient_and_train_undoes_eval():
    training = Training(norm=True)
    training.model[0].requires_grad_(False).eval()
    text = report(training.model, "0", training.step)
    assert "running statistics" in text and "model.train() undoes" in text
    assert "buffer 0.1.running_mean: 4 of 4 entries, away from zero" in text
    assert "parameter" not in text.replace("parameters or buffers", "")


def test_statistics_of_the_batch_without_a_buffer_that_moves():
    """As a freeze elsewhere does it: training mode, but nothing is tracked."""
    training = Training(norm=True)
    training.step()
    training.model[0].requires_grad_(False)
    training.model[0][1].track_running_stats = False
    text = report(training.model, "0", training.step)
    assert (
        "it computes something else than in evaluation" in text
        and "(in training mode: 0.1)" in text
    )
    assert "output 0: 64 of 64 entries" in text and "buffer" not in text


def test_dropout_in_a_frozen_part():
    training = Training()
    training.model[0].append(nn.Dropout(0.5))
    training.model[0].requires_grad_(False)
    text = report(training.model, "0", training.step)
    assert "dropout or other noise is on" in text and "(in training mode: 0.2)" in text


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda m: m[0][0].weight.data.mul_(0.9), "outside of any optimizer"),
        (lambda m: setattr(m[0], "0", nn.Linear(3, 4)), "another tensor stands in its place"),
        (lambda m: setattr(m[0], "0", nn.Linear(3, 4, bias=False)), "or none"),
        (lambda m: setattr(m, "0", nn.Linear(3, 4)), "or none"),
    ],
)
def test_what_no_optimizer_did(spoil, words):
    training = Training()
    freeze(training.model, "0")
    text = report(training.model, ["0"], lambda: (training.step(), spoil(training.model)))
    assert words in text


def test_an_optimizer_that_decays_without_a_gradient():
    class Decaying(torch.optim.SGD):
        @torch.no_grad()
        def step(self, closure=None):
            super().step(closure)
            for group in self.param_groups:
                for p in group["params"]:
                    p.mul_(1 - 0.01)

    training = Training()
    freeze(training.model, "0")
    training.optimizer = Decaying(training.model.parameters(), 0.1)
    assert "moves it without a gradient" in report(training.model, "0", training.step)


def test_a_rotation_keeps_the_norm_and_is_found():
    training = Training()
    freeze(training.model, "0")
    weight = training.model[0][0].weight
    norm = weight.norm()
    flip = lambda: weight.data.copy_(weight.data.flip(0))  # noqa: E731
    assert "12 of 12 entries" in report(training.model, "0", lambda: (training.step(), flip()))
    assert weight.norm() == norm


def test_steps_that_train_nothing_prove_nothing():
    training = Training()
    freeze(training.model, "0")
    with pytest.raises(ValueError, match="moved none of the 2 trainable parameters outside"):
        assert_frozen(training.model, "0", lambda: training.model(training.x))
    with pytest.raises(ValueError, match="without a step"):
        assert_frozen(training.model, "0", training.step, steps=0)
    with pytest.raises(ValueError, match=r"nothing .* is called '00'; near it"):
        assert_frozen(training.model, "00", training.step)
    with pytest.raises(TypeError, match=r"pass a torch\.nn\.Module"):
        assert_frozen([1], "0", training.step)


@pytest.mark.parametrize("still", ["0", "0.0"])
def test_it_leaves_modes_statistics_hooks_and_random_numbers_as_the_steps_do(still):
    """Whether it finds something (0: norm and dropout are at work) or nothing (0.0)."""

    def after(prove):
        training = Training(norm=True)
        training.model[0].append(nn.Dropout(0.5))
        freeze(training.model, "0.0")
        prove(training)
        modules = list(training.model.modules())
        hooks = sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in modules)
        state = [t.tolist() for t in training.model.state_dict().values()]
        return state, [m.training for m in modules], hooks, torch.rand(3).tolist()

    def proved(training):
        with contextlib.suppress(AssertionError):
            assert_frozen(training.model, still, training.step)

    assert after(proved) == after(lambda training: [training.step() for _ in range(5)])


def test_a_step_under_autocast_and_a_part_called_twice():
    training = Training()
    shared = training.model[0][0]
    freeze(training.model, "0")

    def step():
        training.optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            shared(training.x)
            loss = (training.model(training.x) - training.y).square().mean()
        loss.backward()
        training.optimizer.step()

    assert_frozen(training.model, "0.*", step)


@pytest.mark.parametrize("below", [True, False])
def test_an_attention_layer_with_and_without_trainable_layers_below(below):
    """In evaluation mode, where no gradient passes, torch takes a kernel that rounds otherwise."""
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.1, batch_first=True)
    model = nn.Sequential(nn.Linear(8, 8) if below else nn.Identity(), layer, nn.Linear(8, 1))
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    x = torch.randn(4, 5, 8)

    def step():
        model.train()
        optimizer.zero_grad()
        model(x).square().mean().backward()
        optimizer.step()

    with frozen(model, "1"):
        assert_frozen(model, "1", step)
    layer.requires_grad_(False)
    assert "noise" in report(model, "1", step)
    for part in layer.modules():
        if isinstance(part, nn.Dropout):
            part.p = 0.0
    layer.self_attn.dropout = 0.0
    assert_frozen(model, "1", step)


@pytest.mark.usefixtures("torch_compiles")
@pytest.mark.parametrize("fullgraph", [False, True])
def test_compiled_models(fullgraph):
    training = Training(norm=True)
    model = training.model
    training.model = torch.compile(model, backend="eager", fullgraph=fullgraph)
    freeze(model, "0")
    assert_frozen(training.model, "0", training.step)
    assert_frozen(model, "0", training.step)
    model[0][1].__dict__.pop("train")  # what kept it in evaluation mode
    assert "buffer 0.1.running_mean" in report(training.model, "0", training.step)


@pytest.mark.parametrize("reentrant", [False, True])
@pytest.mark.parametrize("activation", [nn.GELU, nn.LeakyReLU])
def test_a_frozen_block_under_checkpointing(reentrant, activation):
    training = Training()
    body, head = training.model
    body[1] = activation()

    def step():
        hidden = checkpoint(body, training.x.requires_grad_(), use_reentrant=reentrant)
        training.optimizer.zero_grad()
        (head(hidden) - training.y).square().mean().backward()
        training.optimizer.step()

    freeze(training.model, "0")
    assert_frozen(training.model, "0", step, steps=2)
    unfreeze(training.model, "0")
    assert "parameter 0.0.weight" in report(training.model, "0", step)


class Adapter(nn.Module):
    def __init__(self):
        super().__init__()
        self.base, self.lora_a = nn.Linear(4, 4), nn.Linear(4, 4)
        self.base.requires_grad_(False)

    def forward(self, x):
        return self.base(x) + self.lora_a(x)


def test_parts_that_may_move_are_left_out():
    training = Training()
    training.model[0].append(Adapter())
    training.model[0][0].requires_grad_(False)
    training.model[1].requires_grad_(False)
    training.optimizer = torch.optim.Adam(training.model.parameters())
    assert_frozen(training.model, "", training.step, except_="**.lora_*")
    text = report(training.model, "", training.step)
    assert "parameter 0.2.lora_a.weight" in text and "base" not in text
    training.model[0][0].requires_grad_(True)
    text = report(training.model, "", training.step, except_=["**.lora_*"])
    assert "parameter 0.0.weight" in text and "lora" not in text
    with pytest.raises(ValueError, match=r"called 'lora'"):
        assert_frozen(training.model, "", training.step, except_="lora")


def test_a_tied_parameter_is_named_by_all_its_names():
    training = Training()
    head = nn.Linear(3, 4, bias=False)
    head.weight = training.model[0][0].weight
    training.model.add_module("head", nn.Sequential(nn.Linear(2, 3), head))
    training.y = torch.randn(16, 4)
    training.optimizer = torch.optim.SGD(training.model.parameters(), 0.1)
    assert "parameter 0.0.weight (the same tensor as head.1.weight)" in report(
        training.model, "0", training.step
    )


# --- Flax


class Net(nnx.Module):
    def __init__(self, rngs):
        self.l1, self.bn = nnx.Linear(3, 4, rngs=rngs), nnx.BatchNorm(4, rngs=rngs)
        self.drop, self.l2 = nnx.Dropout(0.5, rngs=rngs), nnx.Linear(4, 2, rngs=rngs)

    def __call__(self, x):
        return self.l2(self.drop(self.bn(self.l1(x))))


X = jax.random.normal(jax.random.key(0), (8, 3))


@nnx.jit
def nnx_step(model, optimizer):
    optimizer.update(model, nnx.grad(lambda m: (m(X) ** 2).mean())(model))


def nnx_training(transformation, evaluate=True):
    model = Net(nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, transformation, wrt=nnx.Param)

    def step():
        model.train()
        if evaluate:
            model.bn.eval()
        nnx_step(model, optimizer)

    return model, step


def test_nnx():
    model, step = nnx_training(in_optax.freeze(optax.adamw(0.1), "l1", "bn"))
    assert_frozen(model, ["l1", "bn"], step)
    text = report(model, "", step)
    assert "parameter l2.kernel: 8 of 8 entries" in text and "updates are not zero" in text
    assert "l1" not in text and "count" not in text


def test_nnx_statistics_are_no_parameters():
    model, step = nnx_training(in_optax.freeze(optax.adamw(0.1), "l1", "bn"), evaluate=False)
    text = report(model, ["l1", "bn"], step)
    assert "buffer bn.mean: 4 of 4" in text and "use_running_average=True" in text
    assert "parameter bn" not in text


class Linen(linen.Module):
    @linen.compact
    def __call__(self, x, train=True):
        x = linen.BatchNorm(use_running_average=not train)(linen.Dense(4)(x))
        return linen.Dense(2)(x)


def linen_training(transformation):
    variables = Linen().init(jax.random.key(0), X)
    state = transformation.init(variables["params"])

    @jax.jit
    def step(variables, state):
        def loss(params):
            rest = {"params": params, "batch_stats": variables["batch_stats"]}
            out, new = Linen().apply(rest, X, mutable=["batch_stats"])
            return (out**2).mean(), new

        gradients, new = jax.grad(loss, has_aux=True)(variables["params"])
        updates, state = transformation.update(gradients, state, variables["params"])
        return {"params": optax.apply_updates(variables["params"], updates), **new}, state

    def keep(variables):
        nonlocal state
        variables, state = step(variables, state)
        return variables

    return variables, keep


def test_linen_variables():
    variables, step = linen_training(in_optax.freeze(optax.adamw(0.1), "Dense_0"))
    assert_frozen(variables, "Dense_0", step)
    text = report(variables, ["Dense_0", "BatchNorm_0"], step)
    assert "running statistics" in text and "parameter BatchNorm_0.scale" in text


def test_zeroed_gradients_before_adamw_decay():
    frozen_dense = {"Dense_0": True, "BatchNorm_0": False, "Dense_1": False}
    chain = optax.chain(optax.freeze(frozen_dense), optax.adamw(0.1))
    variables, step = linen_training(chain)
    text = report(variables, "Dense_0.kernel", step)
    assert "weight decay in the updates" in text


def test_plain_dicts_and_steps_that_return_something_else():
    params = {"a": jnp.ones(2), "b": jnp.ones(2)}
    assert_frozen(params, "a", lambda p: {**p, "b": p["b"] + 1})
    assert "another tensor" in report(params, "a", lambda p: {"b": p["b"] + 1})
    assert "a: 1 of 2 entries, by 0.707" in report(
        params, "a", lambda p: {**p, "a": p["a"].at[0].set(0)}, steps=1
    )
    with pytest.raises(ValueError, match="step returned NoneType"):
        assert_frozen(params, "a", lambda p: None)
    with pytest.raises(ValueError, match="moved none of the 1"):
        assert_frozen(params, "a", lambda p: p)


# --- a real network


def test_efficientnet_whose_blocks_drop_at_random_by_their_own_mode():
    """With BatchNorm alone in evaluation mode its frozen body is another function at each step."""
    efficientnet = pytest.importorskip("efficientnet_lite_pytorch").EfficientNet
    torch.manual_seed(0)
    model = efficientnet.from_name("efficientnet-lite0")
    body = ["_conv_stem", "_bn0", "_blocks", "_conv_head", "_bn1"]
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    images, labels = torch.randn(4, 3, 32, 32), torch.tensor([0, 1, 2, 3])

    def step(settle=lambda: None):
        model.train()
        settle()
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(images), labels).backward()
        optimizer.step()

    def settle():
        for part in model.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.eval()

    model.requires_grad_(False)._fc.requires_grad_(True)
    text = report(model, body, lambda: step(settle), steps=2)
    assert text.count("(in training mode: _blocks.") > 2
    assert "parameter" not in text and "buffer" not in text
    freeze(model, *body)
    assert_frozen(model, body, step, steps=2)
