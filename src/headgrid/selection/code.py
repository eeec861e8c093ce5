"""Copy as code: a selection as a snippet for torch, TransformerLens, nnsight, devinterp or causalab.

A snippet ablates (zeroes) the selected heads and neurons, as `headgrid.ablate(model, selection)` does, or hands the
masks over that `selection.masks()` gives. It needs the library that it is for, and nothing of headgrid: `model` and
`tokens` are names that it expects, and what else it needs is said in its first lines.

Sources: torch's `register_forward_pre_hook`; TransformerLens 4.3 (`run_with_hooks`); nnsight 0.8 (`trace`); devinterp
2.0 (`param_masks`); causalab's intervention protocol, version 4.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from headgrid.anatomy.anatomy import Anatomy
from headgrid.selection.activations import Where, activations
from headgrid.selection.entries import HookedEntries, entries_read
from headgrid.selection.masks import masks
from headgrid.selection.parts import Parts
from headgrid.selection.printer import text_of
from headgrid.utils import arguments

Library = Literal["torch", "transformer_lens", "nnsight", "devinterp", "causalab"]
"""Libraries that a selection can be written for."""

LIBRARIES: tuple[Library, ...] = get_args(Library)

_LONGEST = 100


def snippet(anatomy: Anatomy, chosen: Parts, library: Library) -> str:
    """The snippet of a set of parts for a library; `Selection.code` says what it is.

    Raises:
        ValueError: for another library; when nothing is selected; for a part that is no activation, but for devinterp;
            where the library has no name for the place.
    """
    if not isinstance(library, str) or library not in LIBRARIES:
        raise ValueError(f"code is written for {', '.join(map(repr, LIBRARIES))}, not {arguments.shown(library)}")
    if not chosen:
        raise ValueError("the selection is empty: there is nothing to write code for")
    return _WRITERS[library](anatomy, chosen)


# ---- torch and nnsight: the modules that read what is ablated


_BEFORE = """
def zeroed(ranges):
    def before(module, args):
        x = args[0].clone()
        for start, stop in ranges:
            x[..., start:stop] = 0
        return (x, *args[1:])

    return before


hooks = [
    model.get_submodule(name).register_forward_pre_hook(zeroed(ranges)) for name, ranges in ENTRIES.items()
]"""

_AFTER = """
def zeroed(ranges, axes):
    def after(module, args, output):
        x = output.flatten(-axes).clone()
        for start, stop in ranges:
            x[..., start:stop] = 0
        return x.reshape(output.shape)

    return after


hooks = [
    model.get_submodule(name).register_forward_hook(zeroed(ranges, axes)) for name, (axes, ranges) in ENTRIES.items()
]"""

_RUN = """
try:
    with torch.no_grad():
        output = model(tokens)
