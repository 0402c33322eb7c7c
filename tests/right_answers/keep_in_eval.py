"""Right answers to `keep_in_eval`, each in a style of its own."""

from torch import nn


def _part(model, path):
    try:
        return model.get_submodule(path)
    except AttributeError as error:
        raise ValueError(str(error)) from error


def by_a_hook_before_each_pass(model, path):
    def switch(module, inputs):
        module.training = False

    for module in _part(model, path).modules():
        module.register_forward_pre_hook(switch)


def by_a_class_of_its_own(model, path):
    for module in _part(model, path).eval().modules():
        kind = type(module)
        module.__class__ = type(kind.__name__, (kind,), {"train": lambda self, mode=True: self})


def by_a_function_for_each(model, path):
    def hold(module):
        def train(mode=True):
            return module

        module.eval()
        module.train = train

    _part(model, path).apply(hold)


def by_a_flag_that_cannot_be_set(model, path):
    never = property(lambda self: False, lambda self, mode: None)
    for module in list(_part(model, path).modules()):
        kind = module.__class__
        module.__class__ = type("Kept" + kind.__name__, (kind,), {"training": never})


class _Stay:
    """Stands in for the train() of a module, and is copied together with it."""

    def __init__(self, module):
        self.module = module
        module.training = False

    def __call__(self, mode=True):
        for child in self.module.children():
            child.train(False)
        self.module.training = False
        return self.module


def by_an_object_in_place_of_train(model, path):
    modules = dict(model.named_modules())
    if path not in modules:
        raise ValueError(f"no module called {path}")
    for name, module in modules.items():
        if not path or name == path or name.startswith(path + "."):
            nn.Module.__setattr__(module, "train", _Stay(module))
