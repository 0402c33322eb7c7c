"""Right answers to `unfreeze_on_schedule`, each in a style of its own."""


def walk_through_names(model, optimizer, schedule, epoch, rate):
    held = [id(p) for group in optimizer.param_groups for p in group["params"]]
    new = []
    for start in sorted(schedule):
        if start > epoch:
            break
        for name, parameter in model.named_parameters():
            if any(name.startswith(path + ".") for path in schedule[start]):
                parameter.requires_grad = True
                if id(parameter) not in held:
                    held.append(id(parameter))
                    new.append(parameter)
    if new:
        optimizer.add_param_group({"params": new, "lr": rate})


def ask_the_modules(model, optimizer, schedule, epoch, rate):
    modules = dict(model.named_modules())
    opened = set()
    for start, paths in schedule.items():
        if epoch >= start:
            for path in paths:
                opened |= set(modules[path].requires_grad_(True).parameters())
    for group in optimizer.param_groups:
        opened -= set(group["params"])
    in_order = [p for p in model.parameters() if p in opened]
    if len(in_order) > 0:
        optimizer.add_param_group(dict(params=in_order, lr=rate))


def go_through_all_parameters(model, optimizer, schedule, epoch, rate):
    paths = [path for start in schedule if not start > epoch for path in schedule[start]]
    due = [p for path in paths for p in model.get_submodule(path).parameters()]
    ids = {id(p) for p in due}
    known = {id(p) for group in optimizer.param_groups for p in group["params"]}
    fresh = []
    for parameter in model.parameters():
        if id(parameter) in ids:
            parameter.requires_grad_()
            if id(parameter) not in known:
                fresh.append(parameter)
    if fresh:
        group = {"params": fresh}
        group["lr"] = rate
        optimizer.add_param_group(group)


def add_with_names_of_places(model, optimizer, schedule, epoch, rate):
    """Open stage by stage, and add all that is new at the end."""
    waiting = {}
    for start, paths in sorted(schedule.items()):
        for path in paths if start <= epoch else []:
            for name, parameter in model.get_submodule(path).named_parameters(prefix=path):
                parameter.requires_grad_(True)
                waiting.setdefault(name, parameter)
    for group in optimizer.param_groups:
        for held in group["params"]:
            waiting = {name: p for name, p in waiting.items() if p is not held}
    if waiting:
        optimizer.add_param_group({"lr": rate, "params": list(waiting.values())})
