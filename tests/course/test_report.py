"""The report has the last answer of every exercise, goes to JSON and back, and can be read as a table."""

from __future__ import annotations

import pytest

from headgrid.course import Exercise, Report, report


def test_the_last_answers_count_and_the_report_survives_json() -> None:
    assert str(report()) == "no exercise was made yet"
    a, b = (Exercise(name, ask="?", answer=4, points=points) for name, points in (("a <b>", 2), ("b", 1.5)))
    a.check(5)
    a.check(4)
    b.check(4)
    b.check(3)
    found = report()
    rows = [(row.name, row.kind, row.points, row.score, row.state, row.tries) for row in found.rows]
    assert rows == [("a <b>", "number", 2, 1, "right", 2), ("b", "number", 1.5, 0, "wrong", 2)]
    assert (found.earned, found.points, found.said) == (2, 3.5, "2 of 3.5 points")
    assert Report.from_json(found.to_json()) == found
    html = found._repr_html_()
    assert "a &lt;b&gt;" in html
    assert html.count("<tr>") == 3


@pytest.mark.parametrize("wrong", ["", "{}", "[1]", '{"report": 3}', '{"report": [{"version": 1}]}', '{"report": [2]}'])
def test_what_is_no_report_is_refused(wrong: str) -> None:
    with pytest.raises((ValueError, TypeError), match=r"no report|a list of results|no result|version 1"):
        Report.from_json(wrong)