finally:
    for hook in hooks:
        hook.remove()"""


def _torch(anatomy: Anatomy, chosen: Parts) -> str:
    read = _entries(anatomy, chosen)
    after = any(entries.after for entries in read)
    places = [
        f'    "{entries.module}": ' + (f"({entries.axes}, {ranges})," if after else f"{ranges},")
        for entries in read
        for ranges in [_ranges(entries.numbers)]
    ]
    where = "of its output's last axes, flattened," if after else "of what it reads"
    return _joined(
        [
            *_title(anatomy, chosen, "set to zero"),
            "# model: the model itself; tokens: its input ids [batch, pos]",
            "import torch",
            "",
            f"ENTRIES = {{  # module -> which entries {where} are these heads and neurons",
            *places,
            "}",
            "",
            _AFTER if after else _BEFORE,
            _RUN.removeprefix("\n"),
        ]
    )


def _nnsight(anatomy: Anatomy, chosen: Parts) -> str:
    read = _entries(anatomy, chosen)
    if any(entries.after for entries in read):
        raise ValueError(
            f"nnsight wraps models of transformers, and {anatomy.title} is one of TransformerLens: "
            "code('transformer_lens') is for it"
        )
    lines = [
        *_title(anatomy, chosen, "set to zero"),
        "# model: the model itself, or the name of one: TransformersModel(name) reads it; tokens: its input ids",
        "from nnsight import NNsight",
        "",
        "wrapped = NNsight(model)",
        "with wrapped.trace(tokens):",
    ]
    for entries in read:
        module = "wrapped." + re.sub(r"\.(\d+)(?=\.|$)", r"[\1]", entries.module)
        lines += [
            f"    x = {module}.input.clone()",
            *(f"    x[..., {start}:{stop}] = 0" for start, stop in _runs(entries.numbers)),
            f"    {module}.input = x",
        ]
    return _joined([*lines, "    output = wrapped.output.save()"])


def _entries(anatomy: Anatomy, chosen: Parts) -> list[HookedEntries]:
    """Where the selected activations are read, in the order of the forward pass."""
    found = activations(anatomy, chosen)
    last = (anatomy.main.name, "cross")  # of a layer its own attention, that to the encoder, its MLP

    def place(where: Where) -> tuple[bool, str, int, int]:
        kind, name, layer = where
        order = 2 if kind == "mlp" else int(name == "cross")
        return name in last, "" if name in last else name, layer, order

    wanted = sorted(found.items(), key=lambda one: place(one[0]))
    return [entries_read(anatomy, where, numbers) for where, numbers in wanted]


# ---- TransformerLens: its own names


def _transformer_lens(anatomy: Anatomy, chosen: Parts) -> str:
    lines = [
        *_title(anatomy, chosen, "set to zero"),
        "# model: TransformerBridge.boot_transformers(...), or a HookedTransformer; tokens: its input ids",
        "from functools import partial",
        "",
        "",
        "def zeroed(activation, hook, index):",
        "    activation = activation.clone()",
        "    activation[:, :, index] = 0",
        "    return activation",
        "",
        "",
        "logits = model.run_with_hooks(",
        "    tokens,",
        "    fwd_hooks=[",
    ]
    for (kind, _, layer), numbers in _of_one_stack(anatomy, chosen, "TransformerLens").items():
        hook = {"z": "attn.hook_z", "mlp": "mlp.hook_post"}[kind]
        lines.append(f'        ("blocks.{layer}.{hook}", partial(zeroed, index={_listed(numbers)})),')
    return _joined([*lines, "    ],", ")"])


def _of_one_stack(anatomy: Anatomy, chosen: Parts, library: str) -> dict[Where, tuple[int, ...]]:
    """The selected activations of a model of one stack, layer by layer.

    Raises:
        ValueError: for those of a model that has several.
    """
    found = activations(anatomy, chosen)
    if named := sorted({name for _, name, _ in found if name}):
        raise ValueError(
            f"{library}'s names are of models of one stack, and this selection is in {', '.join(named)}: "
            "code('torch') is for all of them"
        )
    return dict(sorted(found.items(), key=lambda one: (one[0][2], one[0][0] != "z")))


# ---- devinterp: the masks


def _devinterp(anatomy: Anatomy, chosen: Parts) -> str:
    lines = [
        *_title(anatomy, chosen, "the only entries that are sampled"),
        "# model: the model itself; dataset: a datasets.Dataset with the column input_ids",
        "import torch",
        "from devinterp.slt.llc import llc",
        "",
        "masks = {}  # parameter -> True at the selected entries; None is the whole parameter",
    ]
    for name, mask in masks(anatomy, chosen).items():
        if mask is None:
            lines.append(f'masks["{name}"] = None')
            continue
        lines.append(f'masks["{name}"] = mask = torch.zeros({tuple(mask.shape)}, dtype=torch.bool)')
        steps = zip(mask.stride(), mask.shape, strict=True)
        canvas = np.asarray(mask.numpy())[tuple(slice(None) if step or size == 1 else slice(1) for step, size in steps)]
        lines += [f"mask[{', '.join(box) or '...'}] = True" for box in _boxes(canvas, mask.shape)]
    return _joined(
        [
            *lines,
            "",
            "# lr, n_beta and the numbers of chains and draws are to be chosen for the model and its data",
            "result = llc(model, dataset, {}, param_masks=masks, lr=1e-3, n_beta=30.0, num_chains=1, num_draws=10)",
        ]
    )


def _boxes(canvas: npt.NDArray[np.bool_], shape: Sequence[int]) -> Iterator[list[str]]:
    """Indices whose union is where an array is True, expanded to a shape: few, and each a box."""
    if not len(shape):
        yield []
        return
    if len(canvas) != shape[0]:
        yield from ([":", *box] for box in _boxes(canvas[0], shape[1:]))
        return
    rows = [(i, canvas[i]) for i in range(len(canvas))]
    for _, same in groupby(rows, key=lambda row: row[1].tobytes()):
        group = list(same)
        if group[0][1].any():
            index = _index(group[0][0], group[-1][0] + 1, shape[0])
            yield from ([index, *box] for box in _boxes(group[0][1], shape[1:]))


def _index(start: int, stop: int, size: int) -> str:
    return ":" if (start, stop) == (0, size) else f"{start}:{stop}"


# ---- causalab: a document of its protocol


def _causalab(anatomy: Anatomy, chosen: Parts) -> str:
    sites: dict[str, Any] = {"logits": {"component": "lm_head"}}
    writes: dict[str, Any] = {}
    for (kind, _, layer), numbers in _of_one_stack(anatomy, chosen, "causalab").items():
        everywhere = {"pos": "all", "ragged": {"policy": "padded_masked"}, "do": {"swap": 0}}
        if kind == "mlp":
            name = f"l{layer}_mlp"
            sites[name] = {"component": "mlp_neuron_output", "layers": [layer]}
            writes[f"zero_{name}"] = {"site": name, "dims": list(numbers), **everywhere}
        for head in numbers if kind == "z" else ():
            name = f"l{layer}h{head}"
            sites[name] = {"component": "attention_premix", "layers": [layer], "head": head}
            writes[f"zero_{name}"] = {"site": name, **everywhere}
    document = {
        "header": {"protocol_version": "4", "title": f"{_short(text_of(anatomy, chosen))} set to zero"},
        "model": {"key": "the name of the model on its hub"},
        "data": {"inputs": ["the texts that it reads"]},
        "method": {
            "intervened_models": {"ablated": {"input": "base", "reads": ["scores"], "writes": sorted(writes)}},
            "sites": sites,
            "reads": {"scores": {"site": "logits", "pos": -1}},
            "writes": writes,
            "save": [{"read": "scores", "model": "ablated", "file_path": "scores.safetensors"}],
        },
    }
    return re.sub(r"\[\s*(-?\d+(?:,\s*-?\d+)*)\s*\]", lambda found: f"[{' '.join(found[1].split())}]",
                  json.dumps(document, indent=2))  # fmt: skip


# ---- text


def _title(anatomy: Anatomy, chosen: Parts, what: str) -> list[str]:
    return [f"# {_short(text_of(anatomy, chosen))}, of {anatomy.title}: {what}"]


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} ..."


def _joined(lines: Iterable[str]) -> str:
    return "\n".join(lines) + "\n"


def _runs(numbers: Sequence[int]) -> list[tuple[int, int]]:
    """Runs of consecutive numbers: where each begins, and the number behind its end."""
    found: list[tuple[int, int]] = []
    for number in sorted(numbers):
        if found and found[-1][1] == number:
            found[-1] = (found[-1][0], number + 1)
        else:
            found.append((number, number + 1))
    return found


def _ranges(numbers: Sequence[int]) -> str:
    return f"[{', '.join(f'({start}, {stop})' for start, stop in _runs(numbers))}]"


def _listed(numbers: Sequence[int]) -> str:
    """Numbers as a list of Python, long runs of them as ranges."""
    pieces = []
    for start, stop in _runs(numbers):
        pieces.append(f"*range({start}, {stop})" if stop - start > 3 else ", ".join(map(str, range(start, stop))))
    return f"[{', '.join(pieces)}]"


_WRITERS: dict[Library, Callable[[Anatomy, Parts], str]] = {
    "torch": _torch,
    "transformer_lens": _transformer_lens,
    "nnsight": _nnsight,
    "devinterp": _devinterp,
    "causalab": _causalab,
}
