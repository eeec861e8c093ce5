"""Anatomies of TransformerLens' models: bridges (4.x), HookedTransformer (2.x, 3.x), and configurations alone.

TransformerLens is never imported here: its objects are known by the names of their classes and parameters.

A bridge holds the transformers model and rewires it in place. Its parameters are the model's own, under the names of
the modules that it puts around them; only a fused projection (q, k and v in one, or a gate and what it gates) is split
into matrices of their own. The fused parameter then stays in `named_parameters()`, gets no gradient, and is in no part:
`Anatomy.unused` names it. (Where the split is a view, as for GPT-2, both are the same memory.) So a bridge is read by
the row of its family, with a line for each split matrix instead of the fused one.

Compatibility mode writes processed weights into the same parameters, and adds biases and an unembedding where there was
none. Masks hold for the parameters that are there: take the anatomy after the mode has been enabled.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import torch

from headgrid.anatomy.anatomy import Anatomy, AnatomyError
from headgrid.anatomy.roles import ROLES
from headgrid.models import configs
from headgrid.models.binding import NamedShapes, Shapes, bind
from headgrid.models.families.lens import HOOKED, HOOKED_ENCODER, HOOKED_MIXTURE, NATIVE, hooked_shapes
from headgrid.models.family import Family, Line
from headgrid.models.huggingface import from_config, named, rows_of
from headgrid.models.vocabulary import vocabulary
from headgrid.utils.arguments import shown

WRAPPED = "_original_component"
"""The step that a bridge puts into the name of every parameter that it wraps."""

CONFIGS = {"TransformerLensConfig", "TransformerBridgeConfig", "HookedTransformerConfig"}

SPLIT = {"W_Q": "q", "b_Q": "q", "W_K": "k", "b_K": "k", "W_V": "v", "b_V": "v", "W_gate": "gate", "b_gate": "gate",
         "W_in": "in", "b_in": "in"}  # fmt: skip
"""Role -> the module of a bridge that holds it, where the model stores it fused with others."""

PLAIN = {"W_Q": "(n h) m", "b_Q": "(n h)", "W_K": "(g h) m", "b_K": "(g h)", "W_V": "(g h) m", "b_V": "(g h)",
         "W_gate": "f m", "b_gate": "f", "W_in": "f m", "b_in": "f"}  # fmt: skip
"""How such a module, a plain Linear, stores it."""

PARTED = {"cls.predictions.bias": "cls.predictions.decoder.bias", "lm_head.bias": "lm_head.decoder.bias"}
"""Biases that are one tensor with another until compatibility mode parts them; the other is read from then on."""


# ---- bridges


def is_bridge(source: Any) -> bool:
    """Whether this is a TransformerBridge, or a model that one was put around: it is rewired ever after."""
    if any(kind.__name__ in ("TransformerBridge", "RemoteBridge") for kind in type(source).__mro__):
        return True
    return isinstance(source, torch.nn.Module) and any(
        name.endswith(f".{WRAPPED}") for name, _ in source.named_modules()
    )


def from_bridge(bridge: Any) -> Anatomy:
    """The anatomy of a TransformerBridge, by the names of `bridge.named_parameters()`.

    Raises:
        AnatomyError: when the bridge holds no model in this process; when TransformerLens before 4.3 has processed the
            weights of gated MLPs; or when a parameter is placed neither by the row of the model's family nor by what
            bridges add.
    """
    try:
        model = bridge.original_model
    except AttributeError:
        if not is_bridge(bridge) or not hasattr(bridge, "config"):
            raise AnatomyError(f"{type(bridge).__name__} holds no model in this process") from None
        model = bridge
    name = type(model).__name__
    if any("_processed_W_in" in vars(module) for module in model.modules()):
        raise AnatomyError(
            f"the bridge of this {name} keeps weights that compatibility mode has processed outside of its parameters, "
            "where no mask reaches them. Use enable_compatibility_mode(no_processing=True), or TransformerLens 4.3"
        )
    config: Any = getattr(model, "config", None)
    if hasattr(config, "model_type"):
        rows, described, family = rows_of(config, name), vocabulary(config), str(config.model_type)
    else:
        config = model.cfg
        rows, described, family = [NATIVE], _described(config), "native"
    parameters = replace(named(model), name=f"bridged {name}")
    known: dict[str, str] = {}
    for own in (*parameters.shapes, *parameters.aliases):
        known.setdefault(_original(model, own), own)
    unread = {path for row in rows for path in _fused(row, known)}
    unread |= {old for old, new in PARTED.items() if {old, new} <= known.keys() and known[new] in parameters.shapes}
    unused = tuple(known.pop(path) for path in sorted(unread))
    untied = [path for path, own in known.items() if own in parameters.shapes]
    parameters = replace(parameters, known=known, unused=unused)
    return bind([_bridged(row, untied) for row in rows], config, parameters, family, **described)


def _original(model: torch.nn.Module, own: str) -> str:
    """A parameter's name in the unbridged model: bridges wrap modules, and give some a name of their own."""
    steps: list[str] = []
    module: Any = model
    for step in own.split("."):
        module = getattr(module, "_modules", {}).get(step)
        if step == WRAPPED:
            continue
        said = getattr(module, "name", None) if WRAPPED in getattr(module, "_modules", ()) else None
        steps.append(said.split(".")[-1] if isinstance(said, str) and not step.isdigit() else step)
    return ".".join(steps)


