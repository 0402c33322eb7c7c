"""Right answers to `gradients_behind`, each in a style of its own."""

import copy

import torch
from torch.func import functional_call
from torch.nn import functional as F


def put_everything_back(model, silent, inputs, targets):
    kept = {name: p.grad for name, p in model.named_parameters()}
    buffers = {name: b.clone() for name, b in model.named_buffers()}
    handle = model.get_submodule(silent).register_forward_hook(lambda m, i, out: 0 * out)
    try:
        model.zero_grad(set_to_none=True)
        F.cross_entropy(model(inputs), targets).backward()
        found = []
        for name, p in model.named_parameters():
            if p.grad is not None and p.grad.count_nonzero() == 0:
                found.append(name)
    finally:
        handle.remove()
        for name, p in model.named_parameters():
            p.grad = kept[name]
        for name, buffer in model.named_buffers():
            buffer.copy_(buffers[name])
    return found


def ask_autograd(model, silent, inputs, targets):
    twin = copy.deepcopy(model)
    twin.get_submodule(silent).register_forward_hook(
        lambda module, args, out: torch.where(torch.tensor(False), out, 0 * out)
    )
    trainable = {name: p for name, p in twin.named_parameters() if p.requires_grad}
    loss = F.cross_entropy(twin(inputs), targets)
    found = torch.autograd.grad(loss, list(trainable.values()), allow_unused=True)
    pairs = zip(trainable, found, strict=True)
    return {name for name, g in pairs if g is not None and bool((g == 0).all())}


def call_it_as_a_function(model, silent, inputs, targets):
    leaves = {
        name: p.detach().clone().requires_grad_(p.requires_grad)
        for name, p in model.named_parameters()
    }
    buffers = {name: b.clone() for name, b in model.named_buffers()}
    handle = model.get_submodule(silent).register_forward_hook(lambda m, i, out: out.mul(0.0))
    out = functional_call(model, {**leaves, **buffers}, (inputs,))
    handle.remove()
    F.cross_entropy(out, targets).backward()
    return sorted(n for n, p in leaves.items() if p.grad is not None and p.grad.abs().max() == 0)


def put_a_forward_in_its_place(model, silent, inputs, targets):
    module, work = model.get_submodule(silent), dict(model.named_parameters())
    kept = {name: b.clone() for name, b in model.named_buffers()}
    forward = module.forward
    module.forward = lambda *args: forward(*args) * 0
    loss = F.cross_entropy(model(inputs), targets)
    module.forward = forward
    asked = [name for name, p in work.items() if p.requires_grad]
    found = torch.autograd.grad(loss, [work[name] for name in asked], allow_unused=True)
    for name, buffer in model.named_buffers():
        buffer.copy_(kept[name])
    return [n for n, g in zip(asked, found, strict=True) if g is not None and not g.any()]
