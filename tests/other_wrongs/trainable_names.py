"""Wrong answers to `trainable_names` that come from none of its beliefs."""


def name_the_weights_only(model):
    return [n for n, p in model.named_parameters() if p.requires_grad and n.endswith("weight")]


def give_pairs(model):
    return [(n, p.shape) for n, p in model.named_parameters() if p.requires_grad]


def give_the_parameters(model):
    return [p for p in model.parameters() if p.requires_grad]


def count_them(model):
    return sum(p.requires_grad for p in model.parameters())


def give_the_last_part_of_names(model):
    return [n.split(".")[-1] for n, p in model.named_parameters() if p.requires_grad]


def join_them(model):
    return ", ".join(n for n, p in model.named_parameters() if p.requires_grad)


def open_all_first(model):
    model.requires_grad_(True)
    return [n for n, p in model.named_parameters() if p.requires_grad]


def switch_the_model_to_train(model):
    model.train()
    return [n for n, p in model.named_parameters() if p.requires_grad]


def want_a_gradient_too(model):
    return [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None]


def want_train_mode_too(model):
    return [n for n, p in model.named_parameters() if p.requires_grad and model.training]


def name_the_head(model):
    *_, last = (n for n, _ in model.named_parameters())
    return [n for n, _ in model.named_parameters() if n.split(".")[0] == last.split(".")[0]]


def name_what_is_large(model):
    return [n for n, p in model.named_parameters() if p.dim() > 1]


def give_numbers_for_names(model):
    return [str(i) for i, p in enumerate(model.parameters()) if p.requires_grad]


def name_matrices_that_learn(model):
    return [n for n, p in model.named_parameters() if p.requires_grad and p.dim() == 2]


def go_two_levels_down(model):
    names = []
    for path, child in model.named_children():
        names += [
            f"{path}.{n}" for n, p in child.named_parameters(recurse=False) if p.requires_grad
        ]
        for below, inner in child.named_children():
            own = inner.named_parameters(recurse=False)
            names += [f"{path}.{below}.{n}" for n, p in own if p.requires_grad]
    return names


def leave_out_what_no_layer_holds(model):
    return [
        f"{path}.{name}"
        for path, module in model.named_modules()
        if path
        for name, p in module.named_parameters(recurse=False)
        if p.requires_grad
    ]


def name_them_for_each_module(model):
    return [
        f"{path}.{name}".lstrip(".")
        for path, module in model.named_modules()
        for name, p in module.named_parameters()
        if p.requires_grad
    ]


def look_for_weights_and_biases(model):
    return [
        f"{path}.{name}"
        for path, module in model.named_modules()
        for name in ("weight", "bias")
        if getattr(getattr(module, name, None), "requires_grad", False)
    ]


def name_the_bias_with_its_weight(model):
    known = dict(model.named_parameters())
    weights = [n for n, p in known.items() if p.requires_grad and not n.endswith("bias")]
    pairs = [n.replace("weight", "bias") for n in weights if n.endswith("weight")]
    alone = [n for n, p in known.items() if p.requires_grad and n.endswith("bias")]
    return [*weights, *{*pairs, *alone}]
