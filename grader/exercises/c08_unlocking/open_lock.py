"""Find the lock of a network, turn its key, and train within a budget of updates (torch).

The first block of each network tells eight kinds of input apart, from directions that cannot be
learned anew from a few dozen samples. So a network that is opened learns the new labels, and one
that is drawn anew as a whole does not.
"""

from copy import deepcopy
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.optimizer import register_optimizer_step_post_hook

from grader.instruments.snapshots import changed, snapshot
from grader.instruments.words import listed
from grader.judging.exercise import Exercise, beliefs_about, claim, of_kind
from grader.judging.terms import Candidate, Challenge, Evidence, Finding, Inputs, Part


def open_lock(model, x, y, steps):
    """Find out what locks a network, open it, and train the network on new labels.

    Before the lock the blocks of the network were sound, and the first holds what these few samples
    cannot teach. Some parameters may be frozen. One block may be locked: its units are dead or
    flat, so that it gives the same for every input, or it holds NaN. Or nothing is amiss. What is
    locked may be drawn anew; sound blocks are to be kept, and trained on from where they are.

    Args:
        model: ``nn.Sequential`` of blocks and a last ``nn.Linear``. Each block is an
            ``nn.Sequential`` of an ``nn.Linear`` and its activation, ``nn.ReLU`` or ``nn.Tanh``.
        x: inputs, shape (N, D).
        y: labels, shape (N,), whole numbers.
        steps: how many updates may be made in all, calls of an optimizer's ``step()``. About half
            of them are enough for Adam at a rate of 0.02.

    Returns:
        None. The model is changed in place. On other samples of the same kind it is right in at
        least 90 of 100; a guess is right in 50.

    Example:
        >>> sound = nn.Sequential(nn.Sequential(nn.Linear(1, 4), nn.Tanh()), nn.Linear(4, 2))
        >>> frozen = sound.requires_grad_(False)
        >>> x, y = torch.tensor([[-2.0], [2.0]]), torch.tensor([0, 1])
        >>> open_lock(frozen, x, y, 100)
        >>> frozen(x).argmax(1).tolist()
        [0, 1]
    """
    model.requires_grad_(True)
    with torch.no_grad():
        given = x
        for block in model[:-1]:
            made = block(given)
            if not made.isfinite().all() or (made == made[0]).all():
                block[0].reset_parameters()
            given = block(given)
    adam = torch.optim.Adam(model.parameters(), 0.02)
    for _ in range(steps):
        adam.zero_grad()
        F.cross_entropy(model(x), y).backward()
        adam.step()


ENOUGH = 0.9
SIGNS = np.array(np.meshgrid([-1, 1], [-1, 1], [-1, 1])).reshape(3, 8).T.astype(float)
"""The eight kinds of input: a sign for each of three directions. A label is their product."""


def challenge(rng: np.random.Generator) -> Challenge:
    def case(kind: str, lock: str, place: int, activation: str, frozen: bool = False) -> Inputs:
        """`place` is the block that is locked."""
        size = int(rng.integers(20, 28))
        directions = np.linalg.qr(rng.normal(size=(size, size)))[0]
        x, signs = _samples(rng, directions, 5)
        other, other_signs = _samples(rng, directions, int(rng.integers(25, 50)))
        return {
            "kind": kind, "lock": lock, "place": place, "activation": activation, "frozen": frozen,
            "x": x, "y": (signs.prod(1) > 0).astype(int),
            "other": other[: -int(rng.integers(1, 60))], "signs": other_signs,
            "directions": directions[:3], "seed": int(rng.integers(1000)),
            "steps": int(rng.integers(70, 90)),
        }  # fmt: skip

    return {
        "nothing is locked": case("sound", "none", 0, "ReLU"),
        "frozen": case("frozen", "none", 0, "Tanh", frozen=True),
        "a dead block": case("constant", "dead", 1, "ReLU"),
        "a flat block": case("constant", "flat", 1, "Tanh"),
        "a block of zeros": case("constant", "zeroed", 2, "ReLU"),
        "a block with NaN": case("broken", "nan", 2, "ReLU"),
        "frozen, with a dead block": case("both", "dead", 2, "ReLU", frozen=True),
    }


def _samples(rng: np.random.Generator, directions: np.ndarray, each: int) -> list[np.ndarray]:
    """So many samples of each kind, with noise in all other directions; and their signs."""
    signs = rng.permutation(np.repeat(SIGNS, each, axis=0))
    noise = rng.normal(scale=0.5, size=(len(signs), len(directions) - 3))
    return [(np.hstack([signs, noise]) @ directions).astype(np.float32), signs]


