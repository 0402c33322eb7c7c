"""Wrong answers to `keep_in_eval` that come from none of its beliefs."""

import copy
from types import MethodType

import torch
from torch import nn


def _part(model, path):
    modules = dict(model.named_modules())
    if path not in modules:
        raise ValueError(path)
    return modules[path]


def _stay(self, mode=True):
    return self


def _hold(module):
    module.training = False
    module.train = MethodType(_stay, module)


def _kept(model, path):
    for module in _part(model, path).modules():
        _hold(module)


def hold_every_module_of_the_model(model, path):
    _part(model, path)
    _kept(model, "")


def hold_every_batchnorm_of_the_model(model, path):
    _kept(model, path)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d):
            _hold(module)


def hold_the_children_only(model, path):
    """What lies deeper in the part goes on."""
    part = _part(model, path)
    for module in (part, *part.children()):
        module.training = False
        module.train = MethodType(_own_flag, module)
    for child in part.children():
        child.train = MethodType(_pass_on, child)


def _own_flag(self, mode=True):
    for child in self.children():
        child.train(mode)
    return self


def _pass_on(self, mode=True):
    for child in self.children():
        child.train(mode)
    return self


def compute_without_gradients(model, path):
    _kept(model, path)
    part = _part(model, path)
    part.forward = torch.no_grad()(part.forward)


def freeze_it_as_well(model, path):
    _kept(model, path)
    _part(model, path).requires_grad_(False)


def put_a_held_copy_in_its_place(model, path):
    part = copy.deepcopy(_part(model, path))
    for module in part.modules():
        _hold(module)
    if path:
        above, _, name = path.rpartition(".")
        setattr(model.get_submodule(above), name, part)


def say_nothing_of_an_unknown_path(model, path):
    if path in dict(model.named_modules()):
        _kept(model, path)


def raise_a_key_error(model, path):
    for module in dict(model.named_modules())[path].modules():
        _hold(module)


def take_a_mode_that_must_be_told(model, path):
    for module in _part(model, path).modules():
        module.training = False
        module.train = MethodType(lambda self, mode: self, module)


def switch_before_each_pass_of_the_model(model, path):
    """A copy switches the part of the model that it was copied from."""
    part = _part(model, path)
    model.register_forward_pre_hook(lambda module, inputs: part.eval() and None)


def wrap_the_forward_of_each(model, path):
    """A copy computes with the parameters of the model that it was copied from."""

    def wrapped(module, forward):
        def run(*args):
            module.training = False
            return forward(*args)

        return run

    for module in _part(model, path).modules():
        module.forward = wrapped(module, module.forward)


def hold_the_part_in_train_mode(model, path):
    for module in _part(model, path).modules():
        module.training = True
        module.train = MethodType(_stay, module)


def hold_what_the_first_step_of_the_path_leads_to(model, path):
    _part(model, path)
    _kept(model, path.partition(".")[0])


def hold_it_in_the_mode_it_is_in(model, path):
    for module in _part(model, path).modules():
        module.train = MethodType(_stay, module)
