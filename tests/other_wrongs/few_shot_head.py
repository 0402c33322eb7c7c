"""Wrong answers to `few_shot_head` that come from none of its beliefs."""

import numpy as np


def _fit(features, labels, classes, decay):
    targets = np.eye(classes)[labels]
    x, y = features - features.mean(0), targets - targets.mean(0)
    weight = np.linalg.solve(x.T @ x + decay * np.eye(x.shape[1]), x.T @ y).T
    return weight, targets.mean(0) - weight @ features.mean(0)


def turn_the_weight_round(features, labels, classes, decay):
    weight, bias = _fit(features, labels, classes, decay)
    return weight.T, bias


def return_the_bias_first(features, labels, classes, decay):
    return _fit(features, labels, classes, decay)[::-1]


def return_one_array(features, labels, classes, decay):
    weight, bias = _fit(features, labels, classes, decay)
    return np.concatenate([weight, bias[:, None]], axis=1)


def return_the_weight_alone(features, labels, classes, decay):
    return _fit(features, labels, classes, decay)[0]


def put_the_bias_at_zero(features, labels, classes, decay):
    """The weights are those of centred features."""
    weight, bias = _fit(features, labels, classes, decay)
    return weight, np.zeros_like(bias)


def take_the_square_of_decay(features, labels, classes, decay):
    return _fit(features, labels, classes, decay**2)


def take_half_of_decay(features, labels, classes, decay):
    return _fit(features, labels, classes, decay / 2)


def take_a_penalty_of_one(features, labels, classes, decay):
    return _fit(features, labels, classes, 1.0)


def centre_the_features_only_once_too_often(features, labels, classes, decay):
    weight, bias = _fit(features, labels, classes, decay)
    return weight, bias + weight @ features.mean(0) * 2


def take_the_class_means(features, labels, classes, decay):
    found = [features[labels == k] for k in range(classes)]
    weight = np.array([f.mean(0) if len(f) else np.zeros(features.shape[1]) for f in found])
    return weight, -(weight**2).sum(1) / 2


def divide_by_one_less(features, labels, classes, decay):
    return _fit(features, labels, classes, decay * max(1, len(features) - 1))


def shrink_after_the_fit(features, labels, classes, decay):
    weight, _ = _fit(features, labels, classes, 1e-9)
    weight = weight / (1 + decay)
    return weight, np.eye(classes)[labels].mean(0) - weight @ features.mean(0)


def add_decay_to_every_entry(features, labels, classes, decay):
    targets = np.eye(classes)[labels]
    x, y = features - features.mean(0), targets - targets.mean(0)
    weight = np.linalg.lstsq(x.T @ x + decay, x.T @ y, rcond=None)[0].T
    return weight, targets.mean(0) - weight @ features.mean(0)


def count_the_classes_by_the_highest_label(features, labels, classes, decay):
    return _fit(features, labels, int(labels.max()) + 1, decay)


def regress_on_the_number_of_the_class(features, labels, classes, decay):
    x, y = features - features.mean(0), labels - labels.mean()
    row = np.linalg.solve(x.T @ x + decay * np.eye(x.shape[1]), x.T @ y)
    weight = np.outer(np.arange(classes), row)
    return weight, labels.mean() - weight @ features.mean(0)


def centre_in_place(features, labels, classes, decay):
    centre = features.mean(0)
    weight, _ = _fit(features, labels, classes, decay)
    features -= centre
    return weight, np.eye(classes)[labels].mean(0) - weight @ centre


def centre_over_the_features(features, labels, classes, decay):
    """The mean is taken along the other axis."""
    targets = np.eye(classes)[labels]
    x, y = features - features.mean(1, keepdims=True), targets - targets.mean(0)
    weight = np.linalg.solve(x.T @ x + decay * np.eye(x.shape[1]), x.T @ y).T
    return weight, targets.mean(0) - weight @ features.mean(0)
