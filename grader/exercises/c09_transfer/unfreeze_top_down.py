"""Open an encoder from the output down, by exact paths (torch); every flag is looked at."""

from collections.abc import Iterable
from typing import Any

from numpy.random import Generator
from torch import nn

from grader.instruments import open_flags
from grader.instruments.open_flags import flags_after, flags_alike
from grader.instruments.refusals import refused
from grader.instruments.torch_cases import case
from grader.instruments.torch_nets import HEADS
from grader.judging.exercise import Exercise, beliefs_about, claim, needing, of_kind
from grader.judging.terms import Candidate, Challenge, Evidence, Finding, Inputs, Part


def unfreeze_top_down(model, blocks, count):
    """Open what stands above the blocks of an encoder, and the topmost of these.

    In the order of ``model.named_parameters()`` the parameters are those before the blocks, such as
    embeddings; then those of one block after the other, from the input up; then those after them,
    such as a head. The last kind is open, whatever ``count`` is. Of the blocks the topmost
    ``count`` are open. What stands before them opens last: it is open where ``count`` is larger
    than the number of blocks. Everything else is frozen afterwards, whatever it was before.

    Args:
        model: a ``torch.nn.Module``. Blocks, embeddings and head may hang anywhere in it. A
            parameter with two names (tied weights) goes by the one that ``named_parameters`` tells.
        blocks: path of the ``nn.ModuleList`` or ``nn.Sequential`` that holds the blocks, such as
            ``"encoder.layer"`` or, one level down, ``"bert.encoder.layer"``.
        count: how many blocks are to be open, a whole number from 0 on.

    Raises:
        ValueError: no list of modules is at that path. Nothing has changed then.

    Example:
        >>> layers = nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1), nn.Linear(1, 1))
        >>> model = nn.ModuleDict({"embed": nn.Linear(1, 1), "layers": layers})
        >>> unfreeze_top_down(model, "layers", 2)
        >>> [name for name, p in model.named_parameters() if p.requires_grad]
        ['layers.1.weight', 'layers.1.bias', 'layers.2.weight', 'layers.2.bias']
    """
    held = dict(model.named_modules()).get(blocks)
    if not isinstance(held, nn.ModuleList | nn.Sequential):
        raise ValueError(f"{blocks} is not the path of a list of blocks")
    order = [f"{blocks}.{name}." for name, _ in held.named_children()]
    stage = len(order) + 1  # the count at which something opens; at first of what is before them
    for name, parameter in model.named_parameters():
        block = next((block for block in order if name.startswith(block)), None)
        if block:
            stage = len(order) - order.index(block)
        elif stage <= len(order):
            stage = 0
        parameter.requires_grad_(stage <= count)


LISTS = ("layer", "layers", "h", "block", "blocks")
ENCODERS = ("encoder", "bert.encoder", "model.encoder", "transformer", "net.trunk", "backbone")


def challenge(rng: Generator) -> Challenge:
    def of(
        kind: str, blocks: int, count: int, tied: bool = False, shut: bool = False
    ) -> dict[str, Any]:
        """An encoder in which the embeddings hang beside the blocks, or further up."""
        encoder, name, head = (str(rng.choice(names)) for names in (ENCODERS, LISTS, HEADS))
        place, embed = f"{encoder}.{name}", "embeddings.word"
        if "." in encoder:
            embed = f"{encoder.partition('.')[0]}.{embed}"
        linear = ["Linear", 2, 2]
        layers: dict[str, Any] = {embed: ["Embedding", 3, 2], f"{embed}_norm": ["LayerNorm", 2]}
        for number in range(blocks):
            layers |= {f"{place}.{number}.mix": linear, f"{place}.{number}.out.dense": linear}
        layers |= {f"{head}.dense": linear, f"{head}.out": ["Linear", 2, 3]}
        frozen = [path.partition(".")[0] for path in layers if shut]
        pairs = [[f"{embed}.weight", f"{head}.out.weight"]] if tied else []
        given = {"kind": kind, "tied": pairs, "blocks": place, "count": count}
        return case(rng, layers, frozen, **given)

    few = int(rng.integers(3, 6))
    some = int(rng.integers(1, few))
    last = of("plain", few, 1)
    path = last["blocks"]
    return {
        "the topmost block": last,
        "some of the blocks": of("plain", few, some),
        "all blocks": of("plain", few, few),
        "twelve blocks, three open": of("many", 12, 3),
        "no block": of("none", few, 0),
        "one block, which stays shut": of("none", 1, 0),
        "one more than there are": of("last", few, few + 1),
        "many more than there are": of("last", few, few + 9),
        "an embedding tied to the head": of("tied", few, some, tied=True),
        "a model that was frozen": of("plain", few, some, shut=True),
        "a path that leads nowhere": last | {"kind": "refused", "blocks": f"{path}s"},
        "a part of the path": last | {"kind": "refused", "blocks": path.rpartition(".")[2]},
        "the path of a single layer": last | {"kind": "refused", "blocks": f"{path}.0.mix"},
    }


def observe(candidate: Candidate, inputs: Inputs) -> Evidence:
    return flags_after(candidate, inputs, inputs["blocks"], inputs["count"])


@claim(3, "From which end do you count the blocks?", of_kind("plain"))
def opens_the_topmost(seen: Evidence, expected: Evidence) -> Finding:
    """The topmost blocks are open, as many as asked for, and what stands above them."""
    return flags_alike(seen, expected)


@claim(1, "In which order do your blocks 9, 10 and 11 stand?", of_kind("many"), opens_the_topmost)
def counts_beyond_ten(seen: Evidence, expected: Evidence) -> Finding:
    """Of twelve blocks the topmost are 9, 10 and 11."""
    return flags_alike(seen, expected)


