"""The size in bits of a sparse layer that is stored as shared values and index gaps.

Source: Han, Mao & Dally 2016, "Deep Compression", arXiv:1510.00149, sections 2 and 3.
"""

from typing import Any

import numpy as np

from grader.judging.exercise import Exercise, beliefs_about, claim, of_kind
from grader.judging.terms import Candidate, Challenge, Evidence, Finding, Inputs, Part


def coded_bits(weights, bits_per_value, gap_bits):
    """Count the bits that a pruned layer takes, its weights coded as shared values and gaps.

    The layer is read row by row as one long list. For each weight that is not 0 two codes are
    stored: which of the shared values it is, in ``bits_per_value`` bits, and its gap, the number
    of zeros since the stored entry before it (or since the start), in ``gap_bits`` bits. A gap
    code goes from 0 to ``2**gap_bits - 1``. Where more zeros than that follow one another, one of
    them is stored like a weight, with both codes, as often as needed: after ``2**gap_bits - 1``
    zeros that are skipped, the next zero is stored, and counting begins again. Zeros after the
    last weight are not stored, since the shape is known. The shared values themselves are a table
    of ``2**bits_per_value`` numbers of 32 bits, whether all are used or not.

    Args:
        weights: numpy array of floats of any shape; pruned weights are 0. It has been coded
            already: you need not look for the shared values.
        bits_per_value, gap_bits: whole numbers from 0 on.

    Returns:
        The size in bits of codes and table, an int.

    Example:
        >>> weights = np.array([[0.5, 0.0, 0.0], [0.0, 0.0, 0.7]])
        >>> coded_bits(weights, 1, 3)  # gaps 0 and 4: two times 1 + 3 bits, and a table of 64
        72
        >>> coded_bits(weights, 1, 2)  # a gap of 4 is too long: skip 3, store a 0, skip 0
        73
    """
    gaps = np.diff(np.flatnonzero(weights), prepend=-1) - 1
    entries = len(gaps) + int((gaps // 2**gap_bits).sum())
    return entries * (bits_per_value + gap_bits) + 32 * 2**bits_per_value


def challenge(rng: np.random.Generator) -> Challenge:
    def case(kind: str, weights: np.ndarray, bits_per_value: int, gap_bits: int) -> Inputs:
        return {
            "kind": kind,
            "weights": weights.astype(np.float32),
            "bits_per_value": bits_per_value,
            "gap_bits": gap_bits,
        }

    def spaced(gaps: list[int], behind: int = 0) -> np.ndarray:
        """A row of weights with these gaps before them, and zeros behind the last."""
        places = np.cumsum(np.array(gaps) + 1) - 1
        row = np.zeros(places[-1] + 1 + behind)
        row[places] = _values(rng, len(places))
        return row

    bits, gap_bits = int(rng.integers(3, 6)), int(rng.integers(3, 5))
    most = 2**gap_bits - 1
    dense = rng.integers(0, most, int(rng.integers(20, 40))).tolist()
    count, columns = int(rng.integers(4, 9)), int(rng.integers(11, 17))
    long = [3, int(rng.integers(3, 9)) * (most + 1) + 2, 0, 5 * (most + 1) + most, 1]
    grid = np.where(rng.random((9, columns)) < 0.2, _values(rng, (9, columns)), 0)
    grid[0, 0], grid[:, -1] = 1.0, 0.0
    kernel = np.where(rng.random((count, 3, 3, 3)) < 0.15, _values(rng, (count, 3, 3, 3)), 0)
    minus = spaced(dense)
    minus[minus == 0] = -0.0
    return {
        "a row without long gaps": case("plain", spaced(dense), bits, gap_bits),
        "fewer bits for values": case("plain", spaced([0, *dense]), bits - 2, gap_bits),
        "gaps at the limit": case("limit", spaced([most] * count), bits, gap_bits),
        "gaps one above the limit": case("long", spaced([most + 1, 0] * count), bits, gap_bits),
        "twice the limit": case("long", spaced([2 * most, 1, 2 * most + 1]), bits, gap_bits),
        "gaps of many limits": case("long", spaced(long), bits, gap_bits),
        "zeros behind the last weight": case("ends", spaced(dense, 9 * most), bits, gap_bits),
        "a long gap at the start": case("start", spaced([3 * most, *dense]), bits, gap_bits),
        "a matrix": case("shape", grid, bits, gap_bits),
        "a matrix, transposed": case("turned", grid, bits, gap_bits),
        "a kernel of four dimensions": case("shape", kernel, bits, gap_bits),
        "all weights alike": case("table", np.where(spaced(dense) != 0, 0.5, 0), bits, gap_bits),
        "small weights, and zeros with a minus": case("zeros", 1e-30 * minus, bits, gap_bits),
        "no bits for gaps": case("long", spaced(dense), bits, 0),
        "one shared value": case("plain", spaced(dense), 0, gap_bits),
        "no weight is left": case("ends", np.zeros((count, columns)), bits, gap_bits),
    }


def _values(rng: np.random.Generator, shape: Any) -> np.ndarray:
    """Weights that are not 0, of few different values."""
    return rng.choice([-1.5, -0.5, 0.25, 1.0], shape)


def observe(candidate: Candidate, inputs: Inputs) -> Evidence:
    weights, kind = inputs["weights"], inputs["kind"]
    weights = weights.T if kind == "turned" else weights
    before = weights.copy()
    returned = candidate(weights, inputs["bits_per_value"], inputs["gap_bits"])
    return {
        "kind": kind,
        "weights": int(np.count_nonzero(before)),
        "bits": returned,
        "harm": int((before != weights).sum()),
    }


def _bits(seen: Evidence, expected: Evidence) -> Finding:
    ours, right = seen["bits"], expected["bits"]
    words = f"for {expected['weights']} weights you return {ours} bits, right is {right}"
    return ours == right, words


@claim(3, "Which codes are stored for a weight, and what is stored once?", of_kind("plain"))
def adds_codes_and_table(seen: Evidence, expected: Evidence) -> Finding:
    """Each weight takes the bits of its value and of its gap, and the table 32 a value."""
    return _bits(seen, expected)


@claim(
    3,
    "How many zeros lie between two stored entries at most?",
    of_kind("limit", "long"),
    needs=adds_codes_and_table,
)
def stores_zeros_in_long_gaps(seen: Evidence, expected: Evidence) -> Finding:
    """Where a gap is too long for its code, zeros are stored in it, as many as it takes."""
    return _bits(seen, expected)


@claim(
    2,
    "Where does the first gap begin, and what has to be known after the last weight?",
    of_kind("start", "ends"),
    needs=adds_codes_and_table,
)
def treats_the_ends(seen: Evidence, expected: Evidence) -> Finding:
    """The first gap counts from the start, and zeros after the last weight take nothing."""
    return _bits(seen, expected)


@claim(
    1,
    "Which entry follows the last one of a row?",
    of_kind("shape", "turned"),
    needs=adds_codes_and_table,
)
def reads_row_by_row(seen: Evidence, expected: Evidence) -> Finding:
    """An array of any shape is one long list, row by row; gaps go on over the ends of rows."""
    return _bits(seen, expected)


@claim(
    1,
    "What is the size of the table, and what counts as 0?",
    of_kind("table", "zeros"),
    needs=adds_codes_and_table,
)
def depends_on_zeros_alone(seen: Evidence, expected: Evidence) -> Finding:
    """The size does not depend on the numbers, only on where they are exactly 0."""
    return _bits(seen, expected)


@claim(1, "Which line of yours writes into the array?", needs=adds_codes_and_table)
def leaves_the_weights_alone(seen: Evidence, expected: Evidence) -> Finding:
    """The weights are left as they were."""
    return not seen["harm"], f"numbers changed: {seen['harm']}"


def counted(
    weights: np.ndarray,
    bits_per_value: int,
    gap_bits: int,
    flat: Part = np.ravel,
    places: Part = np.flatnonzero,
    first: Part = lambda places: -1,
    pads: Part = lambda gaps, codes: (gaps // codes).sum(),
    behind: Part = lambda zeros, codes: 0,
    pad: Part = lambda bits_per_value, gap_bits: bits_per_value + gap_bits,
    gap_code: Part = lambda gap_bits: gap_bits,
    table: Part = lambda weights, bits_per_value: 32 * 2**bits_per_value,
) -> int:
    """The right answer in parts."""
    row = flat(weights)
    found = places(row)
    gaps = np.diff(found, prepend=first(found)) - 1
    zeros = pads(np.maximum(gaps, 0), 2**gap_bits)
    zeros += behind(len(row) - 1 - found[-1] if len(found) else len(row), 2**gap_bits)
    bits = len(found) * (bits_per_value + gap_code(gap_bits)) + zeros * pad(
        bits_per_value, gap_bits
    )
    return int(bits + table(weights, bits_per_value))


def _row_by_row(weights: np.ndarray) -> np.ndarray:
    """As if each row were a list of its own: what is behind its last weight takes nothing."""
    rows = weights.reshape(-1, weights.shape[-1])
    cut = [row[: np.flatnonzero(row)[-1] + 1] for row in rows if row.any()]
    return np.concatenate([np.zeros(0), *cut])


believing = beliefs_about(counted)
BELIEFS = (
    believing(
        "A gap code holds any gap.",
        "It has 2**gap_bits values. A longer gap would be read as a short one, and all weights "
        "after it would stand elsewhere.",
        "Which is the largest number that fits into 3 bits?",
        pads=lambda gaps, codes: 0,
    ),
    believing(
        "One stored zero bridges any gap.",
        "It makes room for one more code. A gap of 100 zeros needs many of them at 3 bits.",
        "How many entries does it take to cross 100 zeros, if each skips 7 at most?",
        pads=lambda gaps, codes: (gaps >= codes).sum(),
    ),
    believing(
        "A stored zero stands for the zeros that were skipped.",
        "It is one itself. So a code and its zero cross 2**gap_bits zeros, one more than the code "
        "says.",
        "Which zeros are crossed by a gap code of 7 and the zero that is stored after it?",
        pads=lambda gaps, codes: (
            (gaps // max(1, codes - 1)).sum() - (gaps % max(1, codes - 1) == 0)[gaps > 0].sum()
        ),
    ),
    believing(
        "A gap is the distance to the weight before.",
        "The task counts the zeros in between: neighbours have a gap of 0. Counted as distances, "
        "gaps reach the limit one zero too early.",
        "What is the gap between two weights that stand side by side?",
        pads=lambda gaps, codes: ((gaps + 1) // codes).sum(),
    ),
    believing(
        "A stored zero is a gap without a value.",
        "Whoever reads the codes must know that it is a zero. It takes both codes, as a weight.",
        "How would a reader tell a bare gap code from the value code of the next weight?",
        pad=lambda bits_per_value, gap_bits: gap_bits,
    ),
    believing(
        "The position of a weight costs nothing.",
        "Without its gap nobody knows where a weight stands.",
        "How would you put the values back into their places?",
        gap_code=lambda gap_bits: 0,
        pad=lambda bits_per_value, gap_bits: bits_per_value,
    ),
    believing(
        "The shared values come for free.",
        "A code is a number in a table, and somebody has to have the table.",
        "What does the code 3 mean without the table?",
        table=lambda weights, bits_per_value: 0,
    ),
    believing(
        "The table holds the values that occur.",
        "Its size is fixed by the code: 2**bits_per_value values, used or not.",
        "How many values can a code of 4 bits name?",
        table=lambda weights, bits_per_value: 32 * len(np.unique(weights[weights != 0])),
    ),
    believing(
        "The first gap begins at the first weight.",
        "The zeros before it have to be skipped like all others.",
        "How does a reader learn where the first weight stands?",
        first=lambda places: places[0] - 1 if len(places) else -1,
    ),
    believing(
        "All zeros have to be crossed.",
        "Behind the last weight there is none to be found. The shape tells how many zeros follow.",
        "What would be lost if the codes ended with the last weight?",
        behind=lambda zeros, codes: zeros // codes,
    ),
    believing(
        "Each row is coded by itself.",
        "The task reads the array as one long list. A gap goes on over the end of a row.",
        "Which zeros lie between the last weight of one row and the first of the next?",
        flat=_row_by_row,
    ),
    believing(
        "Memory is read as it lies.",
        "A transposed array lies column by column in memory, and its rows are what the task reads.",
        "What do weights.ravel() and weights.ravel('K') give for a transposed array?",
        flat=lambda weights: weights.ravel("K"),
    ),
)

EXERCISE = Exercise(
    reference=coded_bits,
    challenge=challenge,
    observe=observe,
    hints=(
        "Three counts: the weights, the zeros that have to be stored, and the table. Begin with "
        "the gaps: np.flatnonzero gives the places of all weights, row by row.",
        "np.diff of the places, less 1, is the zeros between them. prepend=-1 adds the first gap.",
        "A stored zero crosses 2**gap_bits zeros: those that its gap code skips, and itself. How "
        "often does that go into a gap of g zeros, if the weight may take the rest?",
        "g // 2**gap_bits of them. A gap of 2**gap_bits - 1 needs none.",
    ),
    lesson="05_pruning",
    section="Bits and milliseconds",
    frameworks=("torch", "jax"),
    minutes=25,
    difficulty=5,
    note="Gap codes of few bits are short and need stored zeros; longer ones need none. Which "
    "length is best depends on the sparsity: try gap_bits from 2 to 8 on a layer of your own.",
)
