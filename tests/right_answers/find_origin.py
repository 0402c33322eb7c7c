"""Right answers to `find_origin`, each in a style of its own."""


def walk_from_both_ends(records):
    found = set()
    for record in records:
        if record["range"] == 0.0:
            if record["slopes"] == 0.0:
                found.add(record["name"])
            break
    for record in reversed(records):
        if record["bias_gradient"] is not None and record["bias_gradient"] == 0.0:
            if record["slopes"] == 0.0:
                found.add(record["name"])
            break
    return found


def ask_for_the_next_one(records):
    lowest = next((r for r in records if not r["range"]), None)
    highest = next((r for r in records[::-1] if r["bias_gradient"] == 0), None)
    found = [r["name"] for r in (lowest, highest) if r and not r["slopes"]]
    return tuple(dict.fromkeys(found))


def compare_neighbours(records):
    """Constant though its input varies; no gradient though the layer above gets one."""
    varies = [True, *(r["range"] > 0 for r in records)]
    moved = [*(r["bias_gradient"] != 0 for r in records), True]
    origins = []
    for k, record in enumerate(records):
        first_constant = all(varies[: k + 1]) and not varies[k + 1]
        last_unmoved = all(moved[k + 1 :]) and not moved[k]
        if (first_constant or last_unmoved) and record["slopes"] == 0:
            origins.append(record["name"])
    return origins


def take_the_extremes(records):
    places = range(len(records))
    low = min((k for k in places if records[k]["range"] == 0), default=None)
    high = max((k for k in places if records[k]["bias_gradient"] == 0), default=None)
    return [records[k]["name"] for k in {low, high} - {None} if records[k]["slopes"] == 0]


def take_the_smallest_numbers(records):
    lowest = min(records, key=lambda r: r["range"])
    highest = min(
        records[::-1], key=lambda r: (r["bias_gradient"] is None, r["bias_gradient"] or 0)
    )
    found = {lowest["name"]} if lowest["range"] == lowest["slopes"] == 0 else set()
    if highest["bias_gradient"] == 0 and highest["slopes"] == 0:
        found.add(highest["name"])
    return sorted(found)
