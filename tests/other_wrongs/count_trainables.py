"""Wrong answers to `count_trainables` that come from none of its beliefs."""


def _count(width, depth, per_channel, rank, classes):
    return depth * (width * per_channel + 2 * width * rank) + (width + 1) * classes


def forget_the_activations(width, depth, per_channel, rank, classes):
    return _count(width, depth, 0, rank, classes)


def forget_the_adapters(width, depth, per_channel, rank, classes):
    return _count(width, depth, per_channel, 0, classes)


def count_one_block_less(width, depth, per_channel, rank, classes):
    return _count(width, depth - 1, per_channel, rank, classes)


def count_one_block_more(width, depth, per_channel, rank, classes):
    return _count(width, depth + 1, per_channel, rank, classes)


def give_adapters_a_bias(width, depth, per_channel, rank, classes):
    return _count(width, depth, per_channel, rank, classes) + depth * (rank + width) * (rank > 0)


def give_every_block_a_readout(width, depth, per_channel, rank, classes):
    return depth * _count(width, 1, per_channel, rank, classes)


def give_the_readout_a_bias_for_each_channel(width, depth, per_channel, rank, classes):
    return _count(width, depth, per_channel, rank, classes) - classes + width


def count_three_numbers_for_any_activation(width, depth, per_channel, rank, classes):
    return _count(width, depth, 3, rank, classes)


def give_the_adapter_a_middle_matrix(width, depth, per_channel, rank, classes):
    return _count(width, depth, per_channel, rank, classes) + depth * rank * rank


def return_the_share(width, depth, per_channel, rank, classes):
    total = _count(width, depth, per_channel, rank, classes)
    return total / (total + depth * width * width)


def return_words(width, depth, per_channel, rank, classes):
    return f"{_count(width, depth, per_channel, rank, classes)} numbers"


def add_where_a_product_is_due(width, depth, per_channel, rank, classes):
    return depth * (width + per_channel + 2 * width * rank) + (width + 1) * classes


def take_a_rank_of_the_width_for_none(width, depth, per_channel, rank, classes):
    return _count(width, depth, per_channel, rank % width, classes)