@claim(2, "Which blocks does your slice hold if none is asked for?", of_kind("none"))
def opens_the_head_first(seen: Evidence, expected: Evidence) -> Finding:
    """At 0 no block is open, and what stands above them is."""
    return flags_alike(seen, expected)


@claim(2, "Where do the embeddings of this model hang?", of_kind("last"), opens_the_topmost)
def opens_the_embeddings_last(seen: Evidence, expected: Evidence) -> Finding:
    """Beyond the number of blocks everything is open, the embeddings too."""
    return flags_alike(seen, expected)


@claim(1, "Under which name do you meet the tied weight first?", of_kind("tied"), opens_the_topmost)
def a_tied_weight_waits(seen: Evidence, expected: Evidence) -> Finding:
    """A weight tied to the embeddings opens with them, though the head uses it."""
    return flags_alike(seen, expected)


@claim(1, "How do you find the blocks?", of_kind("refused"), opens_the_topmost)
def refuses_what_is_no_list(seen: Evidence, expected: Evidence) -> Finding:
    """A path at which there is no list of modules raises a ValueError."""
    return refused(seen["ending"])


SHARED = needing(opens_the_topmost, open_flags.nothing_else_changes)


def _list_at(held: Any) -> Any:
    if not isinstance(held, nn.ModuleList | nn.Sequential):
        raise ValueError("no list of blocks")
    return held


def _below(path: str, names: Iterable[str]) -> bool:
    return any(path.startswith(f"{name}.") for name in names)


def opened(
    model: nn.Module,
    blocks: str,
    count: int,
    find: Part = _list_at,
    order: Part = lambda names: names,
    top: Part = lambda names, count: names[max(0, len(names) - count) :],
    above: Part = lambda count: True,
    before: Part = lambda count, size: count > size,
    named: Part = lambda model: [*model.named_parameters()],
    shut: Part = lambda parameter: parameter.requires_grad_(False),
) -> None:
    """The right answer in parts."""
    held = find(dict(model.named_modules()).get(blocks))
    names = order([f"{blocks}.{name}" for name in held._modules])
    met = False
    for path, parameter in named(model):
        met = met or _below(path, names)
        if _below(path, names):
            is_open = _below(path, top(names, count))
        else:
            is_open = above(count) if met else before(count, len(names))
        if is_open:
            parameter.requires_grad_(True)
        else:
            shut(parameter)


believing = beliefs_about(opened)
BELIEFS = (
    believing(
        "Blocks open from the first on.",
        "The first block is the one next to the input, whose features are the most general. It "
        "is the last that has to change.",
        "Which block stands next to the head?",
        top=lambda names, count: names[:count],
    ),
    believing(
        "The last n of a list are list[-n:], whatever n is.",
        "-0 is 0, and list[0:] is the whole list. Where no block should be open, all are.",
        "What is [1, 2, 3][-0:]?",
        top=lambda names, count: names[-count:],
    ),
    believing(
        "Sorted by name, the blocks stand in their order.",
        "As texts, 10 and 11 come before 2. Your topmost block is the one called 9.",
        "What is sorted(['9', '10', '11'])?",
        order=sorted,
    ),
    believing(
        "The encoder holds the embeddings.",
        "They often hang beside it on the model. Looked for in the encoder they are not found, and "
        "they stay frozen for good.",
        "Which parameters are still frozen when the count is as large as can be?",
        before=lambda count, size: False,
    ),
    believing(
        "To freeze the encoder's blocks is to freeze the model.",
        "The embeddings stand outside of that list. They trained from the first step on.",
        "Which parameters are open when the count is 0?",
        before=lambda count, size: True,
    ),
    believing(
        "The head is the topmost of what is counted.",
        "It is open from the start, at a count of 0. Yours opens at 1, and all else one later.",
        "What is open when the count is 0?",
        top=lambda names, count: names[max(0, len(names) - max(0, count - 1)) :],
        above=lambda count: count > 0,
        before=lambda count, size: count > size + 1,
    ),
    believing(
        "A tied weight belongs to the head.",
        "It is the embedding as well, and named_parameters tells that name. Opened with the "
        "head, it moves under every token from the first step on.",
        "How many names has that weight, and which one does named_parameters tell?",
        named=lambda model: [*model.named_parameters(remove_duplicate=False)],
    ),
    believing(
        "What I do not open is frozen.",
        "A fresh model is open from end to end. Nobody froze what you left alone.",
        "Which requires_grad does a parameter have that you never touched?",
        shut=lambda parameter: None,
    ),
    believing(
        "A path that leads nowhere makes itself known.",
        "No parameter lies below it, so no block ever opens as it should, and the training goes on "
        "without a word.",
        "What do you do if no parameter lies below the path?",
        find=lambda held: held if isinstance(held, nn.ModuleList | nn.Sequential) else nn.Module(),
    ),
)

EXERCISE = Exercise(
    reference=unfreeze_top_down,
    challenge=challenge,
    observe=observe,
    hints=(
        "Look the list up first: dict(model.named_modules()) has every module by its path. Which "
        "types may it have?",
        "Go through model.named_parameters() once. A parameter lies in a block if its name begins "
        "with the path of the list, a dot, the block's name and a dot.",
        "Give each parameter the count at which it opens: 0 above the blocks, 1 for the topmost "
        "block, n for the lowest, n + 1 before them. Then one comparison sets the flag.",
    ),
    lesson="09_transfer",
    section="Layer by layer, on a schedule",
    frameworks=("torch",),
    minutes=15,
    difficulty=3,
    note="Count before you train: at one block every two epochs, twelve epochs open five blocks "
    "and leave seven of twelve shut. paramlock.torch.top_down makes such a schedule.",
)
