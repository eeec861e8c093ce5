"""A reader's heads beside a circuit's; chance is counted out by going through every selection of as many."""

from __future__ import annotations

from itertools import combinations

import pytest
from published_shapes import anatomy_of

import headgrid as hg
from headgrid.library.diff import at_least, can_reach

IOI = hg.library["ioi"]
SMALL = anatomy_of("gpt2")


@pytest.mark.parametrize(("pool", "marked", "drawn"), [(8, 3, 4), (9, 2, 5), (7, 7, 2), (6, 1, 6), (5, 2, 0)])
def test_the_chance_of_so_many_hits_is_that_of_all_draws_one_by_one(pool: int, marked: int, drawn: int) -> None:
    hits = [sum(one < marked for one in draw) for draw in combinations(range(pool), drawn)]
    for least in range(min(marked, drawn) + 1):
        assert at_least(least, pool, marked, drawn) == pytest.approx(sum(one >= least for one in hits) / len(hits))


def test_what_is_found_missing_and_in_no_role_is_said_role_by_role() -> None:
    found = IOI.diff(SMALL.select("l9h[6,9] | l10h7 | l5h5 | l0h0 | l11h3"))
    assert {one.role: one.n_found for one in found.roles if one.n_found} == {
        "induction": 1, "name mover": 2, "negative name mover": 1}  # fmt: skip
    assert str(found["name mover"].missing) == "l10h0"
    assert str(found["name mover"].found) == "l9h[6,9]"
    assert str(found.extra) == "l0h0 | l11h3"
    assert (found.n_mine, found.n_all, found.whole.n) == (6, 144, 26)
    assert (found.precision, found.recall) == (pytest.approx(4 / 6), pytest.approx(4 / 26))
    assert (found.chance_precision, found.chance_recall) == (pytest.approx(26 / 144), pytest.approx(6 / 144))
    assert found["name mover"].expected == pytest.approx(6 * 3 / 144)
    assert found["name mover"].recall == pytest.approx(2 / 3)
    assert found["duplicate token"].p_value == 1
    assert found["name mover"].p_value < 0.01 < found["induction"].p_value
    with pytest.raises(KeyError, match="'mover' is no role of Indirect object identification: it has duplicate"):
        found["mover"]


def test_the_whole_circuit_is_found_of_itself_and_nothing_of_nothing() -> None:
    found = IOI.diff(IOI.selection(SMALL))
    assert (found.precision, found.recall) == (1, 1)
    assert not found.extra
    assert not found.whole.missing
    assert found.whole.p_value < 1e-25
    empty = IOI.diff(SMALL.select("none"))
    assert (empty.precision, empty.recall, empty.whole.p_value, empty.n_mine) == (0, 0, 1, 0)


def test_mlps_count_where_the_circuit_has_some_and_not_elsewhere() -> None:
    mine = SMALL.select("l9 mlp | l10 mlp | l4 mlp | l9h1")
    years = hg.library["greater-than"].diff(mine)
    assert (years.n_mine, years.n_all) == (4, 156)
    assert str(years["late MLPs"].found) == "l9-10 mlp"
    assert str(years.extra) == "l4 mlp"
    assert years.notes == ()
    names = IOI.diff(mine)
    assert (names.n_mine, names.n_all) == (1, 144)
    assert names.notes == ("Not counted, as it is selected in part, or no head: l[4,9-10] mlp.",)


def test_a_head_that_is_selected_in_part_is_not_counted_and_is_said() -> None:
    found = IOI.diff(SMALL.select("l9h9.q | l10h0"))
    assert str(found["name mover"].found) == "l10h0"
    assert found.notes == ("Not counted, as it is selected in part, or no head: l9h9.q.",)


def test_a_text_needs_the_model_that_it_is_of_and_a_grid_knows_it() -> None:
    assert IOI.diff("9.9 | 10.0", SMALL).whole.n_found == 2
    assert IOI.diff([(9, 9), (0, 0)], SMALL).whole.n_found == 1
    with pytest.raises(TypeError, match=r"diff takes a selection, which knows its model, not 'l9h9': give model="):
        IOI.diff("l9h9")
    grid = IOI.open(SMALL)
    grid.select("l9h9")
    assert IOI.diff(grid).whole.n_found == 1


def test_a_selection_of_another_model_is_refused() -> None:
    other = anatomy_of("headgrid.demo()").select("l1h2")
    with pytest.raises(ValueError, match="n_layers 2 instead of 12, so its heads are not those of Indirect"):
        IOI.diff(other)


def test_it_prints_as_a_table_and_as_one_of_html_and_of_pandas() -> None:
    found = IOI.diff(SMALL.select("l9h[6,9] | l0h0"))
    said = repr(found)
    assert "precision 0.67 (by chance 0.18), recall 0.08 (by chance 0.02)" in said
    assert "name mover           2 of 3  " in said
    assert said.endswith("in no role: l0h0")
    page = found._repr_html_()
    assert page.count("<tr>") == 1 + 7 + 1
    assert "<td>2 of 3</td>" in page
    table = found.to_dataframe()
    assert list(table["role"]) == [*IOI.roles, "the circuit"]
    assert table.set_index("role").loc["name mover", "n_found"] == 2


def test_only_what_comes_later_can_be_reached() -> None:
    assert can_reach((0, 1), (1, 2))
    assert not can_reach((1, 2), (0, 1))
    assert not can_reach((1, 2), (1, 3))
    assert can_reach((1, 2), (1, -1)), "an MLP reads what the heads of its layer write"
    assert not can_reach((1, -1), (1, 2))
    assert not can_reach((1, -1), (1, -1))
