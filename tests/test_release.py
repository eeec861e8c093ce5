"""What must be the same in several files of a release, and what it says of itself."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import headgrid

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_the_version_stands_in_one_place_and_is_the_same_wherever_it_is_repeated() -> None:
    assert "version" not in PROJECT
    assert PROJECT["dynamic"] == ["version"]
    assert re.fullmatch(r"\d+\.\d+\.\d+((a|b|rc)\d+)?", headgrid.__version__)
    citation = (ROOT / "CITATION.cff").read_text()
    assert re.findall(r"^version: (.*)$", citation, flags=re.MULTILINE) == [headgrid.__version__]
    assert json.loads((ROOT / "js" / "package.json").read_text())["version"] == headgrid.__version__
    lock = json.loads((ROOT / "js" / "package-lock.json").read_text())
    assert lock["version"] == lock["packages"][""]["version"] == headgrid.__version__
    newest = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), flags=re.MULTILINE)[0]
    assert newest == headgrid.__version__


def test_the_pythons_that_are_named_are_those_that_are_allowed_and_were_tried() -> None:
    named = {one.rpartition(" ")[2] for one in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", one)}
    assert f">={min(named, key=lambda version: int(version[2:]))}" == PROJECT["requires-python"]
    tried = (ROOT / "docs" / "versions.md").read_text()
    assert named == set(re.findall(r"^\| (3\.\d+)\.\d+ \|", tried, flags=re.MULTILINE))


def test_the_oldest_versions_are_those_that_were_tried() -> None:
    least = dict(re.findall(r"^([\w-]+)>=([\d.]+)$", "\n".join(PROJECT["dependencies"]), flags=re.MULTILINE))
    columns, *rows = re.findall(r"^\| (.*) \|$", (ROOT / "docs" / "versions.md").read_text(), flags=re.MULTILINE)
    oldest = next(dict(zip(columns.split(" | "), row.split(" | "), strict=True)) for row in rows if "oldest" in row)
    for package in ("torch", "transformers", "anywidget", "ipywidgets"):
        assert oldest[package].startswith(least[package]), package
