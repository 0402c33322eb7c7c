"""Wrong answers to `active_latents` that come from none of its beliefs."""

import numpy as np


def _eigenvalues(data):
    centred = data - data.mean(0)
    return np.linalg.eigvalsh(centred.T @ centred / len(data))[::-1]


def _kl(values, noise_variance, latents):
    ratios = np.ones(latents)
    kept = values[:latents] / noise_variance
    ratios[: len(kept)] = kept
    return np.log(np.maximum(ratios, 1)) / 2


def count_them(data, noise_variance, latents):
    return min(latents, int((_eigenvalues(data) > noise_variance).sum()))


def return_active_ones_only(data, noise_variance, latents):
    kl = _kl(_eigenvalues(data), noise_variance, latents)
    return kl[kl > 0]


def return_truth_values(data, noise_variance, latents):
    return _kl(_eigenvalues(data), noise_variance, latents) > 0


def centre_samples(data, noise_variance, latents):
    centred = data - data.mean(1, keepdims=True)
    return _kl(np.linalg.eigvalsh(centred.T @ centred / len(data))[::-1], noise_variance, latents)


def centre_by_one_number(data, noise_variance, latents):
    centred = data - data.mean()
    return _kl(np.linalg.eigvalsh(centred.T @ centred / len(data))[::-1], noise_variance, latents)


def divide_by_features(data, noise_variance, latents):
    return _kl(_eigenvalues(data) * len(data) / data.shape[1], noise_variance, latents)


def mix_samples_and_features(data, noise_variance, latents):
    return _kl(_eigenvalues(data.T), noise_variance, latents)


def centre_in_place(data, noise_variance, latents):
    data -= data.mean(0)
    return _kl(_eigenvalues(data), noise_variance, latents)


def correlate(data, noise_variance, latents):
    values = np.linalg.eigvalsh(np.corrcoef(data, rowvar=False))[::-1]
    return _kl(values, noise_variance, latents)


def smallest_kl_first(data, noise_variance, latents):
    return _kl(_eigenvalues(data), noise_variance, latents)[::-1]


def leave_out_the_largest(data, noise_variance, latents):
    return _kl(_eigenvalues(data)[1:], noise_variance, latents)


def return_ratios(data, noise_variance, latents):
    ratios = np.zeros(latents)
    values = _eigenvalues(data)[:latents]
    ratios[: len(values)] = np.where(values > noise_variance, values / noise_variance, 0)
    return ratios


def add_a_little(data, noise_variance, latents):
    return _kl(_eigenvalues(data) + 1e-6, noise_variance + 1e-6, latents)


def one_for_each_eigenvalue(data, noise_variance, latents):
    values = _eigenvalues(data)
    return _kl(values, noise_variance, len(values))


def subtract_the_noise(data, noise_variance, latents):
    return _kl(_eigenvalues(data) - noise_variance, noise_variance, latents)


def take_the_difference(data, noise_variance, latents):
    values = _eigenvalues(data)[:latents]
    told = np.zeros(latents)
    told[: len(values)] = np.maximum(values - noise_variance, 0) / 2
    return told


def take_all_logarithms_first(data, noise_variance, latents):
    told = np.zeros(latents)
    with np.errstate(all="ignore"):
        logs = np.log(_eigenvalues(data)[:latents] / noise_variance) / 2
    told[: len(logs)] = np.maximum(logs, 0)
    return told
