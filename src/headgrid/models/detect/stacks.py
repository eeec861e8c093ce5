"""The rows of a model's stacks: its lists of layers, what the config says of each, and what is in no layer."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from headgrid.models.binding import NamedShapes
from headgrid.models.detect.evidence import Evidence, Questions, Sizes, TensorShape
from headgrid.models.detect.layers import lines_of
from headgrid.models.detect.lexicon import read
from headgrid.models.detect.outside import Detected, LayerList, outside_lines, place_outside
from headgrid.models.family import Family

N_LAYERS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers", "depth")
N_HEADS = ("num_attention_heads", "n_head", "n_heads", "num_heads")
KV_HEADS = ("num_key_value_heads", "num_kv_heads", "multi_query_group_num", "n_head_kv", "n_kv_heads")
D_MODEL = ("hidden_size", "d_model", "n_embd", "embed_dim", "dim", "emb_dim")
D_HEAD = ("head_dim", "d_kv", "v_head_dim")
OF_STACK = {
    "encoder": ("encoder_layers", "num_encoder_layers", "encoder_attention_heads", "num_encoder_attention_heads"),
    "decoder": ("decoder_layers", "num_decoder_layers", "decoder_attention_heads", "num_decoder_attention_heads"),
}
"""The names that configs have for sizes; where an encoder-decoder has its own, they come first."""


def find(config: Any, named: NamedShapes, questions: Questions) -> Detected:
    """The rows that names and shapes suggest, given the answers to what they leave open."""
    found = Detected()
    lists, others = _lists(named)
    stacks = _named_stacks(lists, config, found)
    if not stacks:
        if not found.faults:
            found.faults.append("no list of layers has attention heads in it")
        found.strangers = dict.fromkeys(named.shapes, "it is in no list of layers with heads")
        return found
    shared = place_outside(stacks, others, named, found)
    rows = [_row(stack, named, questions, found) for stack in stacks]
    common = _common(stacks, shared, named)
    every = [*([common] if common else []), *rows, *_cross(stacks, rows)]
    found.rows = [row for row in every if row.layer or row.outside]
    return found


def _lists(named: NamedShapes) -> tuple[dict[str, dict[int, dict[str, TensorShape]]], list[str]]:
    """Every list of layers with attention: path -> layer -> path in it -> shape; and the names of everything else."""
    lists: dict[str, dict[int, dict[str, TensorShape]]] = {}
    members: dict[str, list[str]] = {}
    others = []
    for name in named.known:
        match = re.fullmatch(r"(.+?)\.(\d+)\.(.+)", name)
        if match:
            lists.setdefault(match[1], {}).setdefault(int(match[2]), {})[match[3]] = named.shape(name)
            members.setdefault(match[1], []).append(name)
        else:
            others.append(name)
    layers = {}
    for path, entries in lists.items():
        readings = [read(inside) for inside in {inside for entry in entries.values() for inside in entry}]
        if any(reading and reading.kind == "O" for reading in readings):
            layers[path] = entries
        else:
            others += members[path]
    return layers, others


def _named_stacks(
    lists: Mapping[str, dict[int, dict[str, TensorShape]]], config: Any, found: Detected
) -> list[LayerList]:
    """Which stack each list is of, by its path; a list that begins at another number than 0 is no list of layers."""
    stacks: list[LayerList] = []
    for path, entries in lists.items():
        if sorted(entries) != list(range(len(entries))):
            found.faults.append(f"{path} has the layers {sorted(entries)}, not all from 0 on")
            return []
        stack = _stack_name(path) if len(lists) > 1 else ""
        attribute = "vision_config" if stack == "vision" else "text_config"
        own = stack in ("encoder", "decoder") or (stack == "" and bool(_first(config, N_HEADS)) and len(lists) == 1)
        if own or said(config, attribute) is None:
            attribute = ""
        described = said(config, attribute) if attribute else config
        stacks.append(LayerList(path, stack, attribute, described, entries))
    names = sorted(stack.stack for stack in stacks)
    if names not in ([""], ["decoder", "encoder"], ["", "vision"]) and names:
        where = ", ".join(stack.path for stack in stacks)
        found.faults.append(f"there are several lists of layers with attention, and no telling what each is: {where}")
        return []
    return sorted(stacks, key=lambda stack: ["", "encoder", "decoder", "vision"].index(stack.stack))


def _stack_name(path: str) -> str:
    steps = path.split(".")
    if any(re.search(r"vision|visual|image", step) for step in steps):
        return "vision"
    return next((name for name in OF_STACK if name in steps), "")


def said(config: Any, name: str) -> Any:
    """The value of a config for something, None where nothing, or where it will not say it for all layers at once."""
    try:
        return getattr(config, name, None)
    except RuntimeError:  # transformers' configs of models whose layers differ refuse such a question
        return None


def _first(config: Any, names: Iterable[str]) -> str:
    """The first of these attributes that a config has with a number for a value, or ""."""
    return next((name for name in names if type(said(config, name)) is int), "")


# ---- rows


def _row(stack: LayerList, named: NamedShapes, questions: Questions, found: Detected) -> Family:
    config, n_layers = stack.said, len(stack.shapes)
    own = OF_STACK.get(stack.stack, ())
    heads = _first(config, [*(name for name in own if "heads" in name), *N_HEADS])
    layers = _first(config, [*(name for name in own if "layers" in name), *N_LAYERS]) or N_LAYERS[0]
    evidence = Evidence(stack.shapes, questions, _pre_norm(stack, questions))
    sizes: Sizes | str = "the config names no number of attention heads"
    if heads:
        sizes = evidence.sizes(said(config, heads), [said(config, a) for a in D_MODEL if _first(config, [a])])
    lines = lines_of(evidence, sizes) if isinstance(sizes, Sizes) else {}
    for path, why in evidence.strangers.items():
        _strange(stack, path, why, named, found)
    if not isinstance(sizes, Sizes):
        found.faults.append(f"{stack.path}: {sizes}")
        return Family(stack=stack.stack)
    stack.cross = tuple(lines["cross"])
    m = sizes.m
    return Family(
        body=stack.body,
        layers=stack.path.removeprefix(f"{stack.body}.") if stack.body else stack.path,
        layer=tuple(lines["self"]),
        outside=outside_lines(stack.outside, stack.body, m, named),
        stack=stack.stack,
        config=stack.config,
        n_layers=layers,
        n_heads=heads,
        kv_heads=heads if heads in own or evidence.latent else _kv_heads(config, heads, sizes),
        d_model=next(a for a in D_MODEL if said(config, a) == m),
        d_head="v_head_dim" if evidence.latent else _first(config, D_HEAD) or "head_dim",
        # only models that say so run one layer several times: otherwise fewer layers are layers left out
        shared=said(config, layers) != n_layers and said(config, "num_hidden_groups") == n_layers,
    )


def _pre_norm(stack: LayerList, questions: Questions) -> Callable[[], bool]:
    """Whether norms stand before their blocks, where their names do not say so: asked when a norm needs it.

    A norm at the end of the stack is there because nothing else has normalized the residual stream; a norm of the
    embeddings and none at the end, because each block's output has been.
    """
    roles = set(stack.outside.values())
    if roles & {"ln_final", "ln_embed"}:
        return lambda: "ln_final" in roles
    answers = ("before", "after") if stack.stack == "vision" else ("after", "before")
    name = f"{stack.stack} " if stack.stack else ""
    return lambda: questions.ask(f"where the norms of the {name}layers stand to their blocks", *answers) == "before"


def _kv_heads(config: Any, heads: str, sizes: Sizes) -> str | int:
    """Where the config says how many key/value heads there are; with `multi_query` it is one, whatever it says."""
    if sizes.g == 1 and said(config, "multi_query"):
        return 1
    return _first(config, KV_HEADS) or (heads if sizes.g == sizes.n else sizes.g)


def _strange(stack: LayerList, path: str, why: str, named: NamedShapes, found: Detected) -> None:
    pattern = re.compile(re.escape(f"{stack.path}.*.{path}").replace(r"\*", r"\d+"))
    for name in named.shapes:
        if pattern.fullmatch(name):
            found.strangers[name] = why


def _common(stacks: list[LayerList], shared: Mapping[str, str], named: NamedShapes) -> Family | None:
    """The row of what all stacks share."""
    if not shared:
        return None
    body = "model" if all(stack.path.startswith("model.") for stack in stacks) else ""
    return Family(body=body, outside=outside_lines(shared, body, 0, named))


def _cross(stacks: list[LayerList], rows: list[Family]) -> Iterator[Family]:
    """The rows of a decoder's attention to the encoder."""
    for stack, row in zip(stacks, rows, strict=True):
        if stack.cross:
            yield Family(
                body=row.body, layers=row.layers, layer=stack.cross, stack="cross",
                config=row.config, n_layers=row.n_layers, n_heads=row.n_heads, kv_heads=row.kv_heads,
                d_model=row.d_model, d_head=row.d_head,
            )  # fmt: skip
