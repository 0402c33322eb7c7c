"""The pretrained network, the animals it was trained on, and the tables of studies."""

import io
import pickle

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from lessonkit import studies
from lessonkit.bodies import ResNet, pretrained, provenance, train, weights
from lessonkit.data import animals as silhouettes


def test_the_animals_are_split_by_kind():
    train_set, held_out = silhouettes.animals()
    assert train_set.images.shape == (8000, 28, 28) and train_set.images.dtype == np.uint8
    assert np.bincount(train_set.labels).tolist() == [800] * 10
    assert np.bincount(held_out.labels).tolist() == [171, 118] + [200] * 8


def test_no_image_is_on_both_sides_of_the_split():
    train_set, held_out = silhouettes.animals()
    seen = {image.tobytes() for image in train_set.images}
    assert not [image for image in held_out.images if image.tobytes() in seen]


def test_another_wheel_is_refused(tmp_path):
    (tmp_path / "other.whl").write_bytes(b"something else")
    with pytest.raises(ValueError, match=r"other\.whl is not the wheel"):
        silhouettes.from_wheel(tmp_path / "other.whl")


@pytest.mark.parametrize("array", [np.arange(6).reshape(2, 3), np.zeros((2, 2), np.uint8)])
def test_arrays_are_unpickled(array):
    assert np.array_equal(silhouettes._unpickled(pickle.dumps(array, 4)), array)


def test_a_pickle_that_would_run_something_is_refused():
    class Hostile:
        def __reduce__(self):
            return print, ("run",)

    with pytest.raises(pickle.UnpicklingError, match="is no array"):
        silhouettes._Arrays(io.BytesIO(pickle.dumps(Hostile()))).load()


def test_the_network_does_as_well_as_its_file_says():
    said, (x, y) = provenance(), train.tensors(silhouettes.animals()[1])
    found = train.accuracy(pretrained(), x, y)
    assert found == pytest.approx(said["accuracy on what is held out"], abs=0.005)
    assert said["parameters"] == sum(p.numel() for p in pretrained().parameters()) == 308538


def test_stored_weights_are_read_as_they_were(tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "FILE", tmp_path / "some.npz")
    torch.manual_seed(0)
    model = ResNet().eval()
    weights.store(model, {"seed": 0}, weights.FILE)
    for name, tensor in pretrained().state_dict().items():
        assert torch.equal(tensor, model.state_dict()[name]), name
    assert provenance() == {"seed": 0}


def test_training_lowers_the_loss_and_repeats():
    x, y = train.tensors(silhouettes.animals()[0])
    rows = torch.arange(0, len(x), 16)
    first, second = (train.trained(x[rows], y[rows], epochs=2) for _ in range(2))
    assert F.cross_entropy(first.train()(x[rows]), y[rows]) < 2.1  # that of a guess is 2.3
    assert torch.equal(first.fc.weight, second.fc.weight)


def test_it_has_the_parameters_of_resnet18_at_that_size():
    with torch.device("meta"):
        model = ResNet(64, blocks=2, channels=3, stem=7, classes=1000)
    assert sum(p.numel() for p in model.parameters()) == 11_689_512


def test_a_study_that_was_not_run_says_how(tmp_path, monkeypatch):
    monkeypatch.setattr(studies, "FOLDER", tmp_path)
    with pytest.raises(FileNotFoundError, match=r"run python lessons/studies/09_depth\.py"):
        studies.kept("09_depth")


def test_a_table_is_kept_with_versions(tmp_path, monkeypatch):
    monkeypatch.setattr(studies, "FOLDER", tmp_path)
    studies.keep("some", {"seeds": [0]}, ["numpy"])
    assert studies.kept("some")["seeds"] == [0]
    assert studies.kept("some")["versions"]["numpy"] == np.__version__
