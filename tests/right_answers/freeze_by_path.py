"""Right answers to `freeze_by_path`, each in a style of its own."""

from torch import nn


def ask_each_submodule(model, names):
    modules = []
    for name in names:
        try:
            modules.append(model.get_submodule(name))
        except AttributeError as error:
            raise KeyError(f"no module is called {name!r} in this model") from error
    before = {name for name, p in model.named_parameters() if p.requires_grad}
    for module in modules:
        for parameter in module.parameters():
            if parameter.requires_grad:
                parameter.requires_grad = False
                parameter.grad = None
    after = {name for name, p in model.named_parameters() if p.requires_grad}
    return tuple(sorted(before - after))


def compare_every_name_by_its_dot(model, names):
    paths = {path for path, _ in model.named_modules()}
    unknown = [name for name in names if name not in paths]
    if unknown:
        raise KeyError(f"unknown: {unknown}; there are {sorted(paths)}")
    became = []
    for path, parameter in model.named_parameters(remove_duplicate=False):
        meant = any(not name or path.startswith(name + ".") for name in names)
        if meant and parameter.requires_grad:
            parameter.requires_grad_(False).grad = None
            became.append(path)
    return tuple(became)


def let_modules_do_it(model, names):
    known = dict(model.named_modules())
    if missing := set(names) - known.keys():
        raise KeyError(", ".join(missing))
    trainable = {id(p): path for path, p in model.named_parameters() if p.requires_grad}
    for name in names:
        known[name].requires_grad_(False)
        known[name].zero_grad(set_to_none=True)
    frozen = [id(p) for p in model.parameters() if not p.requires_grad]
    return tuple(trainable[key] for key in frozen if key in trainable)


def walk_down_the_attributes(model, names):
    def find(path):
        found = model
        for step in filter(None, path.split(".")):
            found = getattr(found, step, None)
        if not isinstance(found, nn.Module):
            raise KeyError(path)
        return found

    became = {}
    for module in [find(name) for name in names]:
        for parameter in (p for p in module.parameters() if p.requires_grad):
            parameter.requires_grad = False
            parameter.grad = None
            became[id(parameter)] = parameter
    return tuple(path for path, p in model.named_parameters() if id(p) in became)


def compare_lists_of_steps(model, names):
    wanted = [name.split(".") if name else [] for name in names]
    paths = [path.split(".") if path else [] for path, _ in model.named_modules()]
    for steps in wanted:
        if steps not in paths:
            raise KeyError("no module " + ".".join(steps))
    named = list(model.named_parameters(remove_duplicate=False))
    held = {
        id(p) for path, p in named for steps in wanted if path.split(".")[: len(steps)] == steps
    }
    became = [path for path, p in model.named_parameters() if id(p) in held and p.requires_grad]
    for _, parameter in named:
        if id(parameter) in held:
            parameter.requires_grad = False
            del parameter.grad
    return became


def undo_on_error(model, names):
    modules = dict(model.named_modules())
    saved = {p: (p.requires_grad, p.grad) for p in model.parameters()}
    try:
        for name in names:
            modules[name].requires_grad_(False)
            for parameter in modules[name].parameters():
                parameter.grad = None
    except KeyError:
        for parameter, (flag, grad) in saved.items():
            parameter.requires_grad_(flag)
            parameter.grad = grad
        raise
    return {path for path, p in model.named_parameters() if saved[p][0] and not p.requires_grad}


def give_every_name(model, names):
    held = {p for path in names for p in dict(model.named_modules())[path].parameters()}
    became = {parameter for parameter in held if parameter.requires_grad}
    for parameter in became:
        parameter.requires_grad, parameter.grad = False, None
    every = model.named_parameters(remove_duplicate=False)
    return tuple(path for path, parameter in every if parameter in became)
