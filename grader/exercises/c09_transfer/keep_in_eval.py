"""A part of a torch model that computes as at inference, whatever train() is called."""

from collections.abc import Sequence
from types import MethodType
from typing import Any

from numpy.random import Generator
from torch import nn

from grader.instruments.moves import drift, end_alike, moved, told
from grader.instruments.part_modes import next_step, part_case
from grader.instruments.refusals import refusal, refused
from grader.instruments.torch_cases import built
from grader.instruments.torch_nets import BODIES, HEADS
from grader.instruments.words import listed
from grader.judging.evidence import alike, number, numbers
from grader.judging.exercise import Exercise, belief, beliefs_about, claim, of_kind
from grader.judging.terms import Candidate, Challenge, Evidence, Finding, Inputs, Part


def keep_in_eval(model, path):
    """Let a part of a model compute as at inference from now on, whatever is called.

    Dropout in the part drops nothing, and a BatchNorm in it uses its running statistics and leaves
    them as they are: at once, and after any ``train()`` or ``eval()`` of the model, of the part or
    of a module inside. All other modules obey these calls as ever. Gradients go on flowing through
    the part and into its parameters. Modules and parameters stay the same objects, with the same
    numbers and the same ``requires_grad``.

    Args:
        model: a ``torch.nn.Module``, in train or in eval mode. What ``copy.deepcopy`` makes of it
            afterwards behaves like it.
        path: path of the part, as ``model.named_modules()`` spells it.

    Raises:
        ValueError: there is no module at that path.

    Example:
        >>> model = nn.Sequential(nn.Linear(1, 1), nn.Dropout(1.0))
        >>> keep_in_eval(model, "1")
        >>> x = torch.ones(1, 1)
        >>> torch.equal(model.train()(x), model.eval()(x))
        True
    """
    part = dict(model.named_modules()).get(path)
    if part is None:
        raise ValueError(f"there is no module at {path!r}")
    for module in part.modules():
        module.training = False
        module.train = MethodType(lambda self, mode=True: self, module)


def challenge(rng: Generator) -> Challenge:
    body, inner, head = (str(rng.choice(n)) for n in (BODIES, ("inner", "block", "deep"), HEADS))
    block = f"{body}.{inner}"

    def of(kind: str, *calls: str, **own: Any) -> Inputs:
        given = {"kind": kind, "path": body, "calls": list(calls)}
        return part_case(rng, body, inner, head, **(given | own))

    return {
        "model.train()": of("train", ".train"),
        "model.train(), with dropout in the part": of("train", ".train", drop=True),
        "an epoch, an evaluation, an epoch": of("train", ".train", ".eval", ".train"),
        "model.train(), of a model in eval mode": of("train", ".train", in_eval_mode=[""]),
        "model.train(), for a part within a part": of("train", ".train", path=block, drop=True),
        "no call, in train mode": of("at once", drop=True),
        "model.eval()": of("at once", ".eval"),
        "part.train()": of("side", ".eval", f"{body}.train"),
        "part.train() after model.train()": of("side", ".train", f"{body}.train", drop=True),
        "train() of modules inside": of("side", f"{block}.train", f"{body}.norm.train"),
        "a deep copy, model.train()": of("copy", ".train", drop=True, copied=True),
        "a path that leads nowhere": of("refused", path=f"{body}.{head}"),
    }


def observe(candidate: Candidate, inputs: Inputs) -> Evidence:
    if inputs["kind"] == "refused":
        ending = refusal(
            candidate, built(inputs), inputs["path"], returned=lambda _: "nothing said"
        )
        return {"kind": "refused", "ending": ending}
    return {"kind": inputs["kind"], **next_step(candidate, inputs)}


answered = of_kind("train", "at once", "side", "copy")


def _as_at_inference(seen: Evidence, expected: Evidence) -> Finding:
    ours, right = seen["output"], expected["output"]
    if not alike(ours, right):
        first = f"{numbers(ours.ravel(), 3)}, at inference it is {numbers(right.ravel(), 3)}"
        far = number(abs(ours - right).max())
        return False, f"the part's output begins with {first}; it is off by up to {far}"
    gone = moved(expected["statistics"], seen["statistics"])
    words = told(drift(expected["statistics"], seen["statistics"]), gone[:3])
    return not gone, f"statistics that moved: {words}"


@claim(3, "What does model.train() do to the part?", of_kind("train"))
def stays_through_train(seen: Evidence, expected: Evidence) -> Finding:
    """After model.train() the part computes as at inference and keeps its statistics."""
    return _as_at_inference(seen, expected)


@claim(1, "In which mode is the part when you return?", of_kind("at once"), stays_through_train)
def holds_at_once(seen: Evidence, expected: Evidence) -> Finding:
    """The part computes as at inference before anything is called, too."""
    return _as_at_inference(seen, expected)


@claim(2, "Who else can call train(), and on what?", of_kind("side"), stays_through_train)
def stays_from_any_side(seen: Evidence, expected: Evidence) -> Finding:
    """Nor does train() of the part, or of a module inside, change what it computes."""
    return _as_at_inference(seen, expected)


@claim(
    1, "What of yours does a copy of the model take along?", of_kind("copy"), stays_through_train
)
def a_copy_stays(seen: Evidence, expected: Evidence) -> Finding:
    """The part of a deep copy computes as at inference through the copy's train()."""
    return _as_at_inference(seen, expected)


