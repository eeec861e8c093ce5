"""Thumbnails: the patterns of all heads, made small."""

from __future__ import annotations

import numpy as np
import pytest
import tiny
import torch
from grids import LLAMA, settled
from live_grids import TEXT, prompt, query, watched

import headgrid as hg
from headgrid.widget.compute import thumbnails
from headgrid.widget.wire.schema import Thumbnails


def squares(found: Thumbnails) -> np.ndarray:
    values = np.frombuffer(found["values"], dtype=np.uint8)
    return (values.reshape(len(found["cells"]), found["size"], found["size"]) / 255) ** 2


def by_hand(pattern: np.ndarray, size: int) -> np.ndarray:
    """The largest value of each square; every value stands in one."""
    found, n = np.zeros((size, size)), len(pattern)
    for i in range(n):
        for j in range(n):
            at = i * size // n, j * size // n
            found[at] = max(found[at], pattern[i, j])
    return found


def test_short_texts_are_drawn_as_they_are() -> None:
    grid = watched(tiny.fresh(LLAMA))
    prompt(grid, 1, "5 7 9 11 7")
    query(grid, 2, panel=False, thumbnails=True)
    found = settled(grid).thumbnails
    assert (found["query"], found["size"], found["note"], found["pending"]) == (2, 5, "", False)
    assert found["cells"] == grid._state.index.heads.tolist()
    whole = hg.attention(grid.model, grid.task)
    for cell, square in zip(found["cells"], squares(found), strict=True):
        pattern = whole.row(grid._state.cells.describe(cell)[0]).pattern.numpy()
        assert np.abs(square - pattern).max() <= 1 / 255
    assert grid.live["tokens"] == [], "the panel is closed"


@pytest.mark.parametrize("layers_at_once", [1, 100])
def test_long_texts_show_the_largest_of_each_square(monkeypatch: pytest.MonkeyPatch, layers_at_once: int) -> None:
    monkeypatch.setattr(thumbnails, "PASS_BYTES", layers_at_once * 4 * 41 * 41 * 4)
    _, tokenizer = hg.demo()
    task = hg.Task(tokenizer, torch.randint(5, 100, (2, 41), generator=torch.Generator().manual_seed(0)))
    grid = watched(task=task)
    query(grid, 1, row=1, thumbnails=True)
    found = settled(grid).thumbnails
    assert found["note"] == "16 x 16 of 41 tokens: each square is the largest of several"
    whole = hg.attention(grid.model, task.rows([1]))
    for cell, square in zip(found["cells"], squares(found), strict=True):
        pattern = whole.row(grid._state.cells.describe(cell)[0]).pattern.numpy()
        assert np.abs(square - by_hand(pattern, 16)).max() <= 1 / 255
        assert not np.triu(square, 1).any(), "nothing ahead of the query"


def test_a_model_of_too_many_heads_says_why_there_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thumbnails, "MOST_HEADS", 7)
    grid = watched()
    prompt(grid, 1, TEXT)
    query(grid, 1, thumbnails=True)
    found = settled(grid).thumbnails
    assert found["note"] == "Patterns are drawn for at most 7 heads: this model has 8. Color the cells"
    assert (found["size"], found["cells"], found["pending"]) == (0, [], False)


def test_patterns_of_different_shapes_share_a_size() -> None:
    pattern = torch.rand(3, 2, 5)
    small = thumbnails.pooled(pattern, 5)
    assert small.shape == (3, 5, 5)
    assert torch.equal(small[:, 0], pattern[:, 0])
    assert torch.equal(small[:, 4], pattern[:, 1])
