"""What a user has set torch to changes no number of what is read from weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest
import tiny
import torch

import headgrid as hg


@contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@contextmanager
def deterministic() -> Iterator[None]:
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


def numbers(model: torch.nn.Module) -> list[torch.Tensor]:
    scan, composed = hg.scan(model), hg.compose(model)
    head, mlp, neuron = (hg.summarize(model, text) for text in ("l1h2", "l0 mlp", "l0 mlp n3"))
    found = [
        scan.ov.singular_values,
        scan.qk.singular_values,
        scan.copying_score,
        composed.q,
        composed.k_z,
        head.ov.reads,
        head.qk.writes,
        head.qk.pairs.values,
    ]
    tables = [head.ov.write_tokens.ids, head.ov.pairs.source_ids, mlp.w_out.write_tokens.ids]
    return [*found, *tables, mlp.w_in.reads, mlp.w_out.singular_values, neuron.reads, neuron.write_tokens.values]


SETTINGS: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "inference mode": torch.inference_mode,
    "a default device": lambda: torch.device("meta"),
    "float64 by default": lambda: default_dtype(torch.float64),
    "float16 by default": lambda: default_dtype(torch.float16),
    "deterministic algorithms": deterministic,
}


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("family", ["gpt2", "gemma2"])
def test_numbers_are_the_same_under_any_setting(setting: str, family: str) -> None:
    model = tiny.fresh(family).float()
    expected = numbers(model)
    with SETTINGS[setting]():
        found = numbers(tiny.fresh(family).float() if setting == "autocast" else model)  # nothing kept from before
    for ours, theirs in zip(found, expected, strict=True):
        assert torch.equal(ours.nan_to_num(), theirs.nan_to_num())
        assert not ours.is_inference()
        assert not ours.requires_grad
        assert ours.device.type == "cpu"


def test_directions_of_a_large_mlp_are_found_whatever_the_default_dtype_is() -> None:
    W = torch.randn(400, 900, generator=torch.Generator().manual_seed(0))
    W[:3] *= 9  # leading values far from the others, so that they are found by iteration
    expected = hg.FactoredMatrix(W, torch.eye(900)).svd(3)[1]
    from headgrid.spectra import spectrum_of

    with default_dtype(torch.float64):
        torch.testing.assert_close(spectrum_of(W, 3).values[:3], expected, rtol=1e-6, atol=0)
