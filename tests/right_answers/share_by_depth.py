"""Right answers to `share_by_depth`, each in a style of its own."""

from itertools import accumulate

import numpy as np


def with_running_sums(weights, costs):
    """From the output up, each depth adds a layer."""
    trained = [0, *accumulate(weights[::-1])]
    opened = [0, *accumulate(costs[::-1])]
    passed = [0, *opened[:-1]]
    total, forward = sum(weights), sum(costs)
    whole = forward + opened[-1] + passed[-1]
    return [
        (share / total, (forward + own + through) / whole)
        for share, own, through in zip(trained, opened, passed, strict=True)
    ]


def ask_each_layer(weights, costs):
    size = len(weights)

    def row(depth):
        trained = products = 0
        for place in range(size):
            is_open = place >= size - depth
            something_below = any(below >= size - depth for below in range(place))
            trained += weights[place] * is_open
            products += costs[place] * (1 + is_open + something_below)
        return trained, products

    total, whole = row(size)
    return [(row(depth)[0] / total, row(depth)[1] / whole) for depth in range(size + 1)]


def with_arrays(weights, costs):
    weights, costs = np.array(weights), np.array(costs)
    size = len(weights)
    place, depth = np.arange(size), np.arange(size + 1)[:, None]
    opened = place >= size - depth
    shares = opened @ weights / weights.sum()
    steps = costs.sum() + opened @ costs + (place > size - depth) @ costs
    return list(zip(shares, steps / steps[-1], strict=True))


def take_away_from_a_full_step(weights, costs):
    full = 3 * sum(costs) - costs[0]
    table = []
    for frozen in range(len(weights), -1, -1):
        saved = sum(costs[:frozen]) + sum(costs[1 : frozen + 1])
        table.append([1 - sum(weights[:frozen]) / sum(weights), 1 - saved / full])
    return table
