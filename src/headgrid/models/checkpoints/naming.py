"""Which tensors of a checkpoint a model's parameter is made of, by transformers' own rules.

A checkpoint's names are often not its model's: modules were renamed since, the base model's prefix comes or goes, and
experts that are stored one by one are one parameter now. The installed transformers has these rules as data, which
`from_pretrained` goes by; they are asked here, and nothing is known by name in headgrid.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from headgrid.anatomy.anatomy import AnatomyError
from headgrid.models.checkpoints.files import Files, StoredTensor
from headgrid.models.configs import said_of
from headgrid.utils.arguments import shown

ReadTensor = Callable[[str], torch.Tensor]
"""Name of a stored tensor -> it."""


@dataclass(eq=False)
class Source:
    """The tensors that one parameter is made of, or several parameters together.

    Attributes:
        rule: transformers' rule; None for a tensor that is the parameter as it is.
        names: pattern of the rule -> the stored names that it matches, in the rule's order.
        first: the parameter's name, or the first of those that the rule makes.
        settings: the config, and the model on the meta device, which rules may ask.
    """

    rule: Any
    first: str
    settings: Mapping[str, Any]
    names: dict[str, list[str]] = field(default_factory=dict)

    @property
    def stacked(self) -> list[list[str]] | None:
        """The stored tensors of each row of the parameter, to be put one under the other; None where it is not so.

        This is how experts are stored one by one: row e is those of expert e, such as its gate over its `up`.
        """
        if self.rule is None:
            return None
        kinds = [(type(one).__name__, getattr(one, "dim", None)) for one in self.rule.operations]
        if kinds not in ([("MergeModulelist", 0)], [("MergeModulelist", 0), ("Concatenate", 1)]):
            return None
        columns = [self.names[pattern] for pattern in self.rule.source_patterns if pattern in self.names]
        same = len({len(column) for column in columns}) == 1
        return [list(row) for row in zip(*columns, strict=True)] if same else None

    def made(self, read: ReadTensor) -> dict[str, torch.Tensor]:
        """The parameters, by name, of tensors that `read` gives."""
        if self.rule is None:
            ((name,),) = self.names.values()
            return {self.first: read(name)}
        rule = copy.deepcopy(self.rule)
        for pattern, names in self.names.items():
            for name in names:
                rule.add_tensor(self.first, name, pattern, read(name))
        with torch.no_grad(), said_of(f"what transformers makes {self.first} of"):
            found = rule.convert(self.first, **self.settings)
        return {name: one[0] if isinstance(one, list) else one for name, one in found.items()}

    def shapes(self, stored: Mapping[str, StoredTensor]) -> dict[str, tuple[tuple[int, ...], torch.dtype]]:
        """The shape and dtype of each parameter that it makes; nothing is read."""
        rows = self.stacked
        if rows is not None:  # of hundreds of experts, without a tensor for each
            parts = [[stored[name] for name in row] for row in rows]
            if len({tuple((one.shape, one.dtype) for one in row) for row in parts}) == 1:
                one, *others = parts[0]
                if all(two.shape[1:] == one.shape[1:] for two in others) and one.shape:
                    height = sum(two.shape[0] for two in parts[0])
                    return {self.first: ((len(rows), height, *one.shape[1:]), one.dtype)}

        def on_meta(name: str) -> torch.Tensor:
            return torch.empty(stored[name].shape, dtype=stored[name].dtype, device="meta")

        return {name: (tuple(one.shape), one.dtype) for name, one in self.made(on_meta).items()}


def sources(model: torch.nn.Module, files: Files) -> tuple[list[Source], list[str]]:
    """What the tensors of a checkpoint become in a model, and the stored names that become nothing in it.

    Args:
        model: the model, on the meta device.
        files: the checkpoint.
    """
    state: dict[str, Any] = model.state_dict()
    prefix = getattr(model, "base_model_prefix", "")
    settings = {"model": model, "config": getattr(model, "config", None)}
    rename, order, rules = _rules(model)
    found: dict[str, Source] = {}
    unknown: list[str] = []
    for name in sorted(files.stored, key=order):
        renamed, pattern = rename(name, True, prefix, state)
        if renamed not in state and name in state:  # a rule took it for another
            renamed, pattern = rename(name, False, prefix, state)
        if renamed not in state:
            unknown.append(name)
            continue
        rule = None if pattern is None else rules[pattern]
        source = found.setdefault(renamed, Source(rule, renamed, settings))
        if source.rule is not rule or (rule is None and source.names):
            others = ", ".join(shown(one) for names in source.names.values() for one in names)
            raise AnatomyError(f"{others} and {shown(name)} would both be {renamed}, in the names of {_name(model)}")
        source.names.setdefault(pattern or name, []).append(name)
    return list(found.values()), unknown


def _rules(model: Any) -> tuple[Callable[..., tuple[str, str | None]], Callable[[str], Any], dict[str, Any]]:
    """How the installed transformers renames tensors, in which order it takes them, and its rules by pattern."""
    try:
        from transformers.conversion_mapping import get_model_conversion_mapping
        from transformers.core_model_loading import (
            WeightConverter,
            WeightRenaming,
            dot_natural_key,
            rename_source_key,
        )
    except ImportError:  # before transformers 5, modules are stored under their own names
        return _prefixed, str, {}
    with said_of(f"what transformers knows of the names of {_name(model)}"):
        mapping = get_model_conversion_mapping(model)
    renamings = [one for one in mapping if isinstance(one, WeightRenaming)]
    converters = [one for one in mapping if isinstance(one, WeightConverter)]

    def rename(name: str, by_rules: bool, prefix: str, state: dict[str, Any]) -> tuple[str, str | None]:
        given = (renamings, converters) if by_rules else ([], [])
        return rename_source_key(name, *given, prefix, state)  # type: ignore[no-any-return]

    return rename, dot_natural_key, {pattern: one for one in converters for pattern in one.source_patterns}


def _prefixed(name: str, by_rules: bool, prefix: str, state: dict[str, Any]) -> tuple[str, str | None]:
    """A stored name with the base model's prefix or without it, whichever the model has."""
    if name in state or not prefix:
        return name, None
    shorter = name.removeprefix(f"{prefix}.")
    return (shorter if shorter in state else f"{prefix}.{name}"), None


def unexpected(model: Any, names: list[str]) -> Iterator[str]:
    """Those of some stored names that the model's class does not say are to be left out, as old masks are."""
    patterns = set(getattr(model, "_keys_to_ignore_on_load_unexpected", None) or ())
    patterns |= {r"rotary_emb\.inv_freq$", r"(^|\.)position_ids$"}  # buffers that once were stored
    ignored = re.compile("|".join(f"({one})" for one in patterns))
    yield from (name for name in names if ignored.search(name) is None)


def _name(model: torch.nn.Module) -> str:
    return type(model).__name__
