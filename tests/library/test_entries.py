"""Laws of every entry, and its heads beside lists that were written down from the sources by themselves."""

from __future__ import annotations

import re

import pytest
from published_shapes import anatomy

import headgrid as hg
from headgrid.library import PublishedCircuit
from headgrid.library.diff import can_reach, components

CIRCUITS = list(hg.library.values())

circuits = pytest.mark.parametrize("circuit", CIRCUITS, ids=lambda one: one.name)

OVERLAP = {"entity-tracking-llama-7b"}
"""Circuits in which a head has more than one role: their notes say so."""

PAIRS: dict[str, dict[str, list[tuple[int, int]]]] = {
    "ioi": {
        "name mover": [(9, 9), (10, 0), (9, 6)],
        "backup name mover": [(10, 10), (10, 6), (10, 2), (10, 1), (11, 2), (9, 7), (9, 0), (11, 9)],
        "negative name mover": [(10, 7), (11, 10)],
        "S-inhibition": [(7, 3), (7, 9), (8, 6), (8, 10)],
        "induction": [(5, 5), (5, 8), (5, 9), (6, 9)],
        "duplicate token": [(0, 1), (0, 10), (3, 0)],
        "previous token": [(2, 2), (4, 11)],
    },
    "greater-than": {
        "early heads": [(0, 5), (0, 3), (0, 1)],
        "early MLPs": [(0, -1), (1, -1), (2, -1), (3, -1)],
        "year movers": [(9, 1), (8, 11), (7, 10), (6, 9), (5, 5), (8, 8), (5, 1)],
        "late MLPs": [(8, -1), (9, -1), (10, -1), (11, -1)],
    },
    "induction": {"previous token": [(2, 2), (4, 11)], "induction": [(5, 1), (5, 5), (6, 9), (7, 2), (7, 10)]},
    "copy-suppression": {"copy suppression": [(10, 7)], "copy suppression, weaker": [(11, 10)]},
    "acronyms": {
        "previous token": [(1, 0), (2, 2), (4, 11)], "propagation": [(5, 8)],
        "letter mover": [(8, 11), (9, 9), (10, 10), (11, 4)],
    },
    "gendered-pronouns": {"at the name": [(0, 4), (2, 6)], "at the verb": [(4, 3), (6, 0)],
                          "late": [(9, 7), (10, 9), (11, 8)]},
    "verb-agreement": {
        "subject anchor": [(2, 1), (2, 6), (9, 4), (10, 0), (11, 4), (11, 6), (11, 7)],
        "subject scanner": [(0, 8), (1, 0)], "conjunction": [(1, 1)], "the same on all prompts": [(0, 4), (6, 0)],
    },
    "docstring": {
        "argument mover": [(3, 0), (3, 6)], "previous token": [(2, 0)], "induction and previous token": [(1, 4)],
        "duplicate token": [(0, 5)], "against documented arguments": [(1, 2)],
    },
    "successor": {"successor": [(12, 0)]},
    "agreement-gemma-2b": {"subject number": [(13, 7)], "subject number, weaker": [(17, 4)]},
    "function-vectors-gpt-j": {"function vector": [
        (15, 5), (9, 14), (12, 10), (8, 1), (11, 0), (13, 13), (8, 0), (14, 9), (9, 2), (24, 6)]},
    "function-vectors-llama-2-7b": {"function vector": [
        (14, 1), (11, 2), (9, 25), (12, 15), (12, 28), (13, 7), (11, 18), (12, 18), (16, 10), (14, 16)]},
    "function-vectors-llama-2-13b": {"function vector": [
        (13, 13), (12, 17), (15, 38), (14, 34), (19, 2), (19, 36), (13, 4), (18, 11), (10, 15), (13, 23)]},
    "retrieval-llama-2-7b-80k": {
        "strong": [(16, 19), (11, 15), (8, 26)],
        "weaker": [(6, 9), (7, 12), (17, 22), (11, 2), (6, 16), (19, 15), (21, 30)],
    },
    "entity-tracking-llama-7b": {
        "value fetcher": [
            (21, 3), (30, 4), (18, 8), (29, 7), (17, 28), (24, 5), (18, 3), (17, 27), (19, 2), (21, 4), (19, 30),
            (20, 14), (18, 28), (24, 8), (21, 25), (15, 2), (23, 17), (15, 6), (21, 0), (18, 20), (19, 8), (23, 30),
            (19, 25),
            (18, 25), (15, 9), (14, 11), (22, 5), (21, 23), (23, 19), (21, 26), (17, 3), (18, 6), (15, 12), (16, 27),
            (16, 23), (30, 8), (23, 20), (14, 0), (15, 22), (20, 12), (19, 16)],
        "position transmitter": [
            (14, 27), (11, 23), (19, 12), (16, 2), (13, 14), (15, 18), (12, 23), (13, 25), (12, 0)],
        "position detector": [
            (13, 14), (10, 3), (9, 2), (9, 10), (11, 23), (7, 17), (6, 10), (9, 21), (8, 12), (7, 9), (12, 0), (10, 4),
            (11, 24), (9, 0), (9, 23), (4, 27), (4, 4), (7, 26)],
        "structure reader": [(8, 21), (12, 23), (11, 23), (9, 21)],
    },
    "demo-induction": {"previous token": [(0, 1)], "induction": [(1, 2)]},
    "demo-names": {"mover": [(1, 2)], "suppressor": [(1, 0), (1, 1), (1, 3)]},
    "demo-duplicate-marking": {"previous token": [(0, 0)], "marker": [(1, 0)], "reader": [(2, 0)]},
    "demo-induction-grouped": {"previous token": [(0, 1)], "induction": [(1, 5)]},
}  # fmt: skip
"""Circuit -> role -> (layer, head), in the order of the sources; -1 is the MLP. Not read from the entries."""


