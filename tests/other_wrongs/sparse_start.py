"""Wrong answers to `sparse_start` that come from none of its beliefs."""

import torch


def _start(kept, generator, gain=2.0, noise=torch.randn):
    inputs = kept.flatten(1).sum(1).clamp(min=1).view(-1, *[1] * (kept.dim() - 1))
    return torch.where(kept, (gain / inputs).sqrt() * noise(kept.shape, generator=generator), 0.0)


def return_the_flags(kept, generator):
    return kept


def start_with_ones(kept, generator):
    return torch.where(kept, 1.0, 0.0)


def start_with_zeros(kept, generator):
    return torch.zeros(kept.shape)


def start_at_the_spread_itself(kept, generator):
    inputs = kept.flatten(1).sum(1).clamp(min=1).view(-1, *[1] * (kept.dim() - 1))
    return torch.where(kept, (2 / inputs).sqrt(), 0.0)


def draw_positive_weights(kept, generator):
    return _start(kept, generator).abs()


def draw_signs_only(kept, generator):
    def noise(shape, generator):
        return 2.0 * torch.randint(0, 2, shape, generator=generator) - 1

    return _start(kept, generator, noise=noise)


def double_the_gain(kept, generator):
    return _start(kept, generator, gain=4.0)


def add_inputs_and_outputs(kept, generator):
    """As Glorot's rule does."""
    outputs, inputs = len(kept), kept.flatten(1).sum(1).view(-1, *[1] * (kept.dim() - 1))
    spread = (2 / (inputs + outputs)).sqrt()
    return torch.where(kept, spread * torch.randn(kept.shape, generator=generator), 0.0)


def seed_torch_itself(kept, generator):
    torch.manual_seed(generator.initial_seed())
    return _start(kept, None)


def draw_the_same_for_any_seed(kept, generator):
    return _start(kept, torch.Generator().manual_seed(0))


def return_doubles(kept, generator):
    return _start(kept, generator).double()


def give_an_empty_unit_one_weight(kept, generator):
    weights = _start(kept, generator)
    empty = ~kept.flatten(1).any(1)
    weights[empty] = torch.where(torch.arange(kept[0].numel()).view(kept[0].shape) == 0, 1.0, 0.0)
    return weights


def keep_all_in_an_empty_unit(kept, generator):
    kept[~kept.flatten(1).any(1)] = True
    return _start(kept, generator)


def flip_the_flags(kept, generator):
    return _start(~kept, generator)


def divide_by_the_spread_of_the_layer(kept, generator):
    weights = torch.where(kept, torch.randn(kept.shape, generator=generator), 0.0)
    return weights / weights.std()


def draw_one_unit_for_all(kept, generator):
    return _start(
        kept, generator, noise=lambda shape, generator: torch.randn(shape[1:], generator=generator)
    )


def draw_one_number_a_unit(kept, generator):
    return _start(
        kept,
        generator,
        noise=lambda shape, generator: torch.randn(
            (len(kept), *[1] * (len(shape) - 1)), generator=generator
        ),
    )


def begin_again_at_the_seed(kept, generator):
    """The generator itself does not move on: a second layer would begin like the first."""
    return _start(kept, torch.Generator().manual_seed(generator.initial_seed()))


def draw_from_a_copy_of_the_generator(kept, generator):
    copy = torch.Generator()
    copy.set_state(generator.get_state())
    return _start(kept, copy)


def cut_the_tails_off(kept, generator):
    def noise(shape, generator):
        return torch.nn.init.trunc_normal_(torch.empty(shape), 0, 1, -2, 2, generator=generator)

    return _start(kept, generator, noise=noise)


def draw_by_laplace(kept, generator):
    def noise(shape, generator):
        half = torch.rand(shape, generator=generator) - 0.5
        return -half.sign() * torch.log1p(-2 * half.abs()) / 2**0.5

    return _start(kept, generator, noise=noise)
