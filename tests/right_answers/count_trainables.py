"""Right answers to `count_trainables`, each in a style of its own."""

import math


def sum_over_shapes(width, depth, per_channel, rank, classes):
    block = [(width, per_channel), (width, rank), (rank, width)]
    shapes = block * depth + [(width, classes), (classes,)]
    return sum(math.prod(shape) for shape in shapes)


def add_block_after_block(width, depth, per_channel, rank, classes):
    total = classes * width
    total += classes
    for _ in range(depth):
        total += per_channel * width
        total += rank * width
        total += width * rank
    return total


def in_one_formula(width, depth, per_channel, rank, classes):
    return width * (depth * (per_channel + 2 * rank) + classes) + classes
