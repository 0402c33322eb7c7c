"""Which latents of a linear variational autoencoder stay active, and what each says (NumPy).

Source: Lucas and others 2019, "Don't Blame the ELBO!", arXiv:1911.02469; Tipping & Bishop 1999,
doi:10.1111/1467-9868.00196.
"""

import numpy as np

from grader.instruments.words import furthest
from grader.judging.evidence import alike
from grader.judging.exercise import Exercise, beliefs_about, claim, of_kind
from grader.judging.terms import Candidate, Challenge, Evidence, Finding, Inputs, Part


def active_latents(data, noise_variance, latents):
    """Say what each latent of a linear variational autoencoder tells at the optimum.

    The data have the covariance S: centred, divided by the number of samples. Each eigenvalue of S
    above the noise variance keeps one latent active, the largest ones first, as long as there are
    latents. Its KL is half the natural logarithm of eigenvalue over noise variance. All other
    latents fall silent, with a KL of 0.

    Args:
        data: NumPy array of floats, shape (samples, features), not centred. There may be fewer
            samples than features. It must come through unharmed.
        noise_variance: the variance that the decoder assumes, a positive float.
        latents: number of latents, at least 1. It may be larger than the number of features.

    Returns:
        NumPy array of floats, shape (latents,): the KL of each latent, the largest first.

    Example:
        >>> data = np.array([[3.0, 1.0], [-1.0, 1.0], [3.0, -1.0], [-1.0, -1.0]])
        >>> active_latents(data, 1.5, 3).round(3)
        array([0.49, 0.  , 0.  ])
    """
    centred = data - data.mean(0)
    eigenvalues = np.linalg.eigvalsh(centred.T @ centred / len(data))
    largest = eigenvalues[::-1][:latents]
    kl = np.zeros(latents)
    active = largest > noise_variance
    kl[: len(largest)][active] = np.log(largest[active] / noise_variance) / 2
    return kl


def challenge(rng: np.random.Generator) -> Challenge:
    def case(
        kind: str, samples: int, features: int, latents: int, above: int, size: float = 1.0
    ) -> Inputs:
        """Of the eigenvalues `above` lie above the noise variance, and the next ones just below.

        They are drawn; the noise variance lies between two of them.
        """
        count = min(features, samples - 1)
        eigenvalues = np.sort(rng.uniform(1.3, 9.0, count) * size)[::-1]
        eigenvalues[above:] *= 0.1
        noise = 1.1 * size
        left = np.linalg.qr(rng.normal(size=(samples, count + 1)) + _ones_first(count + 1))[0]
        right = np.linalg.qr(rng.normal(size=(features, count)))[0]
        data = left[:, 1:] * np.sqrt(samples * eigenvalues) @ right.T
        mean = rng.normal(size=features) * np.sqrt(3 * size)
        return {"data": data + mean, "noise": noise, "latents": latents, "kind": kind}

    features = int(rng.integers(6, 9))
    samples, above = int(rng.integers(13, 20)), int(rng.integers(2, 5))
    return {
        "as many latents as features": case("plain", samples, features, features, above),
        "more active than silent": case("plain", samples, features, features - 1, features - 2),
        "many samples": case("plain", 50 * samples, features, features, above),
        "fewer latents than large eigenvalues": case("few", samples, features, 2, above + 2),
        "one latent": case("few", samples, features, 1, above),
        "more latents than features": case("many", samples, features, features + 3, above),
        "more latents, all eigenvalues large": case("many", samples, 4, 7, 4),
        "fewer samples than features": case("wide", 6, features + 5, features + 5, 3),
        "all latents fall silent": case("silent", samples, features, above + 1, 0),
        "grey levels in hundreds of thousands": case(
            "plain", samples, features, features, above, 1e11
        ),
        "numbers near 1e-10": case("tiny", samples, features, features, above, 1e-20),
    }


def _ones_first(columns: int) -> np.ndarray:
    """What makes the first direction the mean, so that the others are centred."""
    return np.array([1e9, *[0.0] * (columns - 1)])


def observe(candidate: Candidate, inputs: Inputs) -> Evidence:
    data = inputs["data"].copy()
    returned = candidate(data, inputs["noise"], inputs["latents"])
    return {
        "kind": inputs["kind"],
        "kl": returned,
        "stays": bool(np.array_equal(data, inputs["data"])),
    }


def _told(seen: Evidence, expected: Evidence) -> Finding:
    ours, right = seen["kl"], expected["kl"]
    active = [int((np.abs(kl) > 1e-9).sum()) for kl in (ours, right)]
    (latent,), shown, due = furthest(ours, right)
    words = f"the KL of latent {latent} is {shown}, right is {due}"
    return alike(ours, right), f"{words}; you have {active[0]} active, right are {active[1]}"


@claim(3, "Which numbers do you compare with the noise variance?", of_kind("plain"))
def eigenvalues_decide(seen: Evidence, expected: Evidence) -> Finding:
    """Active are the latents of the eigenvalues above the noise variance, each with its KL."""
    return _told(seen, expected)


@claim(2, "How many latents are there, and how many eigenvalues?", of_kind("few", "many"))
def there_are_so_many_latents(seen: Evidence, expected: Evidence) -> Finding:
    """A KL is there for each latent, whether there are fewer eigenvalues than latents or more."""
    return _told(seen, expected)


@claim(2, "Along how many directions can six samples vary?", of_kind("wide"))
def few_samples_will_do(seen: Evidence, expected: Evidence) -> Finding:
    """The KL is right, and no NaN, where there are fewer samples than features."""
    return _told(seen, expected)


