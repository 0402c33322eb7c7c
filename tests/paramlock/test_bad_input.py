"""Bad input to the library's measuring functions: one clear error each, before any damage.

A row is what is done and what the error says: the situation or cause, and the way out.
"""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from paramlock import anchor, certificate, ewc_penalty, fisher_diagonal, watch
from paramlock.mixing import dct, hadamard, mix
from paramlock.torch import transfer_profile

X, Y = torch.randn(6, 4), torch.arange(6) % 3


def net(device="cpu"):
    return nn.Sequential(nn.Linear(4, 3)).to(device)


def whole_numbers():
    """Return a model with a parameter of integers, as quantisation leaves it."""
    model = net()
    model[0].weight = nn.Parameter(model[0].weight.to(torch.int8), requires_grad=False)
    return model


def lazy():
    return nn.Sequential(nn.LazyLinear(3))


def sgd(model):
    return torch.optim.SGD(model.parameters(), 0.1)


def certify(model=None, data=(X, Y), loss=F.cross_entropy, **options):
    return certificate(model or net(), data, loss, **options)


def fisher(model=None, data=(X, Y), **options):
    return fisher_diagonal(model or net(), data, **options)


def start(model, optimizer, **options):
    watch(model, optimizer, live=False, **options).start()


def profile(model=None, layers=("0",), score=lambda model: 1.0):
    return transfer_profile(model or net(), layers, lambda model: None, score)


ONES = {"0.weight": torch.ones(3, 4)}

