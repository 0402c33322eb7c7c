"""Wrong answers to `inverse_transform` that come from none of its beliefs."""

import torch


def _found(transform, n, atol=1e-4):
    rows = transform(torch.eye(n)).double()
    gain = rows[0].norm().item()
    turned = rows / gain
    if not torch.allclose(turned @ turned.T, torch.eye(n).double(), atol=atol):
        raise ValueError("not orthogonal")
    return turned, gain


def _inverse(turned, gain):
    return lambda y: (y.double() / gain @ turned.T).to(y.dtype)


def swap_the_two(transform, n):
    turned, gain = _found(transform, n)
    return gain, _inverse(turned, gain)


def give_the_gain_of_the_inverse(transform, n):
    turned, gain = _found(transform, n)
    return _inverse(turned, gain), 1 / gain


def give_the_square_of_the_gain(transform, n):
    turned, gain = _found(transform, n)
    return _inverse(turned, gain), gain**2


def give_the_root_of_n(transform, n):
    turned, gain = _found(transform, n)
    return _inverse(turned, gain), n**0.5


def give_a_gain_of_1(transform, n):
    turned, gain = _found(transform, n)
    return _inverse(turned, gain), 1.0


def give_the_first_entry(transform, n):
    turned, gain = _found(transform, n)
    return _inverse(turned, gain), abs(turned[0, 0].item() * gain)


def undo_the_gain_only(transform, n):
    _turned, gain = _found(transform, n)
    return (lambda y: y / gain), gain


def give_the_transform_without_its_gain(transform, n):
    _turned, gain = _found(transform, n)
    return (lambda y: transform(y) / gain), gain


def give_a_matrix(transform, n):
    turned, gain = _found(transform, n)
    return turned.T / gain, gain


def give_the_inverse_alone(transform, n):
    return _inverse(*_found(transform, n))


def bring_one_row_back(transform, n):
    turned, gain = _found(transform, n)
    inverse = _inverse(turned, gain)
    return (lambda y: inverse(y) if y.ndim == 1 else inverse(y[:1]).expand(y.shape)), gain


def ask_for_a_batch(transform, n):
    turned, gain = _found(transform, n)
    return (lambda y: torch.einsum("abi,ji->abj", y.double() / gain, turned).to(y.dtype)), gain


def allow_for_much(transform, n):
    turned, gain = _found(transform, n, atol=0.25)
    return _inverse(turned, gain), gain


def ask_for_a_gain_of_1(transform, n):
    rows = transform(torch.eye(n)).double()
    if not torch.allclose(rows @ rows.T, torch.eye(n).double(), atol=1e-4):
        raise ValueError("not orthogonal")
    return _inverse(rows, 1.0), 1.0


def look_at_two_rows_only(transform, n):
    rows = transform(torch.eye(n)).double()
    gain = rows[0].norm().item()
    if n > 1 and abs((rows[0] @ rows[1]).item()) > 1e-4 * gain**2:
        raise ValueError("not orthogonal")
    return _inverse(rows / gain, gain), gain


def assert_it(transform, n):
    rows = transform(torch.eye(n)).double()
    gain = rows[0].norm().item()
    assert torch.allclose(rows @ rows.T / gain**2, torch.eye(n).double(), atol=1e-4)
    return _inverse(rows / gain, gain), gain


def write_into_the_row(transform, n):
    turned, gain = _found(transform, n)

    def inverse(y):
        y.copy_(y.double() / gain @ turned.T)
        return y.clone()

    return inverse, gain


def add_a_small_number(transform, n):
    turned, gain = _found(transform, n)
    return _inverse(turned, gain + 1e-9), gain


def give_the_largest_entry(transform, n):
    turned, gain = _found(transform, n)
    return _inverse(turned, gain), turned.abs().max().item() * gain


def trust_the_caller(transform, n):
    turned, gain = _found(transform, n, atol=float("inf"))
    return _inverse(turned, gain), gain
