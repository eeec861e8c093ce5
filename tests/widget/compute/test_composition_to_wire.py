"""Composition beside a head and between selected ones, and what the browser is told to doubt of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from grids import cache, never, whole

import headgrid as hg
from headgrid.widget.compute import composition_to_wire


def test_composition_says_that_z_is_not_use_in_the_panel_and_beside_arrows() -> None:
    model, tokenizer = hg.demo()
    found, cell, places = cache(model, tokenizer)
    assert whole(found, cell("l1h2")).partners["notes"][0].startswith("z above random is not use")
    heads = [cell(f"l{layer}h{head}") for layer in range(2) for head in range(4)]
    shown = composition_to_wire.arrows(found.composed(heads, "folded", never), places)
    assert shown["note"].startswith("z above random is not use")
    assert shown["note"].endswith("Of these arrows 1 stands out from the others (z above 19.9).")
    few = composition_to_wire.arrows(found.composed(heads[1:6:4], "folded", never), places)
    assert few["note"].endswith("Ablate a head to see what it carries.")


def test_the_browser_is_told_beyond_which_z_an_arrow_is_an_outlier() -> None:
    model, tokenizer = hg.demo()
    found, cell, places = cache(model, tokenizer)

    def fence(z: Any) -> float:
        first, third = np.percentile(z, [25, 75])
        return float(third + 3 * (third - first))

    own = whole(found, cell("l1h2")).partners  # twelve: each kind from each of four heads
    assert own["fence"] == pytest.approx(fence([one["z"] for one in own["arrows"]]), rel=1e-3)
    assert [one["kind"] for one in own["arrows"] if one["z"] > own["fence"]] == ["K"]
    heads = [cell(f"l{layer}h{head}") for layer in range(2) for head in range(4)]
    every = hg.compose(model)
    z = torch.stack([every.q_z, every.k_z, every.v_z])
    shown = composition_to_wire.arrows(found.composed(heads, "folded", never), places)
    assert shown["fence"] == pytest.approx(fence(z[z.isfinite()].numpy()))
    assert sum(one["z"] > shown["fence"] for one in shown["arrows"]) == 1
    few = composition_to_wire.arrows(found.composed(heads[1:6:4], "folded", never), places)
    assert few["fence"] is None
