"""What is wrong with a site is found: each fault is planted in one that has none."""

from __future__ import annotations

from pathlib import Path

import pytest
from docs_site import links

RIGHT = {
    "index.html": '<a href="howto/a.html#there">a</a><a href="#here">h</a><h1 id="here"></h1><img src="b.png">'
    '<a href="https://example.org">elsewhere</a><link rel="canonical" href="https://example.org/index.html">',
    "howto/a.html": '<a href="../index.html">back</a><a href="..">folder</a><p id="there"></p>',
    "b.png": "",
    "style.css": "p { background: url(b.png) }",
}


def faults(folder: Path, **changed: str) -> list[str]:
    for name, text in {**RIGHT, **{name.replace("_", "."): text for name, text in changed.items()}}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return links.faults(folder)


def test_a_right_site_has_no_faults(tmp_path: Path) -> None:
    assert faults(tmp_path) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('<a href="gone.html">x</a>', "index.html links to gone.html: there is no such file"),
        ('<a href="howto/a.html#gone">x</a>', "index.html links to howto/a.html#gone: the page has no such anchor"),
        ('<a href="#gone">x</a>', "index.html links to #gone: the page has no such anchor"),
        ('<a href="../outside.html">x</a>', "index.html links to ../outside.html: it leads out of the site"),
        ('<img src="gone.png">', "index.html links to gone.png: there is no such file"),
        ('<script src="https://cdn.org/a.js"></script>', "index.html loads https://cdn.org/a.js from another host"),
        ('<link rel="stylesheet" href="//cdn.org/a.css">', "index.html loads //cdn.org/a.css from another host"),
    ],
)
def test_a_fault_is_said_with_its_page_and_its_link(tmp_path: Path, text: str, said: str) -> None:
    assert faults(tmp_path, index_html=RIGHT["index.html"] + text) == [said]


def test_a_style_sheet_that_asks_another_host_is_a_fault(tmp_path: Path) -> None:
    found = faults(tmp_path, style_css='@import "https://fonts.org/a.css"; p { background: url(//cdn.org/b.png) }')
    assert found == [
        "style.css loads https://fonts.org/a.css from another host",
        "style.css loads //cdn.org/b.png from another host",
    ]
