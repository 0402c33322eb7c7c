"""Restart the dead codes of a codebook on vectors of the data (numpy).

Source: Dhariwal et al. 2020, "Jukebox", arXiv:2005.00341, random restarts of the codebook.
"""

from typing import Any

import numpy as np

from grader.instruments.moves import moved
from grader.instruments.words import listed
from grader.judging.evidence import plain
from grader.judging.exercise import Exercise, beliefs_about, claim, of_kind
from grader.judging.terms import Candidate, Challenge, Evidence, Finding, Inputs, Part


def restart_codes(codes, used, vectors, rng):
    """Put the codes that were not used on vectors of the data.

    Each code that was not used becomes exactly one of the vectors, drawn at random, and no two of
    them the same row: of two equal codes one never wins. A vector with a NaN or an infinity in it
    is no place for a code. Where more codes are dead than vectors are left, the first dead ones are
    restarted, as many as there are vectors, and the others stay as they are.

    Args:
        codes: float array of shape (K, D), a code in each row. It stays as it is.
        used: bool array of shape (K,), True for a code that has won. These codes do not move.
        vectors: float array of shape (N, D), perhaps of another dtype, to be left alone too.
        rng: ``np.random.Generator``. Whichever vectors are drawn, they are drawn by it: the same
            seed gives the same codes, another seed others.

    Returns:
        The new codes, an array of the shape and dtype of ``codes``.

    Example:
        >>> codes, vectors = np.array([[1.0], [2.0], [3.0]]), np.array([[7.0], [np.nan]])
        >>> restart_codes(codes, np.array([True, False, True]), vectors, np.random.default_rng(0))
        array([[1.],
               [7.],
               [3.]])
    """
    sound = vectors[np.isfinite(vectors).all(axis=1)]
    dead = np.flatnonzero(~used)[: len(sound)]
    new = codes.copy()
    new[dead] = sound[rng.choice(len(sound), len(dead), replace=False)]
    return new


AS_IT_WAS, ON_DATA, NEAR_DATA, ELSEWHERE = 1, 2, 3, 4
"""What may become of a code."""


def challenge(rng: np.random.Generator) -> Challenge:
    size = int(rng.integers(4, 9))

    def case(kind: str, dead: int, living: int, vectors: int, broken: int = 0) -> dict[str, Any]:
        data = 5 + rng.normal(size=(vectors, size))
        rows = rng.permutation(vectors)[:broken]
        data[rows, rng.integers(size, size=broken)] = rng.permutation(
            np.resize([np.nan, np.inf, -np.inf], broken)
        )
        return {
            "kind": kind,
            "codes": rng.normal(size=(dead + living, size)),
            "used": rng.permutation(dead + living) >= dead,
            "vectors": data,
            "seeds": rng.permutation(1000)[:2].tolist(),
        }

    few, some, many = (int(count) for count in rng.integers((5, 15, 90), (12, 40, 200)))
    half = case("plain", some, few, many)
    half["codes"] = half["codes"].astype(np.float32)
    return {
        "a few dead of many": case("plain", few, some, many),
        "most are dead": case("plain", some, few, many),
        "nearly every vector is needed": case("plain", some, few, some + 2),
        "codes of float32": half,
        "all are dead": case("plain", some, 0, many),
        "none is dead": case("none", 0, some, many),
        "fewer vectors than dead codes": case("few", some, few, few),
        "one vector": case("few", few, some, 1),
        "NaN and infinity among the vectors": case("broken", few, some, 3 * few, 2 * few - 1),
        "fewer sound vectors than dead codes": case("broken", some, few, some, some - few),
    }


def observe(candidate: Candidate, inputs: Inputs) -> Evidence:
    first, other = inputs["seeds"]
    given = _given(inputs)
    new = candidate(*given.values(), np.random.default_rng(first))
    if np.shape(new) != given["codes"].shape:
        return plain(new)
    new = np.array(new)
    again, others = (
        np.asarray(candidate(*_given(inputs).values(), np.random.default_rng(seed)))
        for seed in (first, other)
    )
    dead, vectors = ~inputs["used"], inputs["vectors"].astype(inputs["codes"].dtype)
    return {
        "kind": inputs["kind"],
        "dead": _fates(new, inputs, dead, vectors),
        "living": _fates(new, inputs, ~dead, vectors),
        "a row for each": len(np.unique(new[dead], axis=0)) == dead.sum(),
        "which": _which(new[dead], vectors),
        "the same again": np.array_equal(new, again, equal_nan=True),
        "others by another seed": not np.array_equal(new, others, equal_nan=True),
        "dtype": str(new.dtype),
        "changed": moved(_given(inputs), given),
    }


