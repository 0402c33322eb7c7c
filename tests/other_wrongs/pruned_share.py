"""Wrong answers to `pruned_share` that come from none of its beliefs."""

from itertools import chain


def count_the_pruned(layers, kept):
    return sum(not keep for keep in chain(*kept))


def give_percent(layers, kept):
    flags = list(chain(*kept))
    return 100 * flags.count(False) / len(flags)


def divide_whole_numbers(layers, kept):
    flags = list(chain(*kept))
    return flags.count(False) // len(flags)


def round_to_whole_percents(layers, kept):
    flags = list(chain(*kept))
    return round(flags.count(False) / len(flags), 2)


def look_at_the_last_layer(layers, kept):
    return kept[-1].count(False) / len(kept[-1])


def take_the_largest_share(layers, kept):
    return max(flags.count(False) / len(flags) for flags in kept)


def share_of_the_layers_that_lost_something(layers, kept):
    return sum(not all(flags) for flags in kept) / len(kept)


def weigh_by_magnitude(layers, kept):
    pairs = list(zip(chain(*layers), chain(*kept), strict=True))
    return sum(abs(w) for w, keep in pairs if not keep) / sum(abs(w) for w, _ in pairs)


def call_small_weights_pruned(layers, kept):
    weights = list(chain(*layers))
    return sum(abs(w) < 4.5 for w in weights) / len(weights)


def divide_by_one_more(layers, kept):
    flags = list(chain(*kept))
    return flags.count(False) / (len(flags) + 1)


def give_a_share_for_each_layer(layers, kept):
    return [flags.count(False) / len(flags) for flags in kept]


def leave_emptied_layers_out(layers, kept):
    flags = list(chain(*(flags for flags in kept if any(flags) or len(kept) == 1)))
    return flags.count(False) / max(1, len(flags))


def a_flag_that_is_true_for_all(layers, kept):
    return sum(all(flags) for flags in kept) / len(kept)


def gather_all_in_the_first_list(layers, kept):
    flags = kept[0]
    for more in kept[1:]:
        flags += more
    return flags.count(False) / len(flags)


def take_the_flags_off(layers, kept):
    pruned = total = 0
    for flags in kept:
        while flags:
            pruned += not flags.pop()
            total += 1
    return pruned / total
