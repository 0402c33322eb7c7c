"""Right answers to `what_moved`, each in a style of its own."""

import copy
import hashlib
import io

import numpy as np
import torch


def compare_bytes(model, step):
    def state():
        return {name: value.numpy().tobytes() for name, value in model.state_dict().items()}

    before = state()
    step()
    after = state()
    return tuple(sorted(name for name in before if before[name] != after[name]))


def copy_the_whole_model(model, step):
    old = copy.deepcopy(model).state_dict()
    step()
    new = model.state_dict()
    both_nan = {name: torch.isnan(old[name]) & torch.isnan(new[name]) for name in old}
    return tuple(name for name in old if not ((old[name] == new[name]) | both_nan[name]).all())


def go_through_parameters_and_buffers(model, step):
    def state():
        named = [*model.named_parameters(), *model.named_buffers()]
        return {name: tensor.detach().numpy().copy() for name, tensor in named}

    before = state()
    step()
    moved = {
        name: not np.array_equal(now, before[name], equal_nan=True) for name, now in state().items()
    }
    return [name for name, flag in moved.items() if flag]


def compare_with_allclose_without_tolerance(model, step):
    before = copy.deepcopy(model.state_dict())
    step()
    moved = set()
    for name, now in model.state_dict().items():
        if not torch.allclose(now, before[name], rtol=0, atol=0, equal_nan=True):
            moved.add(name)
    return moved


def look_at_the_bits_as_integers(model, step):
    def bits(tensor):
        return tensor.detach().clone().reshape(-1).view(torch.uint8)

    before = {name: bits(tensor) for name, tensor in model.state_dict().items()}
    step()
    after = {name: bits(tensor) for name, tensor in model.state_dict().items()}
    return tuple(name for name in after if not torch.equal(before[name], after[name]))


def let_torch_testing_compare(model, step):
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    step()
    moved = ()
    for name, tensor in model.state_dict().items():
        try:
            torch.testing.assert_close(tensor, before[name], rtol=0, atol=0, equal_nan=True)
        except AssertionError:
            moved += (name,)
    return moved


def save_and_load(model, step):
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    step()
    file.seek(0)
    saved = torch.load(file)
    digest = {name: hashlib.sha256(value.numpy().tobytes()) for name, value in saved.items()}
    return tuple(
        name
        for name, value in model.state_dict().items()
        if hashlib.sha256(value.numpy().tobytes()).digest() != digest[name].digest()
    )


def compare_the_places_of_nan_and_then_the_rest(model, step):
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    step()
    moved = []
    for name, tensor in model.state_dict().items():
        old, now = before[name].isnan(), tensor.isnan()
        if not torch.equal(old, now) or not torch.equal(before[name][~old], tensor[~now]):
            moved.append(name)
    return moved
