"""One model for several environments: its weights are whole multiples of 1/256, made from nothing but their names.

`canonical.json` has what comes out, so that versions of libraries that cannot be installed together can be compared.
`python tests/hooked/exact.py` prints it.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parent.parent))
import tiny

import headgrid as hg
from headgrid.anatomy.roles import ROLES

FAMILIES = ["gpt2", "llama with grouped-query attention", "qwen3"]

Key = tuple[str, str, int | None, int]
"""Stack, role, layer, and a number where a role is several tensors that are no heads or experts."""


def model(family: str) -> torch.nn.Module:
    """The transformers model of this family with the weights that every environment gives it."""
    made = tiny.fresh(family).float()
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            numbers = np.random.RandomState(crc32(name.encode())).randint(-128, 128, tuple(parameter.shape))
            parameter.copy_(torch.from_numpy(numbers) / 256)
    return made


def tokens() -> torch.Tensor:
    """A batch of token ids, `[2, 7]`."""
    return tiny.inputs("gpt2")["input_ids"]


def canonical(anatomy: hg.Anatomy, tensors: Mapping[str, torch.Tensor]) -> dict[Key, torch.Tensor]:
    """These tensors, of the parameters' shapes, in their canonical orientation; heads that are stored apart in one."""
    found: dict[Key, torch.Tensor] = {}
    for stack in anatomy.stacks:
        for (role, layer), slots in stack.places.items():
            views = [slot.of(tensors[anatomy.aliases.get(slot.parameter, slot.parameter)]) for slot in slots]
            if ROLES[role].part_axis == ROLES[role].axes[0]:
                found[stack.name, role, layer, 0] = views[0] if len(views) == 1 else torch.cat(views)
            else:
                found |= {(stack.name, role, layer, i): view for i, view in enumerate(views)}
    return found


def dense(selection: hg.Selection) -> dict[str, torch.Tensor]:
    """The mask of every parameter as a tensor."""
    masks = selection.masks()
    return {
        name: torch.full(shape, name in masks, dtype=torch.bool) if masks.get(name) is None else masks[name]
        for name, shape in selection.anatomy.parameters.items()
    }


def digests(source: Any, keys: Iterable[Key]) -> dict[str, str]:
    """What a model's canonical weights and the masks of its heads come to, at these places.

    Args:
        source: anything with an anatomy and parameters.
        keys: which places count; HookedTransformer has biases of zeros that others have not.
    """
    anatomy, keys = hg.dissect(source), sorted(keys, key=repr)
    weights, masks = hashlib.sha256(), hashlib.sha256()
    found = canonical(anatomy, {name: value.detach() for name, value in source.named_parameters()})
    for key in keys:
        weights.update(repr((key, tuple(found[key].shape))).encode() + found[key].contiguous().numpy().tobytes())
    for layer in range(anatomy.n_layers):
        for head in range(anatomy.n_heads):
            chosen = canonical(anatomy, dense(anatomy.select(f"l{layer}h{head}")))
            for key in keys:
                masks.update(np.packbits(chosen[key].contiguous().numpy()).tobytes())
    return {"weights": weights.hexdigest()[:16], "masks": masks.hexdigest()[:16]}


def places(source: torch.nn.Module) -> list[Key]:
    """The places of a model's weights."""
    return list(canonical(hg.dissect(source), dict(source.named_parameters())))


EXPECTED: dict[str, dict[str, str]] = json.loads((Path(__file__).parent / "canonical.json").read_text())

if __name__ == "__main__":
    print(json.dumps({name: digests(model(name), places(model(name))) for name in FAMILIES}, indent=2))
