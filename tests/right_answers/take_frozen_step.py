"""Right answers to `take_frozen_step`, each in a style of its own."""

import copy

import torch


def take_the_gradients_away_before_the_step(below, frozen, above, optimizer, x, loss):
    frozen.eval()
    optimizer.zero_grad()
    loss(above(frozen(below(x)))).backward()
    for parameter in frozen.parameters():
        parameter.grad = None
    optimizer.step()


def put_everything_back(below, frozen, above, optimizer, x, loss):
    frozen.train(False)
    kept = copy.deepcopy(frozen.state_dict())
    for module in (below, frozen, above):
        module.zero_grad()
    loss(above(frozen(below(x)))).backward()
    optimizer.step()
    frozen.load_state_dict(kept)


def ask_for_the_gradients_that_are_wanted(below, frozen, above, optimizer, x, loss):
    for parameter in frozen.eval().parameters():
        parameter.grad = None
    wanted = [*below.parameters(), *above.parameters()]
    gradients = torch.autograd.grad(loss(above(frozen(below(x)))), wanted)
    for parameter, gradient in zip(wanted, gradients, strict=True):
        parameter.grad = gradient
    optimizer.step()


def hide_the_middle_from_the_optimizer(below, frozen, above, optimizer, x, loss):
    frozen.eval()
    held = [group["params"] for group in optimizer.param_groups]
    middle = set(frozen.parameters())
    for group in optimizer.param_groups:
        group["params"] = [p for p in group["params"] if p not in middle]
    optimizer.zero_grad(set_to_none=False)
    loss(above(frozen(below(x)))).backward()
    optimizer.step()
    for group, parameters in zip(optimizer.param_groups, held, strict=True):
        group["params"] = parameters


def call_with_detached_parameters(below, frozen, above, optimizer, x, loss):
    frozen.eval()
    optimizer.zero_grad()
    constants = {name: p.detach() for name, p in frozen.named_parameters()}
    hidden = torch.func.functional_call(frozen, constants, (below(x),))
    loss(above(hidden)).backward()
    optimizer.step()


def freeze_for_one_step_only(below, frozen, above, optimizer, x, loss):
    was_training = frozen.training
    frozen.eval().requires_grad_(False).zero_grad(set_to_none=True)
    below.zero_grad(set_to_none=True)
    above.zero_grad(set_to_none=True)
    loss(above(frozen(below(x)))).backward()
    optimizer.step()
    frozen.requires_grad_(True).train(was_training)


def hand_over_a_closure(below, frozen, above, optimizer, x, loss):
    for parameter in frozen.parameters():
        parameter.requires_grad = False
    for module in frozen.modules():
        module.eval()

    def closure():
        optimizer.zero_grad(set_to_none=True)
        value = loss(above(frozen(below(x))))
        value.backward()
        return value

    return optimizer.step(closure)


def look_at_the_loss_of_the_step_itself(below, frozen, above, optimizer, x, loss):
    frozen.requires_grad_(False).eval()
    optimizer.zero_grad()
    value = loss(above(frozen(below(x))))
    value.backward()
    optimizer.step()
    return f"loss {value.item():.3f}"


def look_at_the_loss_in_eval_mode(below, frozen, above, optimizer, x, loss):
    network = torch.nn.Sequential(below, frozen, above)
    with torch.no_grad():
        loss(network.eval()(x)).item()
    for module in (below, above):
        module.train()
    frozen.requires_grad_(False)
    optimizer.zero_grad()
    loss(network(x)).backward()
    optimizer.step()
