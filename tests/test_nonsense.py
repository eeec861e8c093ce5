"""Every argument that a user can give, fed with nonsense: it is refused in a sentence, or the result is right.

A row of the table is one argument of one function. Each is given all of `VALUES`, and some of its own. What a row says
of a value, in `right`, is what the call gives for it. Every other value is refused: by a `raise` of headgrid's own of a
`TypeError`, a `ValueError`, a `KeyError`, an `IndexError` or an `OSError` (or a subclass) whose first line is a
sentence. There is no third outcome. `python tests/test_nonsense.py` counts the calls.
"""

from __future__ import annotations

import inspect
from collections import Counter
from pathlib import Path

import pytest
from nonsense import ROWS
from nonsense.judge import outcome

from headgrid import plots

pytestmark = pytest.mark.slow


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("argument", ROWS)
def test_nonsense_is_refused_in_a_sentence_or_gives_the_right_result(
    argument: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    row = ROWS[argument]
    assert set(row.right) - set(row.skip) <= set(row.values())
    others = {name: said for name in row.values() if (said := outcome(row, name)) not in ("refused", "right")}
    assert not others, f"{argument}: " + "\n".join(f"{name}: {said}" for name, said in others.items())
    assert not list(tmp_path.iterdir()), "nothing is written for what is refused"


@pytest.mark.parametrize("name", plots.__all__)
def test_every_argument_of_a_figure_is_in_the_table(name: str) -> None:
    what, *named = inspect.signature(getattr(plots, name)).parameters
    assert {row for row in ROWS if row.startswith(f"plots.{name}(")} == {
        f"plots.{name}(it)", *(f"plots.{name}({argument}=it)" for argument in named)
    }, what  # fmt: skip


def test_the_table_is_large() -> None:
    assert sum(len(row.values()) for row in ROWS.values()) >= 5000


def count() -> Counter[str]:
    """How many calls there are, refused, right, and with another outcome."""
    found = [outcome(row, name) for row in ROWS.values() for name in row.values()]
    return Counter(said if said in ("refused", "right") else "other" for said in found)


if __name__ == "__main__":
    counts = count()
    print(f"{len(ROWS)} arguments, {counts.total()} calls: {counts['refused']} refused with a sentence, "
          f"{counts['right']} with the right result, {counts['other']} with another outcome")  # fmt: skip
