"""Wrong answers to `true_diagonal` that come from none of its beliefs."""

import copy

import torch
from torch.func import functional_call, jacrev, vmap


def _parts(model, inputs):
    model = copy.deepcopy(model).eval()
    params = {name: p.detach() for name, p in model.named_parameters()}

    def answers(params, one):
        return functional_call(model, params, (one[None],))[0].log_softmax(0)

    chances = vmap(answers, (None, 0))(params, inputs).exp()
    return chances, vmap(jacrev(answers), (None, 0))(params, inputs)


def _weighted(chances, scores):
    squares = {name: s.square() for name, s in scores.items()}
    return {n: torch.einsum("nc,nc...->...", chances, s) / len(chances) for n, s in squares.items()}


def _diagonal(model, inputs):
    return _weighted(*_parts(model, inputs))


def draw_one_label(model, inputs):
    chances, scores = _parts(model, inputs)
    drawn = torch.multinomial(chances, 1, generator=torch.Generator().manual_seed(0))
    return _weighted(torch.zeros_like(chances).scatter(1, drawn, 1.0), scores)


def take_the_rarest_class(model, inputs):
    chances, scores = _parts(model, inputs)
    return _weighted((chances <= chances.amin(1, keepdim=True)).to(chances.dtype), scores)


def weigh_with_what_is_left(model, inputs):
    chances, scores = _parts(model, inputs)
    return _weighted(1 - chances, scores)


def weigh_with_the_mean_probabilities(model, inputs):
    chances, scores = _parts(model, inputs)
    return _weighted(chances.mean(0).expand_as(chances), scores)


def average_over_classes_too(model, inputs):
    chances, scores = _parts(model, inputs)
    return _weighted(chances / chances.shape[1], scores)


def average_the_samples_before_the_square(model, inputs):
    chances, scores = _parts(model, inputs)
    mean = {n: s.mean(0, keepdim=True).expand_as(s) for n, s in scores.items()}
    return _weighted(chances, mean)


def let_the_weight_be_differentiated(model, inputs):
    chances, scores = _parts(model, inputs)
    logs = 1 + chances.log()
    return {
        n: torch.einsum("nc,nc...->nc...", chances.sqrt() * logs, s).square().sum(1).mean(0)
        for n, s in scores.items()
    }


def take_the_root(model, inputs):
    return {name: part.sqrt() for name, part in _diagonal(model, inputs).items()}


def add_a_small_number(model, inputs):
    return {name: part + 1e-8 for name, part in _diagonal(model, inputs).items()}


def give_one_number_a_tensor(model, inputs):
    return {name: part.mean() for name, part in _diagonal(model, inputs).items()}


def look_at_the_first_sample(model, inputs):
    return _diagonal(model, inputs[:1])


def take_the_logarithm_of_a_softmax(model, inputs):
    twin = copy.deepcopy(model).eval()
    params = {name: p.detach() for name, p in twin.named_parameters()}

    def answers(params, one):
        return functional_call(twin, params, (one[None],))[0].softmax(0).log()

    chances = vmap(answers, (None, 0))(params, inputs).exp()
    return _weighted(chances, vmap(jacrev(answers), (None, 0))(params, inputs))


def give_zeros_to_frozen_parameters(model, inputs):
    flags = {name: p.requires_grad for name, p in model.named_parameters()}
    return {name: part * flags[name] for name, part in _diagonal(model, inputs).items()}


def clear_the_gradients(model, inputs):
    found = _diagonal(model, inputs)
    model.zero_grad()
    return found


def thaw_for_good(model, inputs):
    found = _diagonal(model, inputs)
    model.requires_grad_(True)
    return found


def put_modes_back_child_by_child(model, inputs):
    found, was = _diagonal(model, inputs), model.training
    modes = {child: child.training for child in model.children()}
    model.train(was)
    for child, mode in modes.items():
        child.train(mode)
    return found


def leave_out_rare_classes(model, inputs):
    chances, scores = _parts(model, inputs)
    return _weighted(chances * (chances > 0.01), scores)


def take_the_two_most_probable_classes(model, inputs):
    chances, scores = _parts(model, inputs)
    kept = chances.topk(2, 1)
    return _weighted(torch.zeros_like(chances).scatter(1, kept.indices, kept.values), scores)


def take_the_probabilities_in_the_present_mode(model, inputs):
    with torch.no_grad():
        chances = model(inputs).softmax(1)
    return _weighted(chances, _parts(model, inputs)[1])