@claim(2, "Which modules besides the part does your code reach?", answered, stays_through_train)
def the_rest_obeys(seen: Evidence, expected: Evidence) -> Finding:
    """The head is in the mode asked for, and its BatchNorm collects as ever."""
    odd = [name for name, mode in expected["modes"].items() if seen["modes"].get(name) != mode]
    if odd:
        return False, f"not in the mode that was asked for: {listed(odd)}"
    return end_alike(seen["rest"], expected["rest"])


@claim(2, "What does the part still let through?", answered, stays_through_train)
def gradients_flow(seen: Evidence, expected: Evidence) -> Finding:
    """Every parameter is the same object as before, as it was, and gets its gradient."""
    if seen["others"]:
        return False, f"another object, other numbers or another flag: {listed(seen['others'][:4])}"
    met, words = end_alike(seen["gradients"], expected["gradients"])
    return met, f"of the gradients, {words}"


@claim(1, "How do you find the part?", of_kind("refused"), stays_through_train)
def refuses_an_unknown_path(seen: Evidence, expected: Evidence) -> Finding:
    """A path at which there is no module raises a ValueError."""
    return refused(seen["ending"])


def _looked_up(model: nn.Module, path: str) -> nn.Module:
    modules = dict(model.named_modules())
    if path not in modules:
        raise ValueError(path)
    return modules[path]


def _returns_itself(self: nn.Module, mode: bool = True) -> nn.Module:
    return self


def _deaf(module: nn.Module) -> None:
    vars(module)["train"] = MethodType(_returns_itself, module)


def kept(
    model: nn.Module,
    path: str,
    find: Part = _looked_up,
    among: Part = lambda part: [*part.modules()],
    now: Part = lambda module: setattr(module, "training", False),
    hold: Part = _deaf,
) -> None:
    """The right answer in parts."""
    for module in among(find(model, path)):
        now(module)
        hold(module)


def _nothing(module: nn.Module) -> None: ...


def _norms(part: nn.Module) -> Sequence[Any]:
    return [module for module in part.modules() if isinstance(module, nn.BatchNorm1d)]


believing = beliefs_about(kept)
BELIEFS = (
    believing(
        "eval() once is enough.",
        "The next model.train(), at the latest that of the next epoch, puts every module below the "
        "model into train mode, the part among them.",
        "Who calls train() after you, and what does it reach?",
        among=lambda part: [part],
        now=nn.Module.eval,
        hold=_nothing,
    ),
    believing(
        "A BatchNorm without a momentum is in eval mode.",
        "Its statistics stay, but it normalises by the batch still. And dropout does not know of "
        "it.",
        "Which mean does a BatchNorm in train mode subtract?",
        among=_norms,
        now=lambda module: setattr(module, "momentum", 0.0),
        hold=_nothing,
    ),
    believing(
        "A BatchNorm that tracks no statistics is in eval mode.",
        "It no longer collects any, and normalises by the batch in train mode all the same.",
        "What does track_running_stats=False change, and what does it not?",
        among=_norms,
        now=lambda module: setattr(module, "track_running_stats", False),
        hold=_nothing,
    ),
    believing(
        "BatchNorm is all that has a mode.",
        "Dropout has one as well, and it woke with train(). So the part's output is another one.",
        "Which layers of the part compute otherwise in train mode?",
        among=_norms,
    ),
    believing(
        "train() comes from above.",
        "Anybody can call it on a module inside the part, and then that one is awake.",
        "On which modules can train() be called?",
        among=lambda part: [part],
        now=nn.Module.eval,
    ),
    believing(
        "The model's train() is the one to replace.",
        "It is for the whole model: the head was meant to train. And part.train() reaches the part "
        "without it.",
        "What does train() do to the head now?",
        find=lambda model, path: (_looked_up(model, path).eval(), model)[1],
        among=lambda model: [model],
        now=_nothing,
    ),
)


@belief(
    "requires_grad=False holds a BatchNorm.",
    "It holds the weight and the bias. Running statistics are buffers: they move in the forward "
    "pass of train mode, without any gradient.",
    "Which list of a module do the running statistics stand in?",
)
def freeze_the_parameters(model: nn.Module, path: str) -> None:
    _looked_up(model, path).requires_grad_(False)


EXERCISE = Exercise(
    reference=keep_in_eval,
    challenge=challenge,
    observe=observe,
    hints=(
        "model.train() sets the flag of the model and calls train() of each child, which does the "
        "same. Where could this be stopped?",
        "A module is an object: you can give it a train of its own that returns the module and "
        "does nothing more. Which modules of the part need one?",
        "types.MethodType(function, module) binds a function to a module, and a deep copy binds "
        "it to the copied one. Another way is a forward pre-hook that sets the flag in time.",
        "For each module of part.modules(): set its training to False, then its train to "
        "such a method. eval() calls train(False), so it needs nothing.",
    ),
    lesson="09_transfer",
    section="BatchNorm under a frozen body",
    frameworks=("torch",),
    minutes=20,
    difficulty=5,
    note="paramlock.torch.freeze holds the mode of what it freezes in this way, and unfreeze gives "
    "the module the mode that was asked for last. Write down which you want: a body in train mode "
    "adapts its statistics to the new data, and forgets those of the old.",
)