def _is_fused(line: Line) -> bool:
    return line.role in SPLIT and ("/" in line.axes or "+" in line.axes)


def _split_path(line: Line) -> str:
    """Where a bridge holds what a line finds in a fused parameter."""
    *parents, _, kind = line.path.split(".")
    return ".".join([*parents, SPLIT[line.role], kind])


def _fused(row: Family, known: Mapping[str, str]) -> Iterator[str]:
    """The fused parameters that a bridge has split, by the table's names."""
    for line in filter(_is_fused, row.layer):
        for path in known:
            if path.endswith("." + line.path) and path.removesuffix(line.path) + _split_path(line) in known:
                yield path


def _bridged(row: Family, names: Sequence[str]) -> Family:
    """A family's row with lines for what its bridge splits, and for the biases that compatibility mode adds."""
    return replace(row, layer=_with_split(row.layer, names), outside=_with_split(row.outside, names))


def _with_split(lines: tuple[Line, ...], names: Sequence[str]) -> tuple[Line, ...]:
    """Lines with those of split matrices and of added biases; `names` are the parameters that there are."""
    found = [*lines, *(Line(line.role, _split_path(line), PLAIN[line.role]) for line in lines if _is_fused(line))]
    placed = {line.path for line in found}
    for line in [line for line in found if line.path.endswith(".weight") and not _is_fused(line)]:
        bias, path = line.role.replace("W_", "b_", 1), line.path.removesuffix("weight") + "bias"
        if bias == line.role or bias not in ROLES or path in placed:
            continue
        letters = set(ROLES[bias].axes.split())
        axes = [axis for axis in re.findall(r"\([^()]+\)|\S+", line.axes) if set(axis.strip("()'").split()) == letters]
        if axes and any(f".{name}".endswith(f".{path}") for name in names):
            found.append(Line(bias, path, axes[0]))
    return tuple(found)


# ---- HookedTransformer


def is_hooked(source: Any) -> bool:
    """Whether an object has HookedTransformer's parameters: `blocks.0.attn.W_Q` and so on."""
    return hasattr(source, "named_parameters") and any(
        re.fullmatch(r"blocks\.\d+\.attn\.W_O", name) for name, _ in source.named_parameters()
    )


