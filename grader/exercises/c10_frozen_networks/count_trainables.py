"""How many numbers of a frozen mixing network are trainable: plain arithmetic."""

import numpy as np

from grader.instruments.words import compared
from grader.judging.exercise import Exercise, beliefs_about, claim, of_kind
from grader.judging.terms import Candidate, Challenge, Evidence, Finding, Inputs, Part


def count_trainables(width, depth, per_channel, rank, classes):
    """Count the trainable numbers of a network whose mixing is frozen.

    The network has ``depth`` blocks on ``width`` channels, and a readout. Each block mixes by a
    fixed transform. It then bends every channel by a learned activation of its own, and has a
    low-rank adapter: two thin matrices, (width, rank) and (rank, width), without biases. The
    readout is a learned linear layer with a bias, from ``width`` channels to ``classes``.

    Args:
        width: channels of every block, a whole number from 1 on.
        depth: how many blocks there are, from 0 on.
        per_channel: numbers of a learned activation for each channel; 0 for a plain ReLU.
        rank: of the adapters; 0 for none.
        classes: outputs of the readout, from 1 on.

    Returns:
        How many trainable numbers there are, blocks and readout together.

    Example:
        >>> count_trainables(width=8, depth=2, per_channel=3, rank=0, classes=1)
        57
        >>> count_trainables(width=8, depth=2, per_channel=3, rank=1, classes=1)
        89
    """
    block = width * per_channel + 2 * width * rank
    return depth * block + (width + 1) * classes


def challenge(rng: np.random.Generator) -> Challenge:
    width, depth, channel, rank, classes = (
        int(number) for number in rng.integers((20, 3, 4, 5, 11), (90, 6, 7, 9, 15))
    )

    def case(kind: str, **others: int) -> Inputs:
        sizes = {"width": width, "depth": depth, "per_channel": channel}
        return {**sizes, "rank": rank, "classes": classes, **others, "kind": kind}

    return {
        "activations and a readout": case("plain", rank=0),
        "one block": case("plain", rank=0, depth=1),
        "adapters": case("adapters"),
        "adapters of rank 1": case("adapters", rank=1),
        "adapters under a fixed ReLU": case("adapters", per_channel=0),
        "a width of 1024": case("adapters", width=1024, classes=10),
        "a readout alone": case("edges", depth=0),
        "nothing learned but the readout": case("edges", per_channel=0, rank=0),
        "a rank as large as the width": case("edges", rank=width),
        "one channel, one class": case("edges", width=1, rank=1, classes=1),
    }


def observe(candidate: Candidate, inputs: Inputs) -> Evidence:
    sizes = [inputs[name] for name in ("width", "depth", "per_channel", "rank", "classes")]
    return {"kind": inputs["kind"], "count": candidate(*sizes)}


def _count(seen: Evidence, expected: Evidence) -> Finding:
    return compared(seen["count"], expected["count"], "the count")


@claim(2, "Which parts of a block are learned, and how large is each?", of_kind("plain"))
def counts_activations_and_readout(seen: Evidence, expected: Evidence) -> Finding:
    """Without adapters, the activations of all channels and blocks count, and the readout."""
    return _count(seen, expected)


@claim(2, "Which shapes have the two matrices of an adapter?", of_kind("adapters"))
def counts_adapters(seen: Evidence, expected: Evidence) -> Finding:
    """Each block's adapter counts with both of its thin matrices."""
    return _count(seen, expected)


@claim(1, "What is left of your sum if one of the sizes is 0 or 1?", of_kind("edges"))
def counts_at_the_edges(seen: Evidence, expected: Evidence) -> Finding:
    """The count is right without blocks, without anything to learn in them, and at full rank."""
    return _count(seen, expected)


def counted(
    width: int,
    depth: int,
    per_channel: int,
    rank: int,
    classes: int,
    mixing: Part = lambda width: 0,
    bends: Part = lambda width, per_channel: width * per_channel,
    adapter: Part = lambda width, rank: 2 * width * rank,
    blocks: Part = lambda depth, bends, adapter: depth * (bends + adapter),
    readout: Part = lambda width, classes: width * classes + classes,
) -> int:
    """The right answer in parts."""
    own = mixing(width) + bends(width, per_channel)
    return blocks(depth, own, adapter(width, rank)) + readout(width, classes)


believing = beliefs_about(counted)
BELIEFS = (
    believing(
        "A mixing matrix counts, fixed or not.",
        "A fixed transform has nothing to be trained. Most have no matrix in memory either.",
        "Which number of a Walsh-Hadamard transform could an optimizer change?",
        mixing=lambda width: width * width,
    ),
    believing(
        "A layer has one activation.",
        "A ReLU is one for all. The learned ones have numbers of their own in every channel.",
        "How many channels share the numbers of one learned activation?",
        bends=lambda width, per_channel: per_channel,
    ),
    believing(
        "An adapter has the size of the matrix that it changes.",
        "Its product has. What is stored and trained are the two thin factors.",
        "How many numbers do a (1024, 4) and a (4, 1024) matrix have, and how many their product?",
        adapter=lambda width, rank: width * width * (rank > 0),
    ),
    believing(
        "An adapter is one thin matrix.",
        "One matrix leads down to the rank, another one up again. Both are learned.",
        "Which shape has what the first of the two matrices puts out?",
        adapter=lambda width, rank: width * rank,
    ),
    believing(
        "An adapter of rank r has r times r numbers.",
        "The rank is the narrow side of both matrices. The other side is the width.",
        "What are the two shapes that the task gives?",
        adapter=lambda width, rank: rank * rank,
    ),
    believing(
        "All blocks share one adapter.",
        "Each block has one of its own, as it has activations of its own.",
        "By how much does your count grow with one more block?",
        blocks=lambda depth, bends, adapter: depth * bends + adapter,
    ),
    believing(
        "Blocks that look alike share their numbers.",
        "They are of the same size, and each has numbers of its own.",
        "By how much does your count grow with one more block?",
        blocks=lambda depth, bends, adapter: bends + adapter,
    ),
    believing(
        "The readout belongs to the task and not to the network.",
        "It is trained with the rest. With few learned numbers below it is often most of them.",
        "Which layer turns channels into classes, and is it fixed here?",
        readout=lambda width, classes: 0,
    ),
    believing(
        "A linear layer is its matrix.",
        "This one has a bias as well, one number for each class.",
        "How many numbers are added to the products of a linear layer?",
        readout=lambda width, classes: width * classes,
    ),
)

EXERCISE = Exercise(
    reference=count_trainables,
    challenge=challenge,
    observe=observe,
    hints=(
        "Count one block first. The mixing gives it 0, the activations give every channel the "
        "same count.",
        "A block has width * per_channel numbers in its activations and 2 * width * rank in its "
        "adapter. The readout has one more row than it has channels: its bias.",
    ),
    lesson="10_frozen_networks",
    section="A network of frozen mixing",
    frameworks=("torch",),
    minutes=5,
    difficulty=1,
    note="Put the lesson's sizes in: at a width of 1024, two blocks, three numbers a channel and "
    "ten classes, 10,250 of 16,394 numbers are the readout. Say which of the two you count when "
    "you say that a network is small.",
)
