"""Every public value: it pickles, copies, crosses threads and processes, and nobody changes it from outside."""

from __future__ import annotations

import copy
import io
import multiprocessing
import pickle
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch

import headgrid as hg
from headgrid.models.verify import VerifyError
from headgrid.selection import parts


def caught(call: Callable[[], object]) -> Exception:
    try:
        call()
    except Exception as error:
        return error
    raise AssertionError("this should have failed")


@cache
def values() -> dict[str, Any]:
    model, tokenizer = hg.demo()
    anatomy, weights = hg.dissect(model), hg.Weights(model)
    with hg.record(model, "l1h2") as recorded:
        model(torch.tensor([[1, 2, 3]]))
    found = {
        "Selection": anatomy.select("l1h2 | l0 mlp n3"), "Anatomy": anatomy, "Stack": anatomy.main,
        "Slot": anatomy.slots[3], "FactoredMatrix": weights.W_OV[1, 2], "Scan": hg.scan(model),
        "Composition": hg.compose(model), "HeadSummary": hg.summarize(model, "l1h2", tokenizer),
        "MLPSummary": hg.summarize(model, "l0 mlp", tokenizer), "Proof": hg.verify(model), "Cache": recorded,
        "masks": anatomy.select("l1h2").masks(),
        "SelectionError": caught(lambda: anatomy.select("l0 | l9h9")),
        "AnatomyError": caught(lambda: anatomy.slots[0].of(torch.zeros(2))),
        "NotRecorded": caught(lambda: recorded["l0h1"]),
        "VerifyError": VerifyError("not proven, with what was seen"),
    }  # fmt: skip
    return found | {
        "Spectra": found["Scan"].ov,
        "Pair": found["Composition"].top(1)[0],
        "Check": found["Proof"].checks[0],
    }


def saved(value: Any) -> Any:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=False)


COPIES: dict[str, Callable[[Any], Any]] = {
    "pickle": lambda value: pickle.loads(pickle.dumps(value)),
    "an old pickle": lambda value: pickle.loads(pickle.dumps(value, protocol=2)),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "torch.save": saved,
}

NAMES = [
    "Selection", "Anatomy", "Stack", "Slot", "FactoredMatrix", "Scan", "Spectra", "Composition", "Pair", "HeadSummary",
    "MLPSummary", "Proof", "Check", "Cache", "masks", "SelectionError", "AnatomyError", "NotRecorded",
    "VerifyError",
]  # fmt: skip


def alike(a: Any, b: Any) -> bool:
    """Whether two values say the same: an error by its attributes, all else by what it is made of."""
    if isinstance(a, Exception):
        return type(a) is type(b) and (str(a), vars(a)) == (str(b), vars(b))
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b) if not a.is_floating_point() else torch.allclose(a, b, equal_nan=True)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(alike(a[key], b[key]) for key in a)
    if isinstance(a, hg.Selection | hg.Anatomy):
        return a == b and hash(a) == hash(b) and repr(a) == repr(b)
    return repr(a) == repr(b) if type(a).__repr__ is not object.__repr__ else type(a) is type(b)


@pytest.mark.parametrize("how", COPIES.values(), ids=COPIES)
@pytest.mark.parametrize("name", NAMES)
def test_every_public_value_survives_being_pickled_and_copied(name: str, how: Callable[[Any], Any]) -> None:
    value = values()[name]
    assert alike(how(value), value)


def test_an_anatomy_that_was_pickled_selects_what_it_did() -> None:
    anatomy = values()["Anatomy"]
    again = pickle.loads(pickle.dumps(anatomy))
    assert again.select("l1h2 | l0 mlp n3") == anatomy.select("l1h2 | l0 mlp n3")
    assert again.fingerprint == anatomy.fingerprint
    with pytest.raises(TypeError):
        again.parameters["x"] = (1,)


def described(value: Any) -> tuple[str, str]:
    return type(value).__name__, str(value)


@pytest.mark.parametrize("name", ["Selection", "Anatomy", "SelectionError", "NotRecorded", "Proof"])
def test_values_cross_threads(name: str) -> None:
    value = values()[name]
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(described, value).result() == described(value)


@pytest.mark.slow
def test_values_cross_to_a_process_that_was_spawned() -> None:
    sent = [values()[name] for name in NAMES if name not in ("FactoredMatrix", "masks")]
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        assert pool.submit(list, map(str, sent)).result() == list(map(str, sent))
        there = pool.submit(copy.copy, (values()["Selection"], values()["masks"])).result()
    assert there[0] == values()["Selection"]
    assert alike(there[1], values()["masks"])


CHANGES: dict[str, Callable[[], object]] = {
    "parts cleared": lambda: values()["Selection"].parts.clear(),
    "a part set": lambda: values()["Selection"].parts.__setitem__("W_Q", np.ones((2, 4), bool)),
    "an array of parts": lambda: values()["Selection"].parts["W_Q"].__setitem__((0, 0), True),
    "an array made writable": lambda: setattr(values()["Selection"].parts["W_Q"].flags, "writeable", True),
    "parts replaced": lambda: setattr(values()["Selection"], "parts", {}),
    "parts deleted": lambda: delattr(values()["Selection"], "parts"),
    "parameters": lambda: values()["Anatomy"].parameters.__setitem__("x", (1,)),
    "aliases": lambda: values()["Anatomy"].aliases.clear(),
    "exists": lambda: values()["Anatomy"].exists.clear(),
    "an array of exists": lambda: values()["Anatomy"].exists["W_Q"].__setitem__((0, 0), False),
    "exists of a stack": lambda: values()["Stack"].exists.pop("W_Q"),
    "exists made writable": lambda: setattr(values()["Stack"].exists["W_Q"].flags, "writeable", True),
    "key/value heads": lambda: values()["Anatomy"].kv_head_of.__setitem__(0, 1),
    "places": lambda: values()["Anatomy"].places.clear(),
    "names": lambda: values()["Anatomy"].names.clear(),
    "slots of a parameter": lambda: values()["Anatomy"].slots_of.clear(),
    "slots at a place": lambda: values()["Anatomy"].slots_at.clear(),
    "sizes of a slot": lambda: values()["Slot"].sizes.__setitem__("n", 3),
    "a field": lambda: setattr(values()["Anatomy"], "name", "other"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_nothing_is_changed_from_outside(change: Callable[[], object]) -> None:
    selection, anatomy = values()["Selection"], values()["Anatomy"]
    before = hash(selection), str(selection), anatomy.fingerprint
    with pytest.raises((TypeError, AttributeError, ValueError)):
        change()
    assert (hash(selection), str(selection), anatomy.fingerprint) == before


def test_a_selection_leaves_the_arrays_that_it_is_made_of_to_the_caller() -> None:
    anatomy = values()["Anatomy"]
    mine = {role: bits.copy() for role, bits in anatomy.select("l1h2").parts.items()}
    looked = {role: bits.view() for role, bits in mine.items()}
    for bits in looked.values():
        bits.flags.writeable = False
    made = [hg.Selection(anatomy, mine), hg.Selection(anatomy, looked)]
    for bits in mine.values():
        assert bits.flags.writeable
        bits[...] = True
    mine.clear()
    assert made == [anatomy.select("l1h2")] * 2


def test_an_anatomy_keeps_its_own_parameters() -> None:
    anatomy = values()["Anatomy"]
    given = dict(anatomy.parameters)
    made = hg.Anatomy(anatomy.name, anatomy.family, anatomy.stacks, anatomy.d_vocab, given, dict(anatomy.aliases))
    given.clear()
    assert made == anatomy
    assert parts.equal(made.select("full").parts, made.exists)
