"""A circuit on a model: its selections, its edges head by head, and its grid."""

from __future__ import annotations

import copy
import pickle

import pytest
import transformers
from published_shapes import anatomy_of

import headgrid as hg
from headgrid.library import PublishedCircuit

IOI = hg.library["ioi"]
SMALL = anatomy_of("gpt2")


def test_a_config_is_enough_and_gives_the_heads_that_are_published() -> None:
    found = IOI.selection(transformers.GPT2Config())
    assert len(found.heads) == 26
    assert IOI.selection(SMALL, "S-inhibition").heads == [(7, 3), (7, 9), (8, 6), (8, 10)]
    assert IOI.selection(SMALL, role="name mover") <= found


def test_a_model_of_another_shape_is_refused_with_the_first_difference() -> None:
    with pytest.raises(
        ValueError, match="n_layers 24 instead of 12, so its heads are not those of Indirect object"
    ) as said:
        IOI.selection(transformers.GPT2Config(n_layer=24, n_head=16, n_embd=1024))
    assert "headgrid.library.matching(model)" in str(said.value)
    with pytest.raises(ValueError, match=r"role is 'duplicate token', .* not 'mover'"):
        IOI.selection(SMALL, "mover")
    with pytest.raises(TypeError, match="role is 'duplicate token'"):
        IOI.selection(SMALL, 3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="dissect takes a model"):
        IOI.selection(["l9h9", "l10h0"])


def test_edges_between_roles_are_every_pair_of_heads_that_comes_in_order() -> None:
    found = IOI.edges_of(SMALL)
    assert {one for one in found if one[1] in ("l9h9.q", "l9h6.q", "l10h0.q")} == {
        (sender, f"{receiver}.q")
        for sender in ("l7h3", "l7h9", "l8h6", "l8h10")
        for receiver in ("l9h6", "l9h9", "l10h0")
    }  # fmt: skip
    assert ("l2h2", "l5h5.k") in found
    assert not [one for one in found if one[0] == "l9h9"]
    assert len(found) == len(set(found))


def test_edges_of_heads_and_mlps_are_those_that_are_written() -> None:
    found = hg.library["greater-than"].edges_of(SMALL)
    assert found == [
        *((head, "l8 mlp") for head in ("l5h1", "l5h5", "l6h9", "l7h10", "l8h8", "l8h11")),
        ("l9h1", "l9 mlp"),
    ]
    assert hg.library["acronyms"].edges_of(SMALL) == []


def test_every_edge_of_the_shipped_circuit_is_one_that_paths_takes() -> None:
    model, tokenizer = hg.demo()
    ((sender, receiver),) = hg.library["demo-induction"].edges_of(model)
    found = hg.paths(model, hg.Task.repeated(tokenizer, 2, 8), sender, receiver)
    assert (sender, receiver) == ("l0h1", "l1h2.k")
    assert float(abs(found.values).max()) > 0.1


def test_it_opens_with_its_roles_saved_in_colors_and_all_of_it_selected() -> None:
    grid = IOI.open(transformers.GPT2Config())
    assert grid.selection == IOI.selection(SMALL)
    assert list(grid.saved) == list(IOI.roles)
    assert all(str(grid.saved[role]) == str(IOI.selection(SMALL, role)) for role in IOI.roles)
    assert len(set(grid.saved.colors.values())) == 7
    page = grid.to_html()
    assert page is not None
    assert "backup name mover" in page


def test_it_opens_on_a_model_with_its_task_and_refuses_another_model() -> None:
    model, tokenizer = hg.demo()
    circuit = hg.library["demo-names"]
    grid = circuit.open(model, tokenizer, task=hg.Task.names(tokenizer, 4))
    assert (grid.model is model, grid.task is not None, str(grid.selection)) == (True, True, "l1h*")
    with pytest.raises(ValueError, match="n_layers 2 instead of 12"):
        IOI.open(model, tokenizer)


def test_it_says_all_that_is_known_of_it() -> None:
    said = repr(IOI)
    for text in (
        "l9h[6,9] | l10h0",
        "S-inhibition -> name mover.q",
        "arXiv:2211.00593",
        "12 layers x 12 heads",
        "87 %",
    ):
        assert text in said
    page = IOI._repr_html_()
    assert page.count("<tr>") == 7
    assert "<code>l9h[6,9] | l10h0</code>" in page


def test_it_does_not_change_and_is_its_own_copy() -> None:
    with pytest.raises(TypeError):
        IOI.roles["mine"] = IOI.roles["induction"]  # type: ignore[index]
    with pytest.raises(AttributeError):
        IOI.name = "mine"  # type: ignore[misc]
    assert copy.deepcopy(IOI) is IOI
    again: PublishedCircuit = pickle.loads(pickle.dumps(IOI))
    assert (again.text, again.citation, dict(again.roles)) == (IOI.text, IOI.citation, dict(IOI.roles))
