"""Wrong answers to `share_by_depth` that come from none of its beliefs."""


def _table(weights, costs):
    size, rows = len(weights), []
    for depth in range(size + 1):
        first = size - depth
        cost = sum(costs) + sum(costs[first:]) + sum(costs[first + 1 :])
        rows.append((sum(weights[first:]) / sum(weights), cost))
    return [(share, cost / rows[-1][1]) for share, cost in rows]


def leave_depth_0_out(weights, costs):
    return _table(weights, costs)[1:]


def leave_the_last_depth_out(weights, costs):
    return _table(weights, costs)[:-1]


def begin_with_everything(weights, costs):
    return _table(weights, costs)[::-1]


def put_the_cost_first(weights, costs):
    return [(cost, share) for share, cost in _table(weights, costs)]


def give_percent(weights, costs):
    return [(100 * share, 100 * cost) for share, cost in _table(weights, costs)]


def give_the_frozen_share(weights, costs):
    return [(1 - share, cost) for share, cost in _table(weights, costs)]


def give_what_is_saved(weights, costs):
    return [(share, 1 - cost) for share, cost in _table(weights, costs)]


def give_the_products_themselves(weights, costs):
    return [(share, cost * (3 * sum(costs) - costs[0])) for share, cost in _table(weights, costs)]


def compare_with_forward(weights, costs):
    whole = 3 * sum(costs) - costs[0]
    return [(share, cost * whole / sum(costs)) for share, cost in _table(weights, costs)]


def count_one_layer_at_each_depth(weights, costs):
    size = len(weights)
    shares = [0.0] + [weights[size - depth] / sum(weights) for depth in range(1, size + 1)]
    return [(share, cost) for share, (_, cost) in zip(shares, _table(weights, costs), strict=True)]


def round_to_two_digits(weights, costs):
    return [(round(share, 2), round(cost, 2)) for share, cost in _table(weights, costs)]


def take_weights_for_costs(weights, costs):
    return _table(weights, weights)


def take_costs_for_weights(weights, costs):
    return _table(costs, costs)


def slice_from_minus_depth(weights, costs):
    """At depth 0 the slice holds everything."""
    table = _table(weights, costs)
    return [(sum(weights[-depth:]) / sum(weights), table[depth][1]) for depth in range(len(table))]


def sort_the_layers_by_size(weights, costs):
    return _table(sorted(weights), costs)


def turn_the_lists_round_in_place(weights, costs):
    table = _table(weights, costs)
    weights.reverse()
    costs.reverse()
    return table


def give_two_lists(weights, costs):
    return [list(column) for column in zip(*_table(weights, costs), strict=True)]


def forget_forward(weights, costs):
    whole = 3 * sum(costs) - costs[0]
    table = _table(weights, costs)
    return [
        (share, (cost * whole - sum(costs)) / (whole - sum(costs)))
        if whole > sum(costs)
        else (share, cost)
        for share, cost in table
    ]