@claim(
    1,
    "Below which number do you take an eigenvalue for zero?",
    of_kind("tiny"),
    needs=eigenvalues_decide,
)
def only_the_ratio_counts(seen: Evidence, expected: Evidence) -> Finding:
    """Data and noise may be tiny: the ratio of eigenvalue and noise variance decides."""
    return _told(seen, expected)


@claim(1, "What is the smallest KL that there can be?", of_kind("silent"), needs=eigenvalues_decide)
def silent_is_zero(seen: Evidence, expected: Evidence) -> Finding:
    """Where the noise is larger than all eigenvalues, each KL is 0, and none is negative."""
    return _told(seen, expected)


@claim(1, "Which line of yours writes into the data?", needs=eigenvalues_decide)
def data_stay(seen: Evidence, expected: Evidence) -> Finding:
    """The data are left as they were."""
    return seen["stays"], "the data are as they were" if seen["stays"] else "the data have changed"


def analysed(
    data: np.ndarray,
    noise_variance: float,
    latents: int,
    centre: Part = lambda data: data - data.mean(0),
    divisor: Part = len,
    spectrum: Part = np.linalg.eigvalsh,
    noise: Part = lambda noise: noise,
    order: Part = lambda eigenvalues: np.sort(eigenvalues)[::-1],
    ratio: Part = lambda eigenvalue, noise: eigenvalue / noise,
    threshold: Part = lambda ratios: ratios > 1,
    kl: Part = lambda ratio: np.log(ratio) / 2,
) -> np.ndarray:
    """The right answer in parts."""
    centred = centre(data)
    eigenvalues = spectrum(centred.T @ centred / divisor(data))
    ratios = ratio(order(eigenvalues)[:latents], noise(noise_variance))
    told = np.zeros(latents)
    active = np.flatnonzero(threshold(ratios))
    told[active] = kl(ratios[active])
    return told


believing = beliefs_about(analysed)
BELIEFS = (
    believing(
        "A covariance needs no mean.",
        "The mean of the data is one large direction then, and a latent would tell what is the "
        "same for all samples.",
        "What is the covariance of samples that are all equal?",
        centre=lambda data: data,
    ),
    believing(
        "A covariance is divided by the number of samples minus 1.",
        "That is the unbiased estimate, and np.cov's default. The loss is a mean over samples.",
        "By what does the loss divide its sum over the samples?",
        divisor=lambda data: len(data) - 1,
    ),
    believing(
        "A sum over the samples is a covariance.",
        "It grows with the number of samples, and with enough of them every latent is active.",
        "What happens to your numbers if each sample is there twice?",
        divisor=lambda data: 1,
    ),
    believing(
        "The variance of each feature decides.",
        "Latents lie along directions of the data, and those are mixtures of features. Many "
        "features that vary little together can make one large eigenvalue.",
        "What are the eigenvalues of [[1, 1], [1, 1]]?",
        spectrum=np.diag,
    ),
    believing(
        "Singular values and eigenvalues of the covariance are the same.",
        "An eigenvalue of it is the square of a singular value of the data, over the number of "
        "samples: a variance and not a deviation.",
        "In which unit do you compare: that of the data, or its square?",
        spectrum=lambda covariance: np.sqrt(np.linalg.eigvalsh(covariance).clip(0)),
    ),
    believing(
        "The noise is given as a deviation.",
        "It is given as a variance already, and is compared with a variance.",
        "What does the task say that noise_variance is?",
        noise=np.square,
    ),
    believing(
        "eigvalsh gives the largest eigenvalue first.",
        "It gives the smallest first. With fewer latents than eigenvalues you kept the smallest.",
        "What does np.linalg.eigvalsh(np.diag([1.0, 3.0, 2.0])) return?",
        order=lambda eigenvalues: eigenvalues,
    ),
    believing(
        "Every direction in which the data vary keeps a latent active.",
        "Below the noise variance it is cheaper to say nothing. The logarithm is negative there, "
        "and no KL is.",
        "What is the sign of the logarithm of a number below 1?",
        threshold=lambda ratios: ratios > 1e-6,  # less is rounding
    ),
    believing(
        "The KL is that of a signal-to-noise ratio, ln(1 + ratio) / 2.",
        "That would be so if the noise came on top. The eigenvalue is a variance of the data, "
        "noise included.",
        "What KL does your formula give to an eigenvalue that equals the noise variance?",
        kl=lambda ratio: np.log1p(ratio) / 2,
    ),
    believing(
        "A KL is the logarithm of a ratio of variances.",
        "Half of it: the logarithm of a ratio of deviations.",
        "What does the task say stands before the logarithm?",
        kl=np.log,
    ),
    believing(
        "Information is counted in bits.",
        "This one is in nats: the natural logarithm.",
        "What is the natural logarithm of 2, and what is it to the base 2?",
        kl=lambda ratio: np.log2(ratio) / 2,
    ),
)

EXERCISE = Exercise(
    reference=active_latents,
    challenge=challenge,
    observe=observe,
    hints=(
        "Build S first, shape (features, features). What do you take off the data before, and by "
        "what do you divide after?",
        "np.linalg.eigvalsh(S) gives the eigenvalues of a symmetric matrix, the smallest first. "
        "How many of them do you need?",
        "Begin with np.zeros(latents), and write into it where an eigenvalue is above the noise "
        "variance. Take the logarithm only there.",
    ),
    lesson="07_lock_cascades",
    section="A lock made by the loss",
    frameworks=("torch", "jax"),
    minutes=15,
    difficulty=3,
    note="The number of active latents was in the data before any training. A reconstruction loss "
    "that is averaged over features in place of summed has a noise variance that many times "
    "larger, and silences them.",
)