def observe(candidate: Candidate, inputs: Inputs) -> Evidence:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(inputs["seed"])
        model = _locked(inputs)
        x, y = torch.from_numpy(inputs["x"]), torch.from_numpy(inputs["y"])
        before, given, updates = _weights(model), snapshot(model), [0]
        counting = register_optimizer_step_post_hook(lambda *step: updates.append(1))
        try:
            candidate(model, x, y, inputs["steps"])
        finally:
            counting.remove()
    spoilt = inputs["place"] if inputs["lock"] != "none" else None
    sound = {number: old for number, old in before.items() if number != spoilt}
    with torch.no_grad():
        guessed = model(torch.from_numpy(inputs["other"])).argmax(1).numpy()
    right = (guessed == (inputs["signs"][: len(guessed)].prod(1) > 0)).mean()
    return {
        "kind": inputs["kind"],
        "samples": len(guessed),
        "is right": bool(right >= ENOUGH),
        "is changed": bool(changed(given, model)),
        "has updates": bool(sum(updates)),
        "steps": inputs["steps"],
        "updates beyond": min(max(sum(updates) - inputs["steps"], 0), 2),  # 2: and all above
        "redrawn": [f"block {k}" for k, old in sound.items() if not _goes_on(model, k, old)],
    }


@torch.no_grad()
def _locked(inputs: Inputs) -> nn.Sequential:
    """The network: what each block was, and then the lock."""
    activation, width = getattr(nn, inputs["activation"]), 16
    size = inputs["x"].shape[1]
    layers = [nn.Linear(size, width), nn.Linear(width, width), nn.Linear(width, width)]
    gain, bias = (2.0, -4.0) if activation is nn.ReLU else (1.0, 0.0)  # no more: tanh goes flat
    layers[0].weight.copy_(torch.from_numpy(gain * np.tile(SIGNS @ inputs["directions"], (2, 1))))
    layers[0].bias.fill_(bias)
    for layer in layers[1:]:
        layer.weight.copy_(torch.eye(width) + 0.05 * torch.randn(width, width))
        layer.bias.zero_()
    model = nn.Sequential(*(nn.Sequential(layer, activation()) for layer in layers))
    model.append(nn.Linear(width, 2))
    _lock(layers[inputs["place"]], inputs["lock"])
    return model.requires_grad_(not inputs["frozen"])


def _lock(layer: nn.Linear, lock: str) -> None:
    if lock in ("dead", "flat"):
        layer.bias.copy_((100 + torch.rand(len(layer.bias))) * (1 if lock == "flat" else -1))
    if lock == "zeroed":
        layer.weight.zero_()
        layer.bias.zero_()
    if lock == "nan":
        layer.weight[0] = torch.nan


def _weights(model: Any) -> dict[int, Tensor]:
    """The weight of each block by its number."""
    firsts = (next(block.parameters(), torch.zeros(1)) for block in model[:-1])
    return {number: weight.detach().flatten().clone() for number, weight in enumerate(firsts)}


def _goes_on(model: Any, number: int, old: Tensor) -> bool:
    """Whether a block's weights still point where they did: new ones are at right angles."""
    new = _weights(model).get(number, torch.zeros(1))
    return new.shape == old.shape and not F.cosine_similarity(new, old, dim=0) < 0.2  # NaN goes on


def _is_right(seen: Evidence, expected: Evidence) -> Finding:
    words = f"{'at least' if seen['is right'] else 'fewer than'} 90 % of {seen['samples']} others"
    return seen["is right"] and seen["samples"] == expected["samples"], f"{words} are right"


@claim(3, "What does each block give for different inputs?", of_kind("constant"))
def opens_constant_blocks(seen: Evidence, expected: Evidence) -> Finding:
    """A block that is dead, flat or zero is opened: at least 90 of 100 other samples are right."""
    return _is_right(seen, expected)


@claim(1, "What is in the weights of the block?", of_kind("broken"))
def opens_a_broken_block(seen: Evidence, expected: Evidence) -> Finding:
    """A block that holds NaN is opened."""
    return _is_right(seen, expected)


@claim(2, "What do you ask each parameter before you train?", of_kind("frozen", "both"))
def opens_what_is_frozen(seen: Evidence, expected: Evidence) -> Finding:
    """A frozen network is opened, also where a block is dead as well."""
    return _is_right(seen, expected)


@claim(1, "What becomes of a network without a lock?", of_kind("sound"), opens_constant_blocks)
def trains_where_nothing_is_locked(seen: Evidence, expected: Evidence) -> Finding:
    """A network without a lock is trained."""
    return _is_right(seen, expected)


