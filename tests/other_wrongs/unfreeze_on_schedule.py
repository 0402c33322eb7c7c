"""Wrong answers to `unfreeze_on_schedule` that come from none of its beliefs."""


def _due(model, schedule, epoch):
    paths = [path for start, paths in schedule.items() if start <= epoch for path in paths]
    return list(dict.fromkeys(p for path in paths for p in model.get_submodule(path).parameters()))


def _open(parameters):
    for parameter in parameters:
        parameter.requires_grad_(True)


def _fresh(optimizer, due):
    held = {p for group in optimizer.param_groups for p in group["params"]}
    return [p for p in due if p not in held]


def _add(optimizer, fresh, **settings):
    if fresh:
        optimizer.add_param_group({"params": fresh, **settings})


def add_and_forget_the_flags(model, optimizer, schedule, epoch, rate):
    _add(optimizer, _fresh(optimizer, _due(model, schedule, epoch)), lr=rate)


def open_the_last_stage_only(model, optimizer, schedule, epoch, rate):
    """What opened before is frozen again."""
    due = [start for start in schedule if start <= epoch]
    model.requires_grad_(False)
    last = _due(model, {start: schedule[start] for start in due if start == max(due)}, epoch)
    _open(last)
    _add(optimizer, _fresh(optimizer, last), lr=rate)


def take_the_epoch_for_a_place(model, optimizer, schedule, epoch, rate):
    """The schedule's entries are counted, not its epochs."""
    stages = dict(enumerate(schedule.values()))
    due = _due(model, stages, epoch)
    _open(due)
    _add(optimizer, _fresh(optimizer, due), lr=rate)


def stop_at_the_first_that_is_not_due(model, optimizer, schedule, epoch, rate):
    """A schedule may come in any order."""
    begun = {}
    for start, paths in schedule.items():
        if start > epoch:
            break
        begun[start] = paths
    due = _due(model, begun, epoch)
    _open(due)
    _add(optimizer, _fresh(optimizer, due), lr=rate)


def open_the_weights_only(model, optimizer, schedule, epoch, rate):
    due = [p for p in _due(model, schedule, epoch) if p.ndim > 1]
    _open(due)
    _add(optimizer, _fresh(optimizer, due), lr=rate)


def add_without_decay(model, optimizer, schedule, epoch, rate):
    due = _due(model, schedule, epoch)
    _open(due)
    _add(optimizer, _fresh(optimizer, due), lr=rate, weight_decay=0.0)


def add_at_a_tenth_of_the_rate(model, optimizer, schedule, epoch, rate):
    due = _due(model, schedule, epoch)
    _open(due)
    _add(optimizer, _fresh(optimizer, due), lr=rate / 10)


def add_a_group_in_any_case(model, optimizer, schedule, epoch, rate):
    due = _due(model, schedule, epoch)
    _open(due)
    optimizer.add_param_group({"params": _fresh(optimizer, due), "lr": rate})


def put_the_groups_together(model, optimizer, schedule, epoch, rate):
    due = _due(model, schedule, epoch)
    _open(due)
    everything = [p for group in optimizer.param_groups for p in group["params"]]
    fresh = _fresh(optimizer, due)
    optimizer.param_groups[:] = optimizer.param_groups[:1]
    optimizer.param_groups[0]["params"] = everything + fresh
    optimizer.param_groups[0]["lr"] = rate


def freeze_what_the_optimizer_lacks(model, optimizer, schedule, epoch, rate):
    """Only what it holds is opened, so nothing new ever trains."""
    due = _due(model, schedule, epoch)
    fresh = _fresh(optimizer, due)
    _open([p for p in due if not any(p is q for q in fresh)])


def draw_new_numbers(model, optimizer, schedule, epoch, rate):
    due = _due(model, schedule, epoch)
    _open(due)
    fresh = _fresh(optimizer, due)
    for parameter in fresh:
        parameter.data.zero_()
    _add(optimizer, fresh, lr=rate)


def switch_to_train_mode(model, optimizer, schedule, epoch, rate):
    model.eval()
    for start, paths in schedule.items():
        for path in paths if start <= epoch else ():
            model.get_submodule(path).train()
    due = _due(model, schedule, epoch)
    _open(due)
    _add(optimizer, _fresh(optimizer, due), lr=rate)


def raise_where_nothing_is_due(model, optimizer, schedule, epoch, rate):
    due = _due(model, schedule, epoch)
    if not due:
        raise ValueError(epoch)
    _open(due)
    _add(optimizer, _fresh(optimizer, due), lr=rate)


def remember_nothing_of_the_head(model, optimizer, schedule, epoch, rate):
    due = _due(model, schedule, epoch)
    _open(due)
    for parameter in optimizer.param_groups[0]["params"]:
        optimizer.state.pop(parameter, None)
    _add(optimizer, _fresh(optimizer, due), lr=rate)


def open_once_the_epoch_is_over(model, optimizer, schedule, epoch, rate):
    due = _due(model, schedule, epoch - 1)
    _open(due)
    _add(optimizer, _fresh(optimizer, due), lr=rate)


def give_every_group_the_rate(model, optimizer, schedule, epoch, rate):
    due = _due(model, schedule, epoch)
    _open(due)
    _add(optimizer, _fresh(optimizer, due), lr=rate)
    for group in optimizer.param_groups:
        group["lr"] = rate