CASES = {
    "certificate: empty list": (lambda: certify(data=[]), "no samples"),
    "certificate: empty batch": (lambda: certify(data=(X[:0], Y[:0])), "no samples"),
    "certificate: used-up iterator": (lambda: certify(data=iter(())), "used-up iterator"),
    "certificate: no data": (lambda: certify(data=None), "data is NoneType: pass (inputs"),
    "certificate: inputs alone": (lambda: certify(data=X), "needs targets"),
    "certificate: words": (lambda: certify(data=(["a"], Y)), "holds no array"),
    "certificate: NumPy": (lambda: certify(data=(X.numpy(), Y)), "not numpy.ndarray"),
    "certificate: width": (lambda: certify(data=(X[:, :3], Y)), "inputs (6, 3)"),
    "certificate: targets": (lambda: certify(data=(X, Y[:3])), "batch_size (6)"),
    "certificate: vector loss": (lambda: certify(loss=lambda o, t: o), "not a single number"),
    "certificate: no graph": (lambda: certify(loss=lambda o, t: o.detach().sum()), "no graph"),
    "certificate: no loss": (lambda: certify(loss=None), "Check that loss("),
    "certificate: integers": (lambda: certify(whole_numbers()), "must have the same dtype"),
    "certificate: meta": (lambda: certify(net("meta")), "meta device"),
    "certificate: lazy": (lambda: certify(lazy()), "run one batch through the model first"),
    "certificate: empty model": (lambda: certify(nn.ReLU()), "pass the model that is trained"),
    "certificate: a number": (lambda: certify(3), "model is int: pass a torch.nn.Module"),
    "certificate: optimizer": (lambda: certify(optimizer="adam"), "optimizer is str: pass the"),
    "certificate: epsilon": (lambda: certify(epsilon="small"), "positive, not 'small'"),
    "certificate: delta": (lambda: certify(delta=-0.1), "positive, not 0.001 and -0.1"),
    "certificate: params": (lambda: certify(params={}), "leave params= out"),
    "certificate: Fisher name": (lambda: certify(fisher={"1.weight": X}), "is missing: pass"),
    "certificate: Fisher shape": (lambda: certify(fisher={"0.bias": X}), "is of shape (3,): pass"),
    "watch: every": (lambda: watch(net(), every="2"), "every is '2': give the steps"),
    "watch: delta": (lambda: watch(net(), delta=0), "delta is 0: give the derivative"),
    "watch: no optimizer": (lambda: start(net(), None), "a torch model and its optimizer"),
    "watch: other optimizer": (lambda: start(net(), sgd(net())), "the pair that trains together"),
    "watch: meta": (lambda: start(net("meta"), sgd(net())), "meta device"),
    "watch: integers": (lambda: start(whole_numbers(), sgd(net())), "holds no parameter of this"),
    "Fisher: empty": (lambda: fisher(data=[]), "no samples"),
    "Fisher: empty batch": (lambda: fisher(data=(X[:0], Y[:0])), "no samples"),
    "Fisher: no data": (lambda: fisher(data=None), "data is NoneType"),
    "Fisher: words": (lambda: fisher(data=(["a"], Y)), "holds no array"),
    "Fisher: NumPy": (lambda: fisher(data=(X, Y.numpy())), "pass torch tensors"),
    "Fisher: width": (lambda: fisher(data=(X[:, :3], Y)), "inputs (6, 3)"),
    "Fisher: targets": (lambda: fisher(data=(X, Y[:3])), "targets have the shape (3,)"),
    "Fisher: classes": (lambda: fisher(data=(X, Y + 1)), "whole numbers from 0 to 2"),
    "Fisher: integers": (lambda: fisher(whole_numbers()), "must have the same dtype"),
    "Fisher: meta": (lambda: fisher(net("meta")), "meta device"),
    "Fisher: lazy": (lambda: fisher(lazy()), "run one batch through the model first"),
    "Fisher: empty model": (lambda: fisher(nn.ReLU()), "pass the model that is trained"),
    "Fisher: kind": (lambda: fisher(kind="exact"), "must be one of empirical, true, sampled"),
    "Fisher: likelihood": (lambda: fisher(likelihood="poisson"), "must be one of categorical"),
    "Fisher: draws": (lambda: fisher(kind="sampled", draws=0.5), "draw at least one label"),
    "Fisher: params": (lambda: fisher(params={}), "leave params= out"),
    "EWC: name": (lambda: ewc_penalty(net(), {"wieght": X}, {}, strength=1), "missing"),
    "EWC: shape": (lambda: ewc_penalty(net(), {"0.bias": X}, anchor(net()), strength=1), "(6, 4)"),
    "EWC: empty": (lambda: ewc_penalty(net(), {}, {}, strength=1), "holds nothing"),
    "EWC: strength": (lambda: ewc_penalty(net(), ONES, ONES, strength=-1), "0 or more"),
    "EWC: NaN": (lambda: ewc_penalty(net(), ONES, ONES, strength=math.nan), "strength is nan"),
    "EWC: word": (lambda: ewc_penalty(net(), ONES, ONES, strength="1"), "strength is '1'"),
    "EWC: a number": (lambda: ewc_penalty(3, ONES, ONES, strength=1), "pass a model or dicts"),
    "anchor: meta": (lambda: anchor(net("meta")), "load its values first"),
    "transfer: no layers": (lambda: profile(layers=[]), "name modules of the model once"),
    "transfer: name": (lambda: profile(layers=["body"]), "unknown: ['body']"),
    "transfer: twice": (lambda: profile(layers=["0", "0"]), "once each"),
    "transfer: a number": (lambda: profile(3), "model is int: pass the pretrained"),
    "transfer: meta": (lambda: profile(net("meta")), "meta device"),
    "transfer: integers": (lambda: profile(whole_numbers()), "before it is quantised"),
    "transfer: no score": (lambda: profile(score=lambda model: None), "score returned None"),
    "mixing: length": (lambda: hadamard(torch.ones(2, 3)), "pass pad=True"),
    "mixing: integers": (lambda: hadamard(Y[:4]), "convert them to floats first"),
    "mixing: NumPy": (lambda: dct(np.ones(4)), "pass a torch tensor or a JAX array"),
    "mixing: empty": (lambda: dct(torch.ones(0)), "no last axis"),
    "mixing: kind": (lambda: mix(X, "wht"), "must be one of hadamard"),
}


@pytest.mark.parametrize("name", CASES)
def test_bad_input_gets_one_clear_error(name):
    run, message = CASES[name]
    with pytest.raises((ValueError, TypeError), match=re.escape(message)) as caught:
        run()
    text = str(caught.value)
    assert len(text) < 400 and "\n" not in text, "one error, one paragraph"


def test_an_error_leaves_the_model_as_it_was():
    model = net().train()
    model[0].bias.requires_grad_(False)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    for run in (
        lambda: certify(model, data=(X[:, :3], Y)),
        lambda: fisher(model, data=[(X, Y), (X, Y + 9)]),
        lambda: profile(model, score=lambda model: None),
    ):
        with pytest.raises(ValueError):
            run()
        assert model.training and not model[0].bias.requires_grad
        assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
        assert not any(len(v) for k, v in vars(model[0]).items() if k.endswith("hooks"))