def test_there_are_at_least_twelve_published_circuits_and_those_of_the_shipped_models() -> None:
    assert len([one for one in CIRCUITS if one.shipped is None]) >= 12
    shipped = {"demo-induction", "demo-names", "demo-duplicate-marking", "demo-induction-grouped"}
    assert {one.name for one in CIRCUITS if one.shipped} == shipped
    assert set(PAIRS) == set(hg.library)


@circuits
def test_the_selections_are_the_heads_of_the_source(circuit: PublishedCircuit) -> None:
    found = {role: components(circuit.selection(anatomy(circuit), role)) for role in circuit.roles}
    assert found == {role: frozenset(pairs) for role, pairs in PAIRS[circuit.name].items()}


@circuits
def test_the_published_shape_fits_and_the_text_is_all_roles(circuit: PublishedCircuit) -> None:
    assert circuit.shape.difference(anatomy(circuit)) == ""
    assert circuit in hg.library.matching(anatomy(circuit))
    together = anatomy(circuit).select([role.selection for role in circuit.roles.values()])
    assert circuit.selection(anatomy(circuit)) == together
    assert not together - "l*"


@circuits
def test_roles_overlap_only_where_a_note_says_so(circuit: PublishedCircuit) -> None:
    parts = [components(circuit.selection(anatomy(circuit), role)) for role in circuit.roles]
    overlap = sum(map(len, parts)) > len(frozenset().union(*parts))
    assert overlap == (circuit.name in OVERLAP)
    assert not overlap or "may have two" in circuit.note


@circuits
def test_edges_are_between_heads_of_the_circuit_and_go_up(circuit: PublishedCircuit) -> None:
    model = anatomy(circuit)
    whole = components(circuit.selection(model))
    for sender, receiver in circuit.edges:
        side = receiver[-2:] if receiver[-2:] in (".q", ".k", ".v") else ""
        ends = [sender, receiver.removesuffix(side)]
        first, second = (
            components(model.select(circuit.roles[end].selection if end in circuit.roles else end)) for end in ends
        )
        assert first | second <= whole
        assert any(can_reach(one, other) for one in first for other in second), (sender, receiver)
        # a whole role may begin after a part of another, but no head of a sender is left without a receiver
        assert all(any(can_reach(one, other) for other in second) for one in first), (sender, receiver)
    assert bool(circuit.edges) == bool(circuit.edges_of(model))


@circuits
def test_the_citation_has_an_address_and_the_indices_have_a_source(circuit: PublishedCircuit) -> None:
    cited = circuit.citation
    assert cited.authors
    assert cited.title
    assert 2018 <= cited.year <= 2026
    assert circuit.sources
    if circuit.shipped is None:
        assert all(re.fullmatch(r"https://[\w./-]+", url) for url in (cited.url, *circuit.sources))
        assert "arxiv" not in cited.url or re.fullmatch(r"\d{4}\.\d{5}", cited.arxiv)
        assert (cited.arxiv in str(cited)) is bool(cited.arxiv) or not cited.arxiv


@circuits
def test_every_sentence_is_one(circuit: PublishedCircuit) -> None:
    said = [*(role.does for role in circuit.roles.values()), *circuit.disagreements, circuit.note]
    for one in filter(None, said):
        assert one[0].isupper() or one[0].isdigit(), one
        assert one.endswith("."), one
        assert "  " not in one
    assert circuit.title[0].isupper()


@pytest.mark.parametrize("name", [one.name for one in CIRCUITS if one.task is not None and one.example is not None])
def test_a_circuit_with_a_task_says_what_it_puts_in_the_place_of_the_rest(name: str) -> None:
    circuit = hg.library[name]
    assert circuit.mode in ("mean", "patch")
    assert not (circuit.mode == "patch" and circuit.over_corrupted)
