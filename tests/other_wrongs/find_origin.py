"""Wrong answers to `find_origin` that come from none of its beliefs."""


def _right(records):
    constant = [r for r in records if r["range"] == 0]
    unmoved = [r for r in records if r["bias_gradient"] == 0]
    found = constant[:1] + unmoved[-1:]
    return sorted({r["name"] for r in found if r["slopes"] == 0})


def name_every_constant_layer(records):
    return [r["name"] for r in records if r["range"] == 0]


def name_every_layer_without_gradient(records):
    return [r["name"] for r in records if r["bias_gradient"] == 0]


def want_all_three_zeros(records):
    return [
        r["name"] for r in records if r["range"] == r["slopes"] == 0 and r["bias_gradient"] == 0
    ]


def return_one_name(records):
    found = _right(records)
    return found[0] if found else None


def return_numbers(records):
    found = _right(records)
    return [k for k, r in enumerate(records, start=1) if r["name"] in found]


def always_name_one(records):
    return _right(records) or [records[0]["name"]]


def name_the_layer_after_it(records):
    names = [r["name"] for r in records]
    return [names[min(names.index(name) + 1, len(names) - 1)] for name in _right(records)]


def name_the_layer_before_it(records):
    names = [r["name"] for r in records]
    return [names[max(names.index(name) - 1, 0)] for name in _right(records)]


def fail_where_the_path_is_cut(records):
    if any(r["bias_gradient"] < 1e-300 for r in records):
        return _right(records)
    return []


def read_the_list_backwards(records):
    return _right(records[::-1])


def sort_the_records(records):
    records.sort(key=lambda r: r["range"])
    return _right(records)


def give_up_where_a_reading_fails(records):
    constant = [r for r in records if r["range"] == 0]
    unmoved = [r for r in records if r["bias_gradient"] == 0]
    if constant and unmoved and constant[0]["slopes"] == unmoved[-1]["slopes"] == 0:
        return sorted({constant[0]["name"], unmoved[-1]["name"]})
    return []


def leave_out_the_ends(records):
    ends = {records[0]["name"], records[-1]["name"]}
    return [name for name in _right(records) if name not in ends]


def name_it_once_for_each_reading(records):
    constant = [r for r in records if r["range"] == 0]
    unmoved = [r for r in records if r["bias_gradient"] == 0]
    return [r["name"] for r in constant[:1] + unmoved[-1:] if r["slopes"] == 0]


def read_up_what_has_no_slopes(records):
    flat = [r for r in records if r["slopes"] == r["range"] == 0]
    unmoved = [r for r in records if r["bias_gradient"] == 0]
    return {r["name"] for r in flat[:1] + unmoved[-1:] if r["slopes"] == 0}


def read_down_what_has_no_slopes(records):
    constant = [r for r in records if r["range"] == 0]
    flat = [r for r in records if r["slopes"] == r["bias_gradient"] == 0]
    return {r["name"] for r in constant[:1] + flat[-1:] if r["slopes"] == 0}


def look_at_slopes_alone(records):
    flat = [r["name"] for r in records if r["slopes"] == 0]
    return {*flat[:1], *flat[-1:]}
