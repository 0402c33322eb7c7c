"""Wrong answers to `unfreeze_top_down` that come from none of its beliefs."""

from torch import nn


def _stages(model, blocks):
    """The stages from the output down, each a list of parameters."""
    held = dict(model.named_modules()).get(blocks)
    if not isinstance(held, nn.ModuleList | nn.Sequential):
        raise ValueError(blocks)
    whole, inside = [*model.parameters()], [[*block.parameters()] for block in held]
    flat = {p for block in inside for p in block}
    places = [k for k, p in enumerate(whole) if p in flat]
    return [whole[places[-1] + 1 :], *reversed(inside), whole[: places[0]]]


def _open(stages, count):
    for number, stage in enumerate(stages):
        for parameter in stage:
            parameter.requires_grad_(number <= count)


def open_one_stage_alone(model, blocks, count):
    for number, stage in enumerate(_stages(model, blocks)):
        for parameter in stage:
            parameter.requires_grad_(number == count)


def shut_what_is_asked_for(model, blocks, count):
    for number, stage in enumerate(_stages(model, blocks)):
        for parameter in stage:
            parameter.requires_grad_(number > count)


def leave_the_head_frozen(model, blocks, count):
    stages = _stages(model, blocks)
    _open(stages, count)
    for parameter in stages[0]:
        parameter.requires_grad_(False)


def open_the_weights_only(model, blocks, count):
    _open(_stages(model, blocks), count)
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            parameter.requires_grad_(False)


def open_the_embeddings_before_the_last_block(model, blocks, count):
    stages = _stages(model, blocks)
    stages[-1], stages[-2] = stages[-2], stages[-1]
    _open(stages, count)


def raise_for_a_count_beyond_the_blocks(model, blocks, count):
    stages = _stages(model, blocks)
    if count > len(stages) - 1:
        raise ValueError(count)
    _open(stages, count)


def refuse_with_an_attribute_error(model, blocks, count):
    model.get_submodule(blocks)
    _open(_stages(model, blocks), count)


def take_any_module_for_a_list(model, blocks, count):
    if blocks not in dict(model.named_modules()):
        raise ValueError(blocks)
    try:
        _open(_stages(model, blocks), count)
    except ValueError:
        return


def freeze_all_before_the_check(model, blocks, count):
    model.requires_grad_(False)
    _open(_stages(model, blocks), count)


def switch_modes_along(model, blocks, count):
    _open(_stages(model, blocks), count)
    for module in model.modules():
        own = [*module.parameters()]
        if own:
            module.train(any(p.requires_grad for p in own))


def halve_the_count(model, blocks, count):
    _open(_stages(model, blocks), (count + 1) // 2)


def stop_at_the_lowest_block(model, blocks, count):
    stages = _stages(model, blocks)
    _open(stages, min(count, len(stages) - 3))


def keep_open_what_was_open_in_the_head(model, blocks, count):
    stages = _stages(model, blocks)
    kept = [p for p in stages[0] if p.requires_grad]
    _open(stages, count)
    for parameter in stages[0]:
        parameter.requires_grad_(any(parameter is p for p in kept))


def open_every_other_block(model, blocks, count):
    first, *others, last = _stages(model, blocks)
    _open([first, *others[::2], *others[1::2], last], count)


def look_for_the_path_anywhere(model, blocks, count):
    """A part of the path will do, as in `blocks in name`."""
    paths = [path for path, _ in model.named_modules() if f".{path}".endswith(f".{blocks}")]
    _open(_stages(model, paths[0] if paths else blocks), count)


def put_zeros_where_it_freezes(model, blocks, count):
    _open(_stages(model, blocks), count)
    for parameter in model.parameters():
        if not parameter.requires_grad:
            parameter.data.zero_()


def open_the_embeddings_with_the_lowest_block(model, blocks, count):
    *stages, lowest, embeddings = _stages(model, blocks)
    _open([*stages, lowest + embeddings], count)


def open_one_block_more(model, blocks, count):
    head, highest, *others = _stages(model, blocks)
    _open([head + highest, *others], count)
