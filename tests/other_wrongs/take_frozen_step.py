"""Wrong answers to `take_frozen_step` that come from none of its beliefs."""

import copy

import torch


def _backward(below, frozen, above, optimizer, x, loss):
    """All of the right step but for the step itself."""
    frozen.requires_grad_(False).eval()
    optimizer.zero_grad()
    loss(above(frozen(below(x)))).backward()


def give_the_middle_a_group_of_its_own_at_rate_zero(below, frozen, above, optimizer, x, loss):
    """The group stays in the optimizer, and its rate stays zero."""
    frozen.eval()
    if len(optimizer.param_groups) == 1:
        middle = set(frozen.parameters())
        group = optimizer.param_groups[0]
        group["params"] = [p for p in group["params"] if p not in middle]
        optimizer.add_param_group({"params": [*middle], "lr": 0.0, "weight_decay": 0.0})
    optimizer.zero_grad()
    loss(above(frozen(below(x)))).backward()
    optimizer.step()


def put_the_part_above_in_eval_mode(below, frozen, above, optimizer, x, loss):
    above.eval()
    _backward(below, frozen, above, optimizer, x, loss)
    optimizer.step()


def put_the_part_below_in_eval_mode(below, frozen, above, optimizer, x, loss):
    below.eval()
    _backward(below, frozen, above, optimizer, x, loss)
    optimizer.step()


def freeze_the_part_below_as_well(below, frozen, above, optimizer, x, loss):
    below.requires_grad_(False)
    _backward(below, frozen, above, optimizer, x, loss)
    optimizer.step()


def freeze_the_part_above_as_well(below, frozen, above, optimizer, x, loss):
    above.requires_grad_(False)
    _backward(below, frozen, above, optimizer, x, loss)
    optimizer.step()


def freeze_the_weights_only(below, frozen, above, optimizer, x, loss):
    frozen.eval()
    for name, parameter in frozen.named_parameters():
        parameter.requires_grad_(not name.endswith("weight"))
    optimizer.zero_grad()
    loss(above(frozen(below(x)))).backward()
    optimizer.step()


def clear_the_middle_only(below, frozen, above, optimizer, x, loss):
    """The gradients of the rest pile up."""
    frozen.requires_grad_(False).eval()
    frozen.zero_grad()
    loss(above(frozen(below(x)))).backward()
    optimizer.step()


def clip_the_gradients(below, frozen, above, optimizer, x, loss):
    _backward(below, frozen, above, optimizer, x, loss)
    torch.nn.utils.clip_grad_norm_([*below.parameters(), *above.parameters()], 0.1)
    optimizer.step()


def step_twice(below, frozen, above, optimizer, x, loss):
    _backward(below, frozen, above, optimizer, x, loss)
    optimizer.step()
    optimizer.step()


def forget_the_step(below, frozen, above, optimizer, x, loss):
    _backward(below, frozen, above, optimizer, x, loss)


def step_by_hand(below, frozen, above, optimizer, x, loss):
    """Plain descent in place of the optimizer, whose averages go unused."""
    _backward(below, frozen, above, optimizer, x, loss)
    rate = optimizer.param_groups[0]["lr"]
    with torch.no_grad():
        for parameter in (*below.parameters(), *above.parameters()):
            parameter -= rate * parameter.grad


def switch_weight_decay_off(below, frozen, above, optimizer, x, loss):
    optimizer.param_groups[0]["weight_decay"] = 0.0
    _backward(below, frozen, above, optimizer, x, loss)
    optimizer.step()


def empty_the_averages(below, frozen, above, optimizer, x, loss):
    """Once, at the first step, so that those of the rest are lost too."""
    if next(frozen.parameters()).requires_grad:
        optimizer.state.clear()
    _backward(below, frozen, above, optimizer, x, loss)
    optimizer.step()


def forget_the_averages_of_the_middle(below, frozen, above, optimizer, x, loss):
    for parameter in frozen.parameters():
        optimizer.state.pop(parameter, None)
    _backward(below, frozen, above, optimizer, x, loss)
    optimizer.step()


def set_the_averages_of_the_middle_to_zero(below, frozen, above, optimizer, x, loss):
    for parameter in frozen.parameters():
        for average in optimizer.state[parameter].values():
            average.zero_()
    _backward(below, frozen, above, optimizer, x, loss)
    optimizer.step()


def put_dropout_alone_in_eval_mode(below, frozen, above, optimizer, x, loss):
    frozen.requires_grad_(False)
    for module in frozen.modules():
        module.train(not isinstance(module, torch.nn.Dropout))
    optimizer.zero_grad()
    loss(above(frozen(below(x)))).backward()
    optimizer.step()


def put_all_back_after_a_step_in_train_mode(below, frozen, above, optimizer, x, loss):
    """The middle ends where it was, but the rest has learnt behind another function."""
    kept = copy.deepcopy(frozen.state_dict())
    optimizer.zero_grad()
    loss(above(frozen(below(x)))).backward()
    optimizer.step()
    frozen.load_state_dict(kept)


def leave_the_middle_out(below, frozen, above, optimizer, x, loss):
    frozen.requires_grad_(False).eval()
    optimizer.zero_grad()
    loss(above(below(x))).backward()
    optimizer.step()


def climb(below, frozen, above, optimizer, x, loss):
    _backward(below, frozen, above, optimizer, x, lambda output: -loss(output))
    optimizer.step()


def train_a_copy(below, frozen, above, optimizer, x, loss):
    copies = copy.deepcopy((below, frozen, above))
    _backward(*copies, optimizer, x, loss)
    optimizer.step()


def zero_the_middle(below, frozen, above, optimizer, x, loss):
    for parameter in frozen.parameters():
        parameter.data.zero_()
    _backward(below, frozen, above, optimizer, x, loss)
    optimizer.step()


def clear_the_other_parts_only(below, frozen, above, optimizer, x, loss):
    frozen.requires_grad_(False).eval()
    below.zero_grad()
    above.zero_grad()
    loss(above(frozen(below(x)))).backward()
    optimizer.step()
