"""Models from configs alone: built on the meta device, where nothing is imported, fetched or run that a config names.

A config is data from anywhere. transformers reads some of its entries as what to load: an attention kernel from a hub,
code of the model's own, a backbone by its name. None of these changes what parameters a model has, so they are dropped
before anything is built, at every depth; the few models that are nothing without them are refused. A config's numbers
are bounded, so that a wrong one ends in a sentence and not in an endless loop.
"""

from __future__ import annotations

import copy
import importlib
import json
import os
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch.nn.modules.module import register_module_module_registration_hook

from headgrid.anatomy.anatomy import AnatomyError
from headgrid.utils.arguments import brief, shown
from headgrid.utils.warning import warn

LOADED = {
    "attn_implementation", "_attn_implementation", "_attn_implementation_internal", "experts_implementation",
    "_experts_implementation", "_experts_implementation_internal", "auto_map", "_auto_class", "custom_pipelines",
    "name_or_path", "_name_or_path", "quantization_config", "compression_config", "use_kernels", "kernel_config",
    "backbone", "backbone_kwargs", "use_timm_backbone", "use_pretrained_backbone", "transformers_version",
    "tokenizer_class", "processor_class", "dtype", "torch_dtype", "adapter_config", "peft_config",
}  # fmt: skip
"""Entries that name what to load, or how to store or run it."""

REROUTED = {"attribute_map", "sub_configs", "sub_configs_defaults"}
"""Entries that would give a config's other entries the names of those."""

ELSEWHERE = ("timm_", "layoutlmv2")
"""The beginnings of model types whose modules are another library's, by a name that the config has."""

LIMITS = (
    (re.compile(r"layers?$|layers_|depth|blocks?$|stages?$"), 2**11),
    (re.compile(r"heads?$|experts?$|groups?$"), 2**16),
    (re.compile(r"labels?$|classes$|types?$"), 2**17),
    (re.compile(r"vocab|size$|dim$|d_|width|hidden|embd|inner|features|channels|rank|ratio"), 2**24),
    (re.compile(r"position|ctx|seq|length"), 2**24),
)
"""Which entries -> the largest number that is believed. The deepest models have 1,000 layers."""

GETTERS = ("get_kernel", "get_kernel_hub")
"""The functions by which transformers' `integrations.hub_kernels` loads kernels; the last is of `kernels` itself."""

LARGEST_FILE = 2**25
"""Bytes of a `config.json`; those with the names of 21,000 classes have one million."""

MOST_MODULES = 500_000
"""Modules of one model; the largest mixtures that keep each expert in modules of its own have half as many."""

LONGEST_AXIS = 2**26
"""Entries along one axis of a parameter; vocabularies have a million."""

_building = threading.RLock()


def read(path: str | os.PathLike[str]) -> Any:
    """The contents of the `config.json` at a path, as Python has it from JSON. Nothing is downloaded.

    Args:
        path: the file, or the folder that it is in.

    Raises:
        AnatomyError: when there is no such file, or it is not JSON.
    """
    try:
        name = os.fspath(path)
        file = Path(name) / "config.json" if name and Path(name).is_dir() else Path(name)
        if not name or not file.is_file():
            raise AnatomyError(
                f"there is no file {shown(str(file) if name else '')} to read a config from\n"
                "headgrid downloads nothing: give a folder with a config.json, such a file, or a model that is loaded"
            )
        if (size := file.stat().st_size) > LARGEST_FILE:
            raise AnatomyError(f"{shown(str(file))} is no config: it has {size:,} bytes. Give the config.json itself")
        return json.loads(file.read_bytes().decode("utf-8-sig"))
    except AnatomyError:
        raise
    except RecursionError:
        raise AnatomyError(f"{shown(str(path))} is no config: it is nested too deeply") from None
    except (OSError, ValueError) as fault:
        raise AnatomyError(f"{shown(str(path))} is not JSON that can be read: {brief(fault)}") from fault


