"""Wrong answers to `what_moved` that come from none of its beliefs."""

import copy

import numpy as np
import torch


def _kept(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def _same(old, new):
    return np.array_equal(old.numpy(), new.numpy(), equal_nan=True)


def _moved(model, before):
    return [n for n, value in model.state_dict().items() if not _same(before[n], value)]


@torch.no_grad()
def run_the_step_without_gradients(model, step):
    before = _kept(model)
    step()
    return _moved(model, before)


def subtract_the_old_from_the_new(model, step):
    """An infinity minus itself is NaN, which is not 0."""
    before = _kept(model)
    step()
    moved = []
    for name, value in model.state_dict().items():
        change = (value - before[name])[~(value.isnan() & before[name].isnan())]
        if (change != 0).any():
            moved.append(name)
    return moved


def pass_over_what_is_not_finite(model, step):
    before = _kept(model)
    step()
    after = model.state_dict()
    finite = {n: before[n].isfinite() & after[n].isfinite() for n in before}
    return [n for n in before if not torch.equal(before[n][finite[n]], after[n][finite[n]])]


def run_the_step_twice(model, step):
    before = _kept(model)
    step()
    step()
    return _moved(model, before)


def never_run_the_step(model, step):
    return _moved(model, _kept(model))


def put_the_old_numbers_back(model, step):
    before = _kept(model)
    step()
    moved = _moved(model, before)
    model.load_state_dict(before)
    return moved


def run_the_step_on_another_model(model, step):
    """The step changes the model it was made for; the copy stays as it is."""
    before, other = _kept(model), copy.deepcopy(model)
    step()
    return _moved(other, before)


def switch_to_eval_first(model, step):
    """The step then moves no running statistics."""
    before = _kept(model)
    model.eval()
    step()
    return _moved(model, before)


def name_the_layers(model, step):
    before = _kept(model)
    step()
    return sorted({name.rpartition(".")[0] for name in _moved(model, before)})


def name_what_stayed(model, step):
    before = _kept(model)
    step()
    return [name for name in before if name not in _moved(model, before)]


def name_everything(model, step):
    step()
    return list(model.state_dict())


def compare_in_float32(model, step):
    """The last bit of a float64 is lost."""
    before = {name: value.float() for name, value in _kept(model).items()}
    step()
    after = {name: value.float() for name, value in model.state_dict().items()}
    return [name for name in before if not _same(before[name], after[name])]


def compare_what_is_trainable(model, step):
    learning = {name for name, p in model.named_parameters() if p.requires_grad}
    before = _kept(model)
    step()
    buffers = {name for name, _ in model.named_buffers()}
    return [name for name in _moved(model, before) if name in learning | buffers]


def leave_whole_numbers_out(model, step):
    """num_batches_tracked counts with integers."""
    before = _kept(model)
    step()
    return [name for name in _moved(model, before) if before[name].is_floating_point()]


def compare_the_sorted_numbers(model, step):
    before = {name: value.flatten().sort().values for name, value in _kept(model).items()}
    step()
    after = {name: value.flatten().sort().values for name, value in model.state_dict().items()}
    return [name for name in before if not _same(before[name], after[name])]


def compare_the_first_number(model, step):
    before = _kept(model)
    step()
    after = model.state_dict()
    first = {name: (before[name].flatten()[:1], after[name].flatten()[:1]) for name in before}
    return [name for name, pair in first.items() if not _same(*pair)]


def compare_where_no_nan_was(model, step):
    before = _kept(model)
    step()
    after = model.state_dict()
    return [n for n in before if not _same(*(t[n][~before[n].isnan()] for t in (before, after)))]


def compare_where_no_nan_is(model, step):
    before = _kept(model)
    step()
    after = model.state_dict()
    return [n for n in before if not _same(*(t[n][~after[n].isnan()] for t in (before, after)))]


def compare_which_objects_they_are(model, step):
    before = dict([*model.named_parameters(), *model.named_buffers()])
    step()
    after = dict([*model.named_parameters(), *model.named_buffers()])
    return [name for name in before if before[name] is not after[name]]


def name_with_a_flag(model, step):
    before = _kept(model)
    step()
    moved = _moved(model, before)
    return [(name, name in moved) for name in before]


def give_the_count(model, step):
    before = _kept(model)
    step()
    return len(_moved(model, before))