@claim(2, "Which blocks do you draw anew, and were they locked?", needs=opens_constant_blocks)
def keeps_sound_blocks(seen: Evidence, expected: Evidence) -> Finding:
    """Blocks that are sound go on from the weights that they had."""
    return not seen["redrawn"], f"sound, and drawn anew: {listed(seen['redrawn'])}"


@claim(1, "How many updates do you make in all?", needs=opens_constant_blocks)
def stays_within_the_budget(seen: Evidence, expected: Evidence) -> Finding:
    """No more updates are made than were allowed."""
    within = not seen["updates beyond"]
    return within, f"{'no ' * within}more than {seen['steps']} updates were made"


@torch.no_grad()
def _one_by_one(model: Any, x: Tensor, locked: Part, redraw: Part) -> None:
    for block in model[:-1]:
        if locked(block(x)):
            redraw(block[0])
        x = block(x)


@torch.no_grad()
def _all_at_once(model: Any, x: Tensor, locked: Part, redraw: Part) -> None:
    for block in [model[k] for k in range(len(model) - 1) if locked(model[: k + 1](x))]:
        redraw(block[0])


def opened(
    model: Any,
    x: Tensor,
    y: Tensor,
    steps: int,
    taken: Part = lambda model: model,
    thaw: Part = lambda model: model.requires_grad_(True),
    search: Part = _one_by_one,
    locked: Part = lambda made: not made.isfinite().all() or (made == made[0]).all(),
    redraw: Part = lambda layer: layer.reset_parameters(),
    budget: Part = lambda steps: steps,
) -> None:
    """The right answer in parts."""
    model = taken(model)
    thaw(model)
    search(model, x, locked, redraw)
    adam = torch.optim.Adam(model.parameters(), 0.02)
    for _ in range(budget(steps)):
        adam.zero_grad()
        F.cross_entropy(model(x), y).backward()
        adam.step()


believing = beliefs_about(opened)
BELIEFS = (
    believing(
        "Training opens a lock, if one is patient.",
        "A gradient of zero stays zero, and a frozen parameter gets none.",
        "Which parameters have moved after your first update?",
        thaw=lambda model: None,
        locked=lambda made: False,
    ),
    believing(
        "What does not learn is frozen.",
        "A flag is one lock of several. A dead block is trainable, and its gradient is zero.",
        "What is the gradient of each block after one backward pass?",
        locked=lambda made: False,
    ),
    believing(
        "Fresh weights open every lock.",
        "They do, and throw away what the network knew. These few samples cannot teach it again.",
        "Which of the blocks were locked, and which did you draw anew?",
        locked=lambda made: True,
    ),
    believing(
        "A locked block gives zeros.",
        "A dead ReLU does. A flat tanh gives 1 or -1, whatever it is given, and learns as little.",
        "What does a tanh give for 100, and what is its slope there?",
        locked=lambda made: not made.isfinite().all() or not made.any(),
    ),
    believing(
        "Every block that gives the same for all inputs is locked.",
        "Behind a locked block all others give the same too: they are given the same. They were "
        "sound, and you drew them anew.",
        "What does the next block give once the locked one is open?",
        search=_all_at_once,
    ),
    believing(
        "Locks are gradients of zero.",
        "A NaN is a lock as well: all that is computed from it is NaN, the loss too.",
        "What is the loss of this network before you train?",
        locked=lambda made: (made == made[0]).all(),
    ),
    believing(
        "A network with fresh weights in it learns.",
        "Not if it is frozen. There is no gradient then.",
        "What is requires_grad of each parameter?",
        thaw=lambda model: None,
    ),
    believing(
        "More updates do no harm.",
        "They may not. But the budget is what a key is judged by here.",
        "How many calls of step() does your function make?",
        budget=lambda steps: 2 * steps,
    ),
    believing(
        "Whoever called takes what comes back.",
        "Nothing changed in the model that you were given.",
        "Which of your lines changes the model that was passed in?",
        taken=deepcopy,
    ),
)

EXERCISE = Exercise(
    reference=open_lock,
    challenge=challenge,
    observe=observe,
    hints=(
        "Send x through the blocks one after the other, under torch.no_grad(). What does a locked "
        "block give, and what does one give that holds NaN?",
        "Open the first locked block before you look at the next: given the same for all inputs, a "
        "sound block gives the same too. block[0].reset_parameters() draws a layer anew.",
        "model.requires_grad_(True) unfreezes everything. Do it before you make the optimizer, and "
        "then train all of the model with Adam at 0.02.",
    ),
    lesson="08_unlocking",
    section="Reading a certificate, choosing a key",
    frameworks=("torch",),
    minutes=20,
    difficulty=4,
    note="paramlock.certificate finds these locks and more, and paramlock.remedies names their "
    "keys. Here the budget was generous. What decided was which block to draw anew, and which not.",
)
