"""Undo and redo: of a selection, with whatever is finer than a cell."""

from __future__ import annotations

import pytest
import tiny
from hypothesis import given
from hypothesis import strategies as st

import headgrid as hg
from headgrid.selection.selection import Selection
from headgrid.widget.state import undo as module
from headgrid.widget.state.cells import Cells
from headgrid.widget.state.undo import UndoHistory

LLAMA = "llama with grouped-query attention"


@pytest.fixture(scope="module")
def anatomy() -> hg.Anatomy:
    return hg.dissect(tiny.model(LLAMA))


def test_undo_gives_back_the_exact_selection_and_redo_the_next(anatomy: hg.Anatomy) -> None:
    texts = ["none", "l0h1.q | l2 mlp n3-9 | embed", "full", "l1g1.k | ln_final"]
    history = UndoHistory(anatomy.select(texts[0]))
    for text in texts[1:]:
        history.change(anatomy.select(text))
    assert [str(history.undo()) for _ in range(4)] == [texts[2], texts[1], texts[0], texts[0]]
    assert [str(history.redo()) for _ in range(4)] == [*texts[1:], texts[3]]
    assert history.undo().masks().keys() == anatomy.select("full").masks().keys()


def test_a_change_after_an_undo_drops_what_could_be_redone(anatomy: hg.Anatomy) -> None:
    history = UndoHistory(anatomy.select("l0h0"))
    history.change(anatomy.select("l0h1"))
    history.undo()
    assert (history.undo_steps, history.redo_steps) == (0, 1)
    history.change(anatomy.select("l0h2"))
    assert (history.undo_steps, history.redo_steps) == (1, 0)
    assert str(history.redo()) == "l0h2"
    assert str(history.undo()) == "l0h0"


def test_what_is_on_already_is_no_step(anatomy: hg.Anatomy) -> None:
    history = UndoHistory(anatomy.select("l0h0"))
    history.change(anatomy.select("l0 h0"))
    assert history.undo_steps == 0


def test_the_oldest_steps_are_forgotten(anatomy: hg.Anatomy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_STEPS", 3)
    history = UndoHistory(anatomy.select("none"))
    for head in range(6):
        history.change(anatomy.select(f"l0h{head}"))
    assert history.undo_steps == 3
    assert [str(history.undo()) for _ in range(4)] == ["l0h4", "l0h3", "l0h2", "l0h2"]
    assert history.redo_steps == 3


def test_the_bytes_of_all_steps_are_bounded_and_one_is_always_kept(
    anatomy: hg.Anatomy, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = [f"l{layer} mlp n{n}" for n in range(4) for layer in range(3)]
    each = sum(bits.nbytes for bits in anatomy.select(words[0]).parts.values())
    monkeypatch.setattr(module, "MOST_BYTES", 5 * each)
    history = UndoHistory(anatomy.select("l0 mlp n9"))
    for word in words:
        history.change(anatomy.select(word))
    assert history.undo_steps == 5
    monkeypatch.setattr(module, "MOST_BYTES", 0)
    history.change(anatomy.select("l0h0"))
    history.change(anatomy.select("l0h1"))
    assert (history.undo_steps, str(history.undo())) == (1, "l0h0")


def test_going_back_and_forth_makes_no_new_arrays_of_what_stays(anatomy: hg.Anatomy) -> None:
    history = UndoHistory(anatomy.select("l* mlp"))
    history.change(history.selection | "l0h1")
    arrays = {id(bits) for bits in history.selection.parts.values()}
    for move in (history.undo, history.redo, history.undo):
        assert id(move().parts["W_in"]) in arrays
        assert not history.selection.parts["W_in"].flags.writeable


def test_a_step_shares_what_did_not_change_with_the_step_before(anatomy: hg.Anatomy) -> None:
    history = UndoHistory(anatomy.select("l* mlp"))
    for head in range(5):
        history.change(history.selection | f"l1h{head}")
    steps = [history.selection, *history.now[1]]
    assert len({id(step.parts["W_in"]) for step in steps}) == 1
    assert len({id(step.parts["W_Q"]) for step in steps if "W_Q" in step.parts}) == 5


@pytest.mark.slow
@given(st.data())
def test_a_history_is_two_stacks(data: st.DataObject) -> None:
    anatomy = hg.dissect(tiny.model(LLAMA))
    words = ["none", "l0h1", "l1h2.q", "l2 mlp n5", "full", "~l0 mlp", "embed"]
    history, past, future = UndoHistory(anatomy.select("none")), list[str](), list[str]()
    for step in data.draw(st.lists(st.sampled_from([*words, "undo", "redo"]), max_size=25)):
        here = str(history.selection)
        if step in ("undo", "redo"):
            source, target = (past, future) if step == "undo" else (future, past)
            wanted = here
            if source:
                wanted = source.pop()
                target.append(here)
            found = history.undo() if step == "undo" else history.redo()
            assert found == anatomy.select(wanted)
        elif step != here:
            history.change(anatomy.select(step))
            past.append(here)
            future.clear()
        assert (history.undo_steps, history.redo_steps) == (len(past), len(future))


@pytest.mark.parametrize("name", ["qwen3_next", "jamba"])
def test_what_comes_back_looks_as_it_did_though_roles_share_its_arrays(name: str) -> None:
    """Two roles with the same bits become one array, of which one role may have all and the other only some."""
    anatomy = hg.dissect(tiny.config(name))
    cells = Cells(anatomy)
    for bits in anatomy.exists.values():
        same = {role: other for role, other in anatomy.exists.items() if other.shape == bits.shape}
        alike = {role: bits.copy() for role, other in same.items() if not (bits > other).any()}
        history = UndoHistory(Selection(anatomy, alike))
        one = next(iter(alike))
        history.change(Selection(anatomy, {one: alike[one].copy()}) if len(alike) > 1 else anatomy.select("none"))
        back = history.undo()
        fresh = Selection(anatomy, {role: array.copy() for role, array in alike.items()})
        assert str(back) == str(fresh)
        assert [look.tolist() for look in cells.coverage(back.parts)] == [
            look.tolist() for look in cells.coverage(fresh.parts)
        ]
        assert back.n_params == fresh.n_params