def from_hooked(model: Any) -> Anatomy:
    """The anatomy of a HookedTransformer or HookedEncoder, or of any object whose parameters have such names.

    Raises:
        AnatomyError: when a name or a shape is not one of HookedTransformer's, or contradicts the object's `cfg`.
    """
    parameters = {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
    return _hooked(type(model).__name__, parameters, getattr(model, "cfg", None))


def _hooked(name: str, shapes: Shapes, config: Any) -> Anatomy:
    if not hasattr(config, "n_heads"):
        first = next(path for path in shapes if path.endswith(".attn.W_O")).removesuffix("W_O")
        config = SimpleNamespace(
            n_heads=shapes[first + "W_O"][0],
            n_key_value_heads=next((shapes[key][0] for key in (first + "_W_K", first + "W_K") if key in shapes), None),
        )
    row = HOOKED_ENCODER if "embed.embed.W_E" in shapes else HOOKED
    if any(".experts." in path for path in shapes):
        row = HOOKED_MIXTURE
    # it has a table of positions unless they are rotary, and reads it only if they are its own
    reads = getattr(config, "positional_embedding_type", "standard") in ("standard", "shortformer")
    unused = tuple(path for path in shapes if path == "pos_embed.W_pos" and not reads)
    known = {path: path for path in shapes if path not in unused}
    return bind([row], config, NamedShapes(name, shapes, {}, known, unused), "hooked", **_described(config))


def _described(config: Any) -> dict[str, Any]:
    words = ("n_ctx", "act_fn", "normalization_type", "positional_embedding_type")
    return {word: getattr(config, word, None) for word in words}


# ---- configurations alone


def is_lens_config(source: Any) -> bool:
    """Whether this is a TransformerLens configuration, or the dictionary that its `to_dict` makes."""
    if isinstance(source, Mapping):
        return {"n_layers", "d_model", "d_head"} <= source.keys()
    return any(kind.__name__ in CONFIGS for kind in type(source).__mro__)


def from_lens_config(config: Any) -> Anatomy:
    """The anatomy that a HookedTransformer of this configuration has. No weights are made.

    Args:
        config: a HookedTransformerConfig, a TransformerBridgeConfig, or a dictionary of such settings.

    Raises:
        AnatomyError: when the configuration leaves a size open.
    """
    source = "the dictionary" if isinstance(config, Mapping) else f"the {type(config).__name__}"
    with configs.said_of(source):
        settings = dict(config if isinstance(config, Mapping) else config.to_dict())
        configs.bounded(settings, source)
        given = SimpleNamespace(**{**_DEFAULTS, **settings})
        for size in ("n_layers", "d_model", "d_head", "n_ctx", "d_vocab"):
            said = getattr(given, size, None)
            if not isinstance(said, int) or isinstance(said, bool) or said < 1:
                raise AnatomyError(f"{source} says {size} = {shown(said)}; a model needs a number of at least 1")
        if given.n_heads < 1:
            given.n_heads = given.d_model // given.d_head
        given.d_mlp = given.d_mlp or 4 * given.d_model
        return _hooked(str(given.model_name), dict(hooked_shapes(given)), given)


_DEFAULTS = {
    "model_name": "custom", "n_heads": -1, "d_mlp": None, "d_vocab": -1, "d_vocab_out": -1, "attn_only": False,
    "gated_mlp": False, "act_fn": None, "normalization_type": "LN", "final_rms": False, "post_embedding_ln": False,
    "use_normalization_before_and_after": False, "use_qk_norm": False, "n_key_value_heads": None, "num_experts": None,
    "positional_embedding_type": "standard", "original_architecture": None,
}  # fmt: skip
"""The settings that decide what parameters there are, with HookedTransformerConfig's own defaults."""


def from_file(path: str | os.PathLike[str]) -> Anatomy:
    """The anatomy that a `config.json` describes: transformers', or TransformerLens'. Nothing is downloaded.

    Args:
        path: the file, or the folder that it is in.

    Raises:
        AnatomyError: when there is no such file, or it is not the configuration of a known model.
    """
    settings = configs.read(path)
    if is_lens_config(settings):
        return from_lens_config(settings)
    return from_config(configs.made(settings, shown(os.fspath(path))))