def made(settings: Any, source: str) -> Any:
    """The transformers config that these settings describe, without what they would have loaded.

    Args:
        settings: what a `config.json` holds.
        source: where they come from, for sentences.

    Raises:
        AnatomyError: when they are of no model of the installed transformers, or make none.
    """
    if not isinstance(settings, dict):
        raise AnatomyError(f"{source} holds {shown(settings)}, and a config is an object with names")
    from transformers import CONFIG_MAPPING

    model_type = settings.get("model_type")
    if not isinstance(model_type, str) or model_type not in CONFIG_MAPPING:
        raise AnatomyError(f"{source} has model_type {shown(model_type)}, which is none of the installed transformers'")
    bounded(settings, source)
    kept = _kept(settings)
    with said_of(source):
        _refuse_elsewhere(kept)
        return CONFIG_MAPPING[model_type].from_dict(kept)


def bounded(settings: Any, source: str) -> None:
    """Refuse numbers that no model has, at every depth.

    Raises:
        AnatomyError: naming the first such number, and the largest that is allowed.
    """
    for key, value in _entries(settings):
        for pattern, most in LIMITS:
            if pattern.search(key):
                if abs(value) > most:
                    raise AnatomyError(f"{source} says {shown(key)} = {shown(value)}; at most {most:,} are believed")
                break


def _entries(settings: Any) -> Iterator[tuple[str, int]]:
    """Every whole number with the name that it stands under; those of a list stand under the list's."""
    todo: list[tuple[str, Any]] = [("", settings)]
    while todo:
        key, value = todo.pop()
        if isinstance(value, Mapping):
            todo += [(str(name), inner) for name, inner in value.items()]
        elif isinstance(value, list | tuple):
            todo += [(key, inner) for inner in value]
        elif isinstance(value, int) and not isinstance(value, bool):
            yield key, value


def _kept(value: Any) -> Any:
    """Settings without what names something to load, at every depth."""
    if isinstance(value, dict):
        return {key: _kept(inner) for key, inner in value.items() if key not in LOADED | REROUTED}
    return [_kept(inner) for inner in value] if isinstance(value, list) else value


def on_meta(config: Any) -> torch.nn.Module:
    """The model that a config describes, without weights: of its own architecture if it names one.

    The config itself is left as it is. Attention runs as the installed transformers runs it by default.

    Raises:
        AnatomyError: when transformers has no model for it, or makes none of it.
    """
    source = f"the {type(config).__name__}"
    with said_of(source):
        config = copy.deepcopy(config)
        _refuse_elsewhere(config)
        for one in _configs(config):
            said = vars(one)
            for name in REROUTED | {"auto_map"}:
                said.pop(name, None)
            for name in ("_attn_implementation_internal", "_experts_implementation_internal"):
                said[name] = None
            # models make configs of what is nested as plain dictionaries
            said.update({key: _kept(value) for key, value in said.items() if isinstance(value, dict | list)})
            bounded({key: value for key, value in said.items() if not hasattr(value, "to_dict")}, source)
        with torch.device("meta"), _alone():
            model = _built(config)
        for name, parameter in model.named_parameters():
            if max(parameter.shape, default=0) > LONGEST_AXIS:
                raise AnatomyError(f"{source} gives {name} the shape {list(parameter.shape)}, which no model has")
        return model


