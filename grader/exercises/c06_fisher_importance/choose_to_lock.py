"""Which entries to lock within a budget: one ranking over all tensors, and a purpose."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from grader.instruments.moves import moved
from grader.instruments.refusals import refusal, refused
from grader.instruments.words import listed
from grader.judging.evidence import plain
from grader.judging.exercise import Exercise, attempt, beliefs_about, claim, of_kind
from grader.judging.terms import Candidate, Challenge, Evidence, Finding, Inputs, Part

Arrays = Mapping[str, np.ndarray]


def choose_to_lock(fisher, budget, purpose):
    """Choose the entries to lock, by Fisher information and for a purpose.

    The ranking is one over all entries of all tensors. To keep the task that F was measured on,
    the entries with the highest F are locked. To go on learning that task, those with the lowest.

    Args:
        fisher: dict from names to numpy arrays of floats, the Fisher diagonal.
        budget: how many entries to lock, a whole number from 0 on. Where there are fewer, all are.
        purpose: "keep" or "learn".

    Returns:
        Dict from each name to a bool array of that shape, True where an entry is locked. Exactly
        ``budget`` are. Among equal F the entries come first that come first: tensors in the order
        of the dict, entries row by row.

    Raises:
        ValueError: another purpose, or a NaN in ``fisher``.

    Example:
        >>> fisher = {"w": np.array([0.0, 0.5, 0.0]), "b": np.array([0.5])}
        >>> {name: lock.tolist() for name, lock in choose_to_lock(fisher, 1, "keep").items()}
        {'w': [False, True, False], 'b': [False]}
        >>> {name: lock.tolist() for name, lock in choose_to_lock(fisher, 3, "learn").items()}
        {'w': [True, True, True], 'b': [False]}
    """
    if purpose not in ("keep", "learn"):
        raise ValueError(f"the purpose is keep or learn, and not {purpose!r}")
    row = np.concatenate([np.ravel(part) for part in fisher.values()])
    if np.isnan(row).any():
        raise ValueError("there is a NaN in fisher")
    locked = np.zeros(row.size, bool)
    locked[np.argsort(-row if purpose == "keep" else row, kind="stable")[:budget]] = True
    pieces = iter(np.split(locked, np.cumsum([part.size for part in fisher.values()])[:-1]))
    return {name: next(pieces).reshape(part.shape) for name, part in fisher.items()}


def challenge(rng: np.random.Generator) -> Challenge:
    a, b, c = (int(size) for size in rng.choice(np.arange(3, 8), 3, replace=False))
    shapes = {
        "stem.conv.weight": (2, 1, 3, 3), "body.lower.weight": (b, a), "body.lower.bias": (b,),
        "a.head.weight": (c, b),
    }  # fmt: skip
    sizes = [int(np.prod(shape)) for shape in shapes.values()]
    total = sum(sizes)
    some, most = int(rng.integers(total // 5, total // 3)), int(rng.integers(total // 2, total - 9))

    def split(row: np.ndarray) -> dict[str, np.ndarray]:
        parts = np.split(row, np.cumsum(sizes)[:-1])
        return {name: p.reshape(s) for (name, s), p in zip(shapes.items(), parts, strict=True)}

    def case(kind: str, purpose: str, budget: int, row: np.ndarray | None = None) -> Inputs:
        """Tensors are of very different sizes of F, and no two entries are alike by themselves."""
        if row is None:
            scales = np.repeat(rng.permutation([1.0, 3.0, 10.0, 30.0]), sizes)
            row = scales * (0.1 + rng.permutation(total) / total)
        return {"kind": kind, "fisher": split(row), "budget": budget, "purpose": purpose}

    levels, gamma = rng.choice([0.0, 0.0, 0.25, 0.5], (2, total)), rng.gamma(0.5, size=total)
    infinite, first, last = (gamma.copy() for _ in range(3))
    infinite[rng.permutation(total)[:2]] = np.inf
    first[rng.integers(18)], last[-rng.integers(1, c * b)] = np.nan, np.nan
    return {
        "a fifth, to keep": case("plain", "keep", some),
        "most, to keep": case("plain", "keep", most),
        "a fifth, to learn": case("plain", "learn", some),
        "most, to learn": case("plain", "learn", most),
        "few values, to keep": case("ties", "keep", some, levels[0]),
        "few values, to learn": case("ties", "learn", some, levels[1]),
        "every F is 0, to keep": case("ties", "keep", some, np.zeros(total)),
        "every F is 0, to learn": case("ties", "learn", some, np.zeros(total)),
        "F near 1e-200, to keep": case("range", "keep", some, 1e-200 * (1 + gamma)),
        "F from 1e-30 to 1e30, to learn": case("range", "learn", some, 10 ** (60 * gamma / 9 - 30)),
        "two infinite F, to keep": case("range", "keep", some, infinite),
        "a budget of 0": case("edges", "keep", 0),
        "a budget of all": case("edges", "learn", total),
        "a budget of more than there are": case("edges", "keep", total + some),
        "a NaN in the first tensor": case("refused", "learn", some, first),
        "a NaN in the last tensor, none to keep": case("refused", "keep", 0, last),
        "a NaN in the last tensor, all to keep": case("refused", "keep", total, last),
    } | {f"the purpose {p!r}": case("refused", p, some) for p in ("highest", "Keep", "learning")}


def observe(candidate: Candidate, inputs: Inputs) -> Evidence:
    fisher = {name: part.copy() for name, part in inputs["fisher"].items()}
    given = (fisher, inputs["budget"], inputs["purpose"])
    if inputs["kind"] == "refused":
        ending = refusal(candidate, *given, returned=lambda locked: _at_the_nan(fisher, locked))
        return {"kind": "refused", "ending": ending}
    returned = plain(candidate(*given))
    return {
        "kind": inputs["kind"],
        "locked": returned,
        "changed": moved(inputs["fisher"], fisher) + sorted(fisher.keys() - inputs["fisher"]),
    }


def _at_the_nan(fisher: Arrays, locked: Any) -> str:
    """What was answered in place of an error: a NaN may be ranked last, or taken for a number."""
    found, _ = attempt(lambda: any(locked[n][np.isnan(f)].any() for n, f in fisher.items()))
    return "an answer that locks it" if found else "an answer"


def _locked(seen: Evidence, expected: Evidence) -> Finding:
    """Whether the right entries are locked, how many are, and at which places they are not."""
    ours, right = seen["locked"], expected["locked"]
    numbers = [name for name in right if ours[name].dtype != bool]
    if numbers:
        return False, f"no bool array: {listed(numbers)}"
    more, less = ([*_places(one, other)] for one, other in ((ours, right), (right, ours)))
    counts = [int(sum(part.sum() for part in locked.values())) for locked in (ours, right)]
    words = f"you lock {counts[0]}, due are {counts[1]}; locked and not due: {_few(more)}; "
    return not (more or less), words + f"due and not locked: {_few(less)}"


def _places(ours: Arrays, right: Arrays) -> list[str]:
    return [
        f"{name}[{', '.join(map(str, place))}]"
        for name in right
        for place in np.argwhere(ours[name] & ~right[name])
    ]


def _few(places: list[str]) -> str:
    return listed(places[:2]) + (", …" if len(places) > 2 else "")


@claim(4, "Which entries does the purpose ask for, and out of how many?", of_kind("plain"))
def locks_by_purpose(seen: Evidence, expected: Evidence) -> Finding:
    """The highest F of all tensors are locked to keep the task, the lowest to learn on."""
    return _locked(seen, expected)


@claim(2, "Which entry wins among equals?", of_kind("ties"), needs=locks_by_purpose)
def takes_the_first_of_equals(seen: Evidence, expected: Evidence) -> Finding:
    """Among equal F the first entries are locked, exactly as many as the budget says."""
    return _locked(seen, expected)


@claim(1, "How many entries are there?", of_kind("edges"), needs=locks_by_purpose)
def keeps_to_the_budget(seen: Evidence, expected: Evidence) -> Finding:
    """Any budget will do: none, all, and more than there are."""
    return _locked(seen, expected)


@claim(1, "Which numbers do you compare?", of_kind("range"), needs=locks_by_purpose)
def ranks_at_any_scale(seen: Evidence, expected: Evidence) -> Finding:
    """F is told apart at any scale, and infinity is the highest."""
    return _locked(seen, expected)


@claim(1, "What is neither high nor low, keep nor learn?", of_kind("refused"), locks_by_purpose)
def refuses_what_has_no_rank(seen: Evidence, expected: Evidence) -> Finding:
    """A NaN raises a ValueError, and so does another purpose."""
    return refused(seen["ending"])


@claim(
    1,
    "Which of your calls write into what they are given?",
    lambda expected: "changed" in expected,
    needs=locks_by_purpose,
)
def leaves_fisher_alone(seen: Evidence, expected: Evidence) -> Finding:
    """The arrays given are as they were."""
    return not seen["changed"], f"changed: {listed(seen['changed'])}"


def _checked(row: np.ndarray) -> np.ndarray:
    if np.isnan(row).any():
        raise ValueError("NaN")
    return row


def _over_all(fisher: Arrays, budget: int, rank: Part, scores: Part) -> dict[str, np.ndarray]:
    """Lock the first of the ranking over all tensors."""
    row = np.concatenate([np.ravel(scores(name, part)) for name, part in fisher.items()])
    locked, start, found = rank(row, budget), 0, {}
    for name, part in fisher.items():
        found[name] = locked[start : start + part.size].reshape(part.shape)
        start += part.size
    return found


def _each_its_share(fisher: Arrays, budget: int, rank: Part, scores: Part) -> dict[str, np.ndarray]:
    share = budget / sum(part.size for part in fisher.values())
    return {
        name: rank(np.ravel(part), round(share * part.size)).reshape(part.shape)
        for name, part in fisher.items()
    }


def _first(row: np.ndarray, budget: int) -> np.ndarray:
    """True at the lowest of a row."""
    locked = np.zeros(row.size, bool)
    locked[np.argsort(row, kind="stable")[: max(0, budget)]] = True
    return locked


def _last_of_equals(row: np.ndarray, budget: int) -> np.ndarray:
    return _first(row[::-1], budget)[::-1]


def _up_to_the_value(row: np.ndarray, budget: int) -> np.ndarray:
    """True wherever a value is no higher than the last one that fits."""
    return row <= np.sort(row)[min(budget, row.size) - 1] if budget else np.zeros(row.size, bool)


def _below_the_value(row: np.ndarray, budget: int) -> np.ndarray:
    return row < np.sort(row)[budget] if budget < row.size else np.ones(row.size, bool)


def chosen(
    fisher: Arrays,
    budget: int,
    purpose: str,
    signs: Part = lambda: {"keep": -1.0, "learn": 1.0},
    scores: Part = lambda name, part: part,
    ranked: Part = _over_all,
    rank: Part = _first,
    check: Part = _checked,
) -> dict[str, np.ndarray]:
    """The right answer in parts."""
    sign = signs().get(purpose)
    if sign is None:
        raise ValueError("purpose")
    checked = {name: check(part) for name, part in fisher.items()}
    return ranked({n: sign * p for n, p in checked.items()}, budget, rank, scores)


believing = beliefs_about(chosen)
BELIEFS = (
    believing(
        "Low Fisher information is safe to lock, whatever for.",
        "It is to go on learning the same task. To keep a task, what its answers hang on is "
        "locked; else all learning goes into just that.",
        "If the lowest half is locked, in which half does the new task's learning go?",
        signs=lambda: {"keep": 1.0, "learn": 1.0},
    ),
    believing(
        "What is important is locked, whatever for.",
        "To go on learning, the important entries are the ones that learn. Locked is what the "
        "answers do not hang on.",
        "Which entries have the large gradients on the task that is to be learned?",
        signs=lambda: {"keep": -1.0, "learn": -1.0},
    ),
    believing(
        "To keep a task is to leave its important entries free.",
        "A locked entry keeps its value, and with it the answers. It is what stays free that "
        "changes.",
        "What happens to the value of a locked entry?",
        signs=lambda: {"keep": 1.0, "learn": -1.0},
    ),
    believing(
        "Each tensor gives its share.",
        "The ranking is one over all. A tensor in which F is high may be locked whole, another "
        "not at all.",
        "Which is higher, the lowest F of one tensor or the highest of another?",
        ranked=_each_its_share,
    ),
    believing(
        "Tensors are locked as a whole, by their mean.",
        "Each entry has its own F. The mean of a tensor hides the few on which all hangs.",
        "How many different numbers does your ranking see?",
        scores=lambda name, part: np.full(part.shape, part.mean()),
    ),
    believing(
        "A threshold keeps a budget.",
        "With equal values at the threshold more are locked than the budget allows, often far "
        "more: a quarter of F may be exactly zero.",
        "How many entries are at or beyond your threshold?",
        rank=_up_to_the_value,
    ),
    believing(
        "What equals the threshold stays free.",
        "Then fewer are locked than the budget says, with every F equal none at all.",
        "How many entries are beyond your threshold?",
        rank=_below_the_value,
    ),
    believing(
        "A sort turned round has the same order among equals.",
        "It has them last to first. The task says that the first come first.",
        "In which order does np.argsort(x)[::-1] have two equal entries?",
        rank=_last_of_equals,
    ),
    believing(
        "A sort puts NaN where it belongs.",
        "NaN is neither high nor low. A sort puts it last, and the entry is locked or not by "
        "accident.",
        "What does np.sort make of [1, NaN, 0]?",
        check=lambda part: part,
    ),
)

EXERCISE = Exercise(
    reference=choose_to_lock,
    challenge=challenge,
    observe=observe,
    hints=(
        "Put all entries in one row, tensor after tensor, choose there, and cut the row up again.",
        "np.argsort with kind='stable' leaves equals in their order. For the highest, sort the "
        "row with its sign changed, rather than turn the result round.",
        "np.split(row, np.cumsum(sizes)[:-1]) cuts, and reshape gives each piece its shape.",
    ),
    lesson="06_fisher_importance",
    section="Keeping an old task",
    frameworks=("torch", "jax"),
    minutes=15,
    difficulty=4,
    note="paramlock.choose_entries does this for a model, and paramlock.torch.hold locks what it "
    "returns. Count what you chose: a share of one half is no half where thresholds meet ties.",
)
