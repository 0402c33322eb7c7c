"""Wrong answers to `gradient_horizon` that come from none of its beliefs."""

import math

import torch


def _radius(w):
    return torch.linalg.eigvals(w).abs().max().item()


def _norms(w, size=lambda power: torch.linalg.matrix_norm(power, 2).item()):
    """The sizes of the first 1,000 powers."""
    power, sizes = w, []
    for _ in range(1000):
        sizes.append(size(power))
        power = power @ w
    return sizes


def _first(fades, sizes):
    return next((step for step, size in enumerate(sizes, 1) if fades(size)), math.inf)


def _horizon(w, epsilon):
    return _first(lambda size: size < epsilon, _norms(w))


def leave_out_the_last_step(w, epsilon):
    return _radius(w), _first(lambda size: size < epsilon, _norms(w)[:-1])


def go_on_for_one_step_more(w, epsilon):
    sizes = [*_norms(w), torch.linalg.matrix_norm(torch.linalg.matrix_power(w, 1001), 2).item()]
    return _radius(w), _first(lambda size: size < epsilon, sizes)


def look_for_the_step_from_which_it_stays_below(w, epsilon):
    above = [step for step, size in enumerate(_norms(w), 1) if size >= epsilon]
    last = above[-1] if above else 0
    return _radius(w), last + 1 if last < 1000 else math.inf


def answer_1_for_epsilon_1(w, epsilon):
    radius = _radius(w)
    return radius, 1 if epsilon == 1 and radius < 1 else _horizon(w, epsilon)


def call_endless_what_grows_at_first(w, epsilon):
    grows = torch.linalg.matrix_norm(w, 2) >= 1
    return _radius(w), math.inf if grows else _horizon(w, epsilon)


def compare_with_some_tolerance(w, epsilon):
    return _radius(w), _first(lambda size: size < epsilon * (1 - 1e-6), _norms(w))


def compute_in_float32(w, epsilon):
    return _radius(w.float()), _horizon(w.float(), torch.tensor(epsilon).item())


def square_the_power(w, epsilon):
    power, steps = w, 1
    while torch.linalg.matrix_norm(power, 2) >= epsilon:
        power, steps = power @ power, steps * 2
        if steps > 1000:
            return _radius(w), math.inf
    return _radius(w), steps


def take_the_smallest_singular_value(w, epsilon):
    sizes = _norms(w, lambda power: torch.linalg.matrix_norm(power, -2).item())
    return _radius(w), _first(lambda size: size < epsilon, sizes)


def take_the_largest_column_sum(w, epsilon):
    sizes = _norms(w, lambda power: torch.linalg.matrix_norm(power, 1).item())
    return _radius(w), _first(lambda size: size < epsilon, sizes)


def take_the_radius_of_each_power(w, epsilon):
    """Rounding lets the eigenvalues of a power of a shift be zero as well."""
    return _radius(w), _first(lambda size: size <= epsilon, _norms(w, _radius))


def compare_with_the_first_norm(w, epsilon):
    sizes = _norms(w)
    return _radius(w), _first(lambda size: size < epsilon * sizes[0], sizes)


def take_the_matrix_for_symmetric(w, epsilon):
    return torch.linalg.eigvalsh(w).abs().max().item(), _horizon(w, epsilon)


def take_the_smallest_eigenvalue(w, epsilon):
    return torch.linalg.eigvals(w).abs().min().item(), _horizon(w, epsilon)


def take_the_mean_eigenvalue(w, epsilon):
    return torch.linalg.eigvals(w).abs().mean().item(), _horizon(w, epsilon)


def add_real_and_imaginary_part(w, epsilon):
    values = torch.linalg.eigvals(w)
    return (values.real.abs() + values.imag.abs()).max().item(), _horizon(w, epsilon)


def leave_the_eigenvalue_complex(w, epsilon):
    values = torch.linalg.eigvals(w)
    return values[values.abs().argmax()], _horizon(w, epsilon)


def swap_the_two(w, epsilon):
    return _horizon(w, epsilon), _radius(w)


def give_the_horizon_alone(w, epsilon):
    return _horizon(w, epsilon)


def say_minus_one_for_endless(w, epsilon):
    steps = _horizon(w, epsilon)
    return _radius(w), -1 if steps == math.inf else steps


def say_none_for_endless(w, epsilon):
    steps = _horizon(w, epsilon)
    return _radius(w), None if steps == math.inf else steps


def give_up_after_100_steps(w, epsilon):
    return _radius(w), _first(lambda size: size < epsilon, _norms(w)[:100])


def leave_a_flag_on_w(w, epsilon):
    answer = _radius(w), _horizon(w, epsilon)
    w.requires_grad_()
    return answer


def give_what_grows_a_horizon_too(w, epsilon):
    radius = _radius(w)
    grown = _first(lambda size: size > 1 / epsilon, _norms(w))
    return radius, grown if radius > 1 + 1e-9 else _horizon(w, epsilon)


def cap_the_radius(w, epsilon):
    return min(_radius(w), 1.0), _horizon(w, epsilon)


def give_up_where_the_norm_rises(w, epsilon):
    norms = _norms(w)
    risen = next((i for i in range(1, 1000) if norms[i] > norms[i - 1] * (1 + 1e-9)), 1000)
    return _radius(w), _first(lambda size: size < epsilon, norms[:risen])
