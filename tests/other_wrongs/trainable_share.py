"""Wrong answers to `trainable_share` that come from none of its beliefs."""

from statistics import mean


def _share(sizes, opened):
    return sum(sizes[name] for name in set(opened)) / sum(sizes.values())


def give_the_count(sizes, opened):
    return sum(sizes[name] for name in set(opened))


def give_percent(sizes, opened):
    return 100 * _share(sizes, opened)


def divide_whole_numbers(sizes, opened):
    return sum(sizes[name] for name in set(opened)) // sum(sizes.values())


def round_to_whole_percents(sizes, opened):
    return round(_share(sizes, opened), 2)


def take_the_first_name_only(sizes, opened):
    return _share(sizes, opened[:1])


def take_the_last_name_only(sizes, opened):
    return _share(sizes, opened[-1:])


def take_the_largest_of_them(sizes, opened):
    return max((sizes[name] for name in opened), default=0) / sum(sizes.values())


def compare_the_mean_sizes(sizes, opened):
    return mean(sizes[name] for name in opened) / mean(sizes.values()) if opened else 0.0


def divide_by_one_more(sizes, opened):
    return sum(sizes[name] for name in set(opened)) / (sum(sizes.values()) + 1)


def open_everything_where_nothing_is_named(sizes, opened):
    return _share(sizes, opened or [*sizes])


def look_at_how_names_end(sizes, opened):
    """The name middle ends in no other, layer1 ends like layer11."""
    ends = tuple(name[-1] for name in opened)
    return sum(size for name, size in sizes.items() if name.endswith(ends)) / sum(sizes.values())


def take_the_opened_out(sizes, opened):
    total = sum(sizes.values())
    return sum(sizes.pop(name) for name in set(opened)) / total


def take_the_names_off(sizes, opened):
    total, trained, met = sum(sizes.values()), 0, set()
    while opened:
        name = opened.pop()
        trained += sizes[name] * (name not in met)
        met.add(name)
    return trained / total


def leave_the_head_out(sizes, opened):
    return _share(sizes, [name for name in opened if name != "head"])


def give_a_share_for_each_layer(sizes, opened):
    return [sizes[name] / sum(sizes.values()) for name in opened]