def _built(config: Any) -> torch.nn.Module:
    import transformers

    named = getattr(config, "architectures", None) or ()
    for name in named:
        kind = _architecture(config, name)
        if kind is not None:
            return kind._from_config(config)  # type: ignore[no-any-return]
    if wrong := [name for name in named if not isinstance(name, str) or name in dir(transformers)]:
        raise AnatomyError(
            f"the config's architectures name {shown(wrong[0])}, which is no model for a "
            f"{type(config).__name__}. Name one that is, or none"
        )
    for auto in (
        transformers.AutoModelForSeq2SeqLM,
        transformers.AutoModelForSpeechSeq2Seq,
        transformers.AutoModelForImageTextToText,
        transformers.AutoModelForMaskedLM,
        transformers.AutoModelForCausalLM,
        transformers.AutoModelForImageClassification,
        transformers.AutoModel,
    ):
        if type(config) in auto._model_mapping:
            model = auto.from_config(config)
            if named:
                warn(
                    f"transformers has no architecture {shown(named[0])}: this is the anatomy of a "
                    f"{type(model).__name__}, and what that class adds to it is not in it"
                )
            return model  # type: ignore[no-any-return]
    raise AnatomyError(f"transformers has no model for a {type(config).__name__}")


def _architecture(config: Any, name: Any) -> Any:
    """The class of this name, of those that transformers has for models with such a config; None for another name."""
    import transformers

    for kind in type(config).__mro__:
        package, _, _ = kind.__module__.rpartition(".")
        if isinstance(name, str) and package.startswith("transformers.models."):
            found = getattr(importlib.import_module(package), name, None)
            if isinstance(found, type) and issubclass(found, transformers.PreTrainedModel):
                return found
    return None


def _configs(config: Any) -> Iterator[Any]:
    """A config and those in it, at every depth."""
    from transformers import PreTrainedConfig

    todo, seen = [config], set()
    while todo:
        one = todo.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, PreTrainedConfig):
            yield one
            todo += vars(one).values()
        elif isinstance(one, dict):
            todo += one.values()
        elif isinstance(one, list | tuple):
            todo += one


def _refuse_elsewhere(config: Any) -> None:
    """Refuse what another library would make by a name, and fetch if it does not have it.

    Raises:
        AnatomyError: naming the model type.
    """
    todo = [config]
    while todo:
        one = todo.pop()
        inner = one if isinstance(one, dict) else vars(one) if hasattr(one, "to_dict") else {}
        model_type = one.get("model_type") if isinstance(one, dict) else getattr(one, "model_type", None)
        if isinstance(model_type, str) and model_type.startswith(ELSEWHERE):
            raise AnatomyError(
                f"the config has a {shown(model_type)} in it, which another library makes by its name: a config alone "
                "is not enough. Dissect the model when it is loaded"
            )
        todo += [value for value in inner.values() if isinstance(value, dict) or hasattr(value, "to_dict")]


@contextmanager
def said_of(source: str) -> Iterator[None]:
    """A context in which an error of a library at a config that it cannot read becomes one sentence of ours."""
    try:
        yield
    except AnatomyError:
        raise
    except Exception as fault:  # of dozens of kinds: configs and models check little of what they are given
        raise AnatomyError(f"{source} describes no model: {brief(fault)}") from fault


@contextmanager
def _alone() -> Iterator[None]:
    """While a model is built in this thread: no kernel is loaded, and the modules are counted."""
    from transformers.integrations import hub_kernels

    here, count = threading.get_ident(), 0
    loading = {name: found for name in GETTERS if (found := getattr(hub_kernels, name, None))}

    def counted(module: torch.nn.Module, name: str, inner: Any) -> None:
        nonlocal count
        if threading.get_ident() == here:
            count += 1
            if count > MOST_MODULES:
                raise AnatomyError(f"the config describes a model of more than {MOST_MODULES:,} modules")

    def unless_here(load: Any) -> Any:
        def refused(*args: Any, **kwargs: Any) -> Any:
            if threading.get_ident() == here:
                raise ImportError("a config alone needs no kernel")
            return load(*args, **kwargs)

        return refused

    with _building:  # one at a time, so that each puts back what it found
        handle = register_module_module_registration_hook(counted)
        for name, load in loading.items():
            setattr(hub_kernels, name, unless_here(load))
        try:
            yield
        finally:
            for name, load in loading.items():
                setattr(hub_kernels, name, load)
            handle.remove()
