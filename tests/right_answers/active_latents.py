"""Right answers to `active_latents`, each in a style of its own."""

import math

import jax.numpy as jnp
import numpy as np
import torch


def take_singular_values(data, noise_variance, latents):
    s = np.linalg.svd(data - data.mean(axis=0), compute_uv=False)
    ratios = np.zeros(latents)
    kept = (s**2 / data.shape[0] / noise_variance)[:latents]
    ratios[: kept.size] = kept
    return 0.5 * np.log(np.maximum(ratios, 1.0))


def use_cov(data, noise_variance, latents):
    eigenvalues = sorted(np.linalg.eigvalsh(np.cov(data, rowvar=False, ddof=0)), reverse=True)
    told = [math.log(v / noise_variance) / 2 for v in eigenvalues if v > noise_variance][:latents]
    return np.array(told + [0.0] * (latents - len(told)))


def use_the_gram_matrix(data, noise_variance, latents):
    rest = data - np.mean(data, 0, keepdims=True)
    values = np.linalg.eigvalsh(rest @ rest.T / len(rest))[::-1]
    padded = np.pad(values, (0, latents))[:latents]
    safe = np.where(padded > noise_variance, padded, noise_variance)
    return (np.log(safe) - np.log(noise_variance)) / 2


def let_torch_do_it(data, noise_variance, latents):
    x = torch.from_numpy(data)
    values = torch.linalg.eigvalsh(torch.cov(x.T, correction=0)).flip(0)[:latents]
    kl = (values / noise_variance).clamp(min=1).log() / 2
    return torch.cat([kl, kl.new_zeros(latents - len(kl))]).numpy()


def compute_in_single_precision(data, noise_variance, latents):
    scaled = jnp.asarray((data - data.mean(0)) / np.sqrt(noise_variance * len(data)))
    ratios = jnp.linalg.svd(scaled, compute_uv=False)[:latents] ** 2
    kl = jnp.log(jnp.maximum(ratios, 1)) / 2
    return jnp.pad(kl, (0, latents - len(kl)))
