"""Wrong answers to `recipe_groups` that come from none of its beliefs."""


def _roles(model):
    roles = {"bends": [], "scales": [], "weights": []}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            role = "scales" if parameter.ndim < 2 else "weights"
            roles["bends" if "bend" in name.split(".")[:-1] else role].append(parameter)
    return roles


def _groups(model, **settings):
    roles = _roles(model)
    if not any(roles.values()):
        raise ValueError("frozen")
    return [
        {"params": params, "lr": settings[role][0], "weight_decay": settings[role][1]}
        for role, params in roles.items()
        if params
    ]


def swap_the_rates(model, rate, bend_rate, decay):
    return _groups(model, bends=(rate, 0.0), scales=(bend_rate, 0.0), weights=(bend_rate, decay))


def give_scales_the_rate_of_activations(model, rate, bend_rate, decay):
    return _groups(model, bends=(bend_rate, 0.0), scales=(bend_rate, 0.0), weights=(rate, decay))


def decay_activations_only(model, rate, bend_rate, decay):
    return _groups(model, bends=(bend_rate, decay), scales=(rate, 0.0), weights=(rate, 0.0))


def decay_nothing(model, rate, bend_rate, decay):
    return _groups(model, bends=(bend_rate, 0.0), scales=(rate, 0.0), weights=(rate, 0.0))


def decay_a_hundredth(model, rate, bend_rate, decay):
    return _groups(model, bends=(bend_rate, 0.0), scales=(rate, 0.0), weights=(rate, 0.01))


def multiply_the_rates(model, rate, bend_rate, decay):
    return _groups(model, bends=(rate * bend_rate, 0.0), scales=(rate, 0.0), weights=(rate, decay))


def take_ten_times_the_rate(model, rate, bend_rate, decay):
    return _groups(model, bends=(10 * rate, 0.0), scales=(rate, 0.0), weights=(rate, decay))


def _by(model, rate, bend_rate, decay, is_bend):
    groups = []
    for name, p in model.named_parameters():
        if p.requires_grad:
            bends = is_bend(name)
            wd = decay if p.ndim > 1 and not bends else 0.0
            groups.append({"params": [p], "lr": bend_rate if bends else rate, "weight_decay": wd})
    if not groups:
        raise ValueError("frozen")
    return groups


def take_a_parameter_called_bend_as_well(model, rate, bend_rate, decay):
    return _by(model, rate, bend_rate, decay, lambda name: "bend" in name.split("."))


def look_at_the_last_module_only(model, rate, bend_rate, decay):
    return _by(model, rate, bend_rate, decay, lambda name: name.split(".")[-2:][0] == "bend")


def look_at_the_first_module_only(model, rate, bend_rate, decay):
    return _by(model, rate, bend_rate, decay, lambda name: name.startswith("bend."))


def look_for_a_beginning(model, rate, bend_rate, decay):
    def is_bend(name):
        return any(part.startswith("bend") for part in name.split(".")[:-1])

    return _by(model, rate, bend_rate, decay, is_bend)


def leave_activations_out(model, rate, bend_rate, decay):
    groups = _groups(model, bends=(None, 0.0), scales=(rate, 0.0), weights=(rate, decay))
    return [group for group in groups if group["lr"] is not None]


def leave_scales_out(model, rate, bend_rate, decay):
    groups = _groups(model, bends=(bend_rate, 0.0), scales=(None, 0.0), weights=(rate, decay))
    return [group for group in groups if group["lr"] is not None]


def let_a_frozen_model_through(model, rate, bend_rate, decay):
    settings = {"bends": (bend_rate, 0.0), "scales": (rate, 0.0), "weights": (rate, decay)}
    return [
        {"params": params, "lr": settings[role][0], "weight_decay": settings[role][1]}
        for role, params in _roles(model).items()
        if params
    ]


def assert_that_something_trains(model, rate, bend_rate, decay):
    assert any(p.requires_grad for p in model.parameters())
    return _groups(model, bends=(bend_rate, 0.0), scales=(rate, 0.0), weights=(rate, decay))


def freeze_what_is_no_activation(model, rate, bend_rate, decay):
    groups = _groups(model, bends=(bend_rate, 0.0), scales=(rate, 0.0), weights=(rate, decay))
    for group in groups:
        for parameter in group["params"]:
            parameter.requires_grad_(group["lr"] == bend_rate)
    return groups


def return_names(model, rate, bend_rate, decay):
    names = [name for name, p in model.named_parameters() if p.requires_grad]
    return [{"params": names, "lr": rate, "weight_decay": decay}]


def return_a_dict(model, rate, bend_rate, decay):
    return _roles(model)


def copy_the_parameters(model, rate, bend_rate, decay):
    groups = _groups(model, bends=(bend_rate, 0.0), scales=(rate, 0.0), weights=(rate, decay))
    return [{**g, "params": [p.detach().clone() for p in g["params"]]} for g in groups]


def leave_the_rates_to_the_optimizer(model, rate, bend_rate, decay):
    groups = _groups(model, bends=(bend_rate, 0.0), scales=(rate, 0.0), weights=(rate, decay))
    return [{"params": g["params"], "weight_decay": g["weight_decay"]} for g in groups]
