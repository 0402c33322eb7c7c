"""What the exercises on transfer observe with sees what it should."""

import numpy as np
import torch
from torch import nn

from grader.instruments.frozen_bodies import Batches, Setting, setting_case
from grader.instruments.opened_epochs import observed_epochs
from grader.instruments.part_modes import next_step, part_case
from grader.instruments.torch_cases import case

DENSE = {"body.one": ["Linear", 3, 4], "body.two": ["Linear", 4, 2]}


def rng():
    return np.random.default_rng(0)


def test_one_batch_is_another_from_the_second_pass_on():
    pairs = [(torch.zeros(2), torch.tensor(k)) for k in range(3)]
    batches = Batches(pairs, moving=1)
    first, second = list(batches), list(batches)
    same = [x.equal(z) for (x, _), (z, _) in zip(first, second, strict=True)]
    assert same == [True, False, True] and len(batches) == 3
    assert all(x.equal(z) for (x, _), (z, _) in zip(first, pairs, strict=True))


def test_a_setting_counts_samples_and_sees_what_changed():
    made = Setting(setting_case(rng(), DENSE, [2, 3], free=["body.two.bias"], awake=["body.one"]))
    assert [n for n, p in made.body.named_parameters() if p.requires_grad] == ["body.two.bias"]
    assert [n for n, m in made.body.named_modules() if m.training] == ["body.one"]
    for x, _ in made.batches:
        made.body(x)
    assert made.rows == 5 and made.changed() == []
    made.body.train()
    made.pairs[0][0].zero_()
    assert {"mode of body.two", "x of batch 1"} <= set(made.changed())


def test_a_step_tells_a_part_in_train_mode_from_one_in_eval_mode():
    given = part_case(rng(), "body", "block", "head", path="body", calls=[".train"], drop=True)
    awake = next_step(lambda model, path: None, given)
    still = next_step(_never_switched, given)
    assert not awake["output"].any() and still["output"].any()
    assert awake["statistics"]["body.norm.running_mean"].any()
    moved = [
        name
        for name, array in awake["statistics"].items()
        if (array != still["statistics"][name]).any()
    ]
    assert "body.norm.running_mean" in moved and awake["modes"] == still["modes"]


def _never_switched(model, path):
    for module in model.get_submodule(path).modules():
        module.training = False
        module.train = lambda mode=True: None


def test_epochs_tell_what_is_open_and_at_which_rate():
    given = {"held": ["body.two"], "free": [], "epochs": [0, 1], "rates": [0.1, 0.2]}
    given |= {"optimizer": "SGD", "settings": {"momentum": 0.9}}

    def begin(model, optimizer, epoch, rate):
        if epoch:
            nn.Module.requires_grad_(model.body.one, True)
            optimizer.add_param_group({"params": [model.body.one.weight], "lr": rate})

    seen = observed_epochs(case(rng(), DENSE, **given), begin)
    states = [seen["epochs"][f"epoch {epoch}"] for epoch in (0, 1)]
    assert [state["body.one.weight"][0] for state in states] == [False, True]
    assert [state["body.one.weight"][2] for state in states] == [0.0, 0.2]
    assert states[1]["body.one.bias"] == [True, 0, 0.0, 0.0]
    assert states[1]["body.two.bias"][1] == 1 and seen["changed"] == []