def _which(codes: np.ndarray, vectors: np.ndarray) -> str:
    """Which vectors the codes stand on, where there are at least twice as many."""
    rows = np.flatnonzero((vectors[:, None] == codes).all(axis=2).any(axis=1))
    if not len(rows) or 2 * len(rows) > len(vectors):
        return ""
    if rows[-1] < len(rows):
        return "the first ones"
    gaps = np.diff(rows, append=rows[0] + len(vectors)) != 1
    return "ones side by side" if len(rows) > 1 and gaps.sum() == 1 else "any"


def _given(inputs: Inputs) -> dict[str, np.ndarray]:
    return {name: inputs[name].copy() for name in ("codes", "used", "vectors")}


def _fates(new: np.ndarray, inputs: Inputs, rows: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """What became of the codes of these rows."""
    pairs = zip(new[rows], inputs["codes"][rows], strict=True)
    return np.array([_fate(code, old, vectors) for code, old in pairs], int)


def _fate(code: np.ndarray, old: np.ndarray, vectors: np.ndarray) -> int:
    if np.array_equal(code, old):
        return AS_IT_WAS
    if ((vectors == code) | (np.isnan(vectors) & np.isnan(code))).all(axis=1).any():
        return ON_DATA
    sound = vectors[np.isfinite(vectors).all(axis=1)]
    return NEAR_DATA if (np.abs(sound - code).max(axis=1) < 0.2).any() else ELSEWHERE


def _restarted(seen: Evidence, expected: Evidence) -> Finding:
    ours, right = seen["dead"], expected["dead"]
    counts = [int((codes == ON_DATA).sum()) for codes in (ours, right)]
    words = f"{counts[0]} of {len(ours)} dead codes stand on a vector, {counts[1]} should"
    if (ours == right).all() or counts[0] != counts[1]:
        return bool((ours == right).all()), words
    return False, f"{words}: not those that do"


@claim(3, "Where do the codes that were not used stand now?", of_kind("plain"))
def puts_dead_codes_on_data(seen: Evidence, expected: Evidence) -> Finding:
    """Each code that was not used is exactly one of the vectors."""
    return _restarted(seen, expected)


@claim(2, "Which rows do you write to?", of_kind("plain", "none"), puts_dead_codes_on_data)
def leaves_living_codes(seen: Evidence, expected: Evidence) -> Finding:
    """A code that was used stays as it is, and so does the dtype."""
    count, dtype = int((seen["living"] != AS_IT_WAS).sum()), seen["dtype"]
    words = f"{count} of {len(seen['living'])} living codes moved, and the codes are {dtype}"
    return not count and dtype == expected["dtype"], words


@claim(2, "How do you draw without drawing twice?", of_kind("plain"), puts_dead_codes_on_data)
def takes_no_vector_twice(seen: Evidence, expected: Evidence) -> Finding:
    """No two dead codes stand on the same vector."""
    alone = seen["a row for each"]
    return alone, "each has a vector of its own" if alone else "some of them are equal"


@claim(1, "What does your draw depend on?", of_kind("plain"), puts_dead_codes_on_data)
def draws_by_the_generator(seen: Evidence, expected: Evidence) -> Finding:
    """The generator given decides which: the same seed, the same codes; another seed, others."""
    same, others = seen["the same again"], seen["others by another seed"]
    words = f"{'the same' if same else 'other'} codes by the same seed, "
    words += f"{'other' if others else 'the same'} codes by another"
    if not same or not others or seen["which"] in ("", "any"):
        return same and others, words
    return False, f"{words}; of all vectors you take {seen['which']}"


@claim(2, "How many codes can be restarted?", of_kind("few"), puts_dead_codes_on_data)
def restarts_as_many_as_it_can(seen: Evidence, expected: Evidence) -> Finding:
    """With too few vectors the first dead codes are restarted, and the others stay."""
    return _restarted(seen, expected)


@claim(1, "Which vectors can a code win with?", of_kind("broken"), puts_dead_codes_on_data)
def leaves_broken_vectors_out(seen: Evidence, expected: Evidence) -> Finding:
    """No code is put on a vector that holds a NaN or an infinity."""
    return _restarted(seen, expected)


@claim(1, "Into which array do you write?", needs=puts_dead_codes_on_data)
def leaves_its_inputs_alone(seen: Evidence, expected: Evidence) -> Finding:
    """The arrays given are as they were."""
    return not seen["changed"], f"changed: {listed(seen['changed'])}"


def restarted(
    codes: np.ndarray,
    used: np.ndarray,
    vectors: np.ndarray,
    rng: np.random.Generator,
    dead: Part = lambda used: np.flatnonzero(~used),
    sound: Part = lambda vectors: vectors[np.isfinite(vectors).all(axis=1)],
    count: Part = min,
    pick: Part = lambda rng, vectors, count: rng.choice(vectors, count, replace=False),
    place: Part = lambda rng, rows: rows,
    start: Part = np.copy,
) -> np.ndarray:
    """The right answer in parts."""
    rows, places = sound(vectors), dead(used)
    places = places[: count(len(places), len(rows))]
    new = start(codes)
    new[places] = place(rng, rows[pick(rng, len(rows), len(places))])
    return new


believing = beliefs_about(restarted)
BELIEFS = (
    believing(
        "used marks the codes to be restarted.",
        "It marks those that work. You threw them away and kept the dead ones.",
        "Which codes moved?",
        dead=np.flatnonzero,
    ),
    believing(
        "A codebook is restarted as a whole.",
        "The codes that win had been learned. Only those that never win need a new place.",
        "How many codes were used, and how many of these are still there?",
        dead=lambda used: np.arange(len(used)),
    ),
    believing(
        "Two codes on one vector do no harm.",
        "They are equally near to everything. The first of them wins each time, and the other is "
        "dead as before.",
        "Can the same row be drawn twice by your code?",
        pick=lambda rng, vectors, count: rng.integers(vectors, size=count),
    ),
    believing(
        "A dead code needs a fresh random start.",
        "That is where it began. It never won since no data are there.",
        "How far are your new codes from the nearest vector?",
        place=lambda rng, rows: rng.normal(size=rows.shape),
    ),
    believing(
        "The middle of the data is the best place for a code.",
        "For one. All others stand on the same point, and only one of them can win.",
        "How many different codes are there among the restarted ones?",
        place=lambda rng, rows: np.broadcast_to(rows.sum(axis=0) / max(1, len(rows)), rows.shape),
    ),
    believing(
        "A new code needs a little noise.",
        "Some libraries add it, to tell equal codes apart. Here no two are equal, and the task "
        "puts them exactly on vectors.",
        "Which of the vectors equals your first restarted code?",
        place=lambda rng, rows: rows + rng.normal(scale=0.01, size=rows.shape),
    ),
    believing(
        "The first vectors are as good as any.",
        "Data often come sorted. And at the next restart the same ones would be taken again.",
        "What does your function use rng for?",
        pick=lambda rng, vectors, count: np.arange(count),
    ),
    believing(
        "There are always enough vectors.",
        "With a large codebook and a small batch there are not. numpy refuses to draw more without "
        "replacement than there are.",
        "How many rows do you draw, and from how many?",
        count=lambda dead, rows: dead,
    ),
    believing(
        "With too few vectors each is used several times.",
        "A second code on the same vector never wins. It may as well stay where it is, until the "
        "next batch.",
        "How many different codes are there among the restarted ones?",
        count=lambda dead, rows: dead,
        pick=lambda rng, vectors, count: np.resize(rng.permutation(vectors), count),
    ),
    believing(
        "Data are finite.",
        "One NaN in a code, and its distance to everything is NaN. For numpy's argmin that is the "
        "nearest of all.",
        "What is np.argmin([1.0, np.nan])?",
        sound=lambda vectors: vectors,
    ),
    believing(
        "The old codebook is not needed any more.",
        "Whoever called you may compare with it. You wrote into their array.",
        "Which of your lines makes a new array?",
        start=lambda codes: codes,
    ),
)

EXERCISE = Exercise(
    reference=restart_codes,
    challenge=challenge,
    observe=observe,
    hints=(
        "Two lists of rows are needed: which codes are dead, and which vectors hold finite numbers "
        "only. np.flatnonzero makes places of truth values.",
        "rng.choice(n, m, replace=False) draws m different places out of n, and refuses m > n. How "
        "many dead codes do you give a new place?",
        "Write into a copy: new[places] = rows takes the dtype of new.",
    ),
    lesson="08_unlocking",
    section="Dead codes and experts",
    frameworks=("torch", "jax"),
    minutes=15,
    difficulty=3,
    note="Restart too often, and codes that were about to win are thrown out: count wins over a "
    "while. Averages that a codebook keeps of its codes have to be set with them.",
)
