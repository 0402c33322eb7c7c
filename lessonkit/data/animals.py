"""Silhouettes of animals: 10,000 images of 28 by 28 grey values, 1,000 of each of ten kinds.

They come from the package animal-shape-mnist 0.39 (MIT, copyright 2025 SinaSR-6, its licence beside
this file), which ships them as two pickles and asks for TensorFlow to load them. `animals.npz`
holds the same numbers. It is made again from the package's wheel, of which no line is run, by

    pip download --no-deps animal-shape-mnist==0.39
    python -m lessonkit.data.animals animal_shape_mnist-0.39-py3-none-any.whl
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import pickle
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

KINDS = ["bear", "bird", "cat", "cow", "dog", "elephant", "giraffe", "horse", "sheep", "zebra"]
"""What the labels stand for, as the package's page lists them."""

FILE = Path(__file__).with_name("animals.npz")
INSIDE = "animal_shape_mnist/data/Animal Shape/animal_{}_version_3.gz"
DIGEST = "e97143ae2d7aa6e320af430c9a5ca78fa9fda58b015e6937499e90f127bc95d1"
"""SHA-256 of the wheel."""

LAST = 200  # of each kind


class Animals(NamedTuple):
    """Images `(n, 28, 28)` of bytes, and labels `(n,)` from 0 to 9."""

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]


def animals() -> tuple[Animals, Animals]:
    """8,000 to train on, and 1,889 held out.

    The split is the same always: the last 200 of each kind, without the 111 among them that equal
    one of the 8,000 to the byte. Some that look alike may stand on both sides.
    """
    with np.load(FILE) as stored:
        images, labels = stored["images"], stored["labels"]
    ends = [np.flatnonzero(labels == kind)[-LAST:] for kind in range(len(KINDS))]
    last = np.isin(np.arange(len(labels)), np.concatenate(ends))
    seen = {image.tobytes() for image in images[~last]}
    held = np.array(
        [end and image.tobytes() not in seen for image, end in zip(images, last, strict=True)]
    )
    return Animals(images[~last], labels[~last]), Animals(images[held], labels[held])


def from_wheel(path: Path) -> Animals:
    """The data out of the wheel.

    Raises:
        ValueError: it is another file than the one that was looked at.
    """
    content = path.read_bytes()
    if (found := hashlib.sha256(content).hexdigest()) != DIGEST:
        raise ValueError(
            f"{path.name} is not the wheel that was looked at: its SHA-256 is {found}, not {DIGEST}"
        )
    with zipfile.ZipFile(io.BytesIO(content)) as wheel:
        images, labels = (
            _unpickled(gzip.decompress(wheel.read(INSIDE.format(what))))
            for what in ("data", "label")
        )
    return Animals(images.astype(np.uint8), labels.astype(np.uint8))


class _Arrays(pickle.Unpickler):
    """Reads arrays, and refuses to look up anything else that a pickle may name."""

    def find_class(self, module: str, name: str) -> Any:
        if name == "_reconstruct" and module.endswith("multiarray"):
            return _empty
        if module == "numpy" and name in ("ndarray", "dtype"):
            return getattr(np, name)
        raise pickle.UnpicklingError(f"{module}.{name} is no array")


def _empty(kind: type[NDArray[Any]], shape: tuple[int, ...], code: bytes) -> NDArray[Any]:
    """The array that a pickle begins with, and then fills: what numpy's `_reconstruct` makes."""
    return np.ndarray.__new__(kind, shape, code.decode())


def _unpickled(content: bytes) -> NDArray[Any]:
    array = _Arrays(io.BytesIO(content)).load()
    assert isinstance(array, np.ndarray)
    return array


def main() -> None:
    """Write `animals.npz` from a wheel."""
    reader = argparse.ArgumentParser(prog="python -m lessonkit.data.animals")
    reader.add_argument("wheel", type=Path)
    found = from_wheel(reader.parse_args().wheel)
    np.savez_compressed(FILE, **found._asdict())
    print(f"{FILE.name}: {found.images.shape}, {FILE.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
