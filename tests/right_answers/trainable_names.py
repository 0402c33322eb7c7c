"""Right answers to `trainable_names`, each in a style of its own."""


def loop(model):
    names = []
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            names.append(name)
    return names


def give_a_set(model):
    return {name for name, p in model.named_parameters() if p.requires_grad}


def filter_a_dict(model):
    parameters = dict(model.named_parameters())
    return tuple(filter(lambda name: parameters[name].requires_grad, parameters))


def leave_out_the_frozen(model):
    frozen = {name for name, p in model.named_parameters() if not p.requires_grad}
    return [name for name, _ in model.named_parameters() if name not in frozen]


def walk_through_modules(model):
    found = []
    for path, module in model.named_modules():
        for name, p in module.named_parameters(recurse=False):
            if p.requires_grad:
                found.append(f"{path}.{name}" if path else name)
    return found


def ask_the_state_that_is_not_detached(model):
    return [n for n, t in model.state_dict(keep_vars=True).items() if t.requires_grad]
