"""One table of words: a kind of part that nobody knew becomes a word everywhere by one row."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import headgrid
from headgrid.anatomy.roles import OUTSIDE_LAYERS, ROLES
from headgrid.selection.words import BY_AXIS, LAYER_WORDS, OUTSIDE_WORDS, SIDES, WORDS

README = Path(__file__).parent.parent.parent / "README.md"

ASKED = """
import json, sys
from dataclasses import replace
import numpy as np
import headgrid as hg
from headgrid.anatomy.slots import Slot
from headgrid.selection.completion import complete
from headgrid.selection.selection import Selection
from headgrid.widget.state.cells import Cells

role, axes, sizes, typed = sys.argv[1], sys.argv[2], json.loads(sys.argv[3]), json.loads(sys.argv[4])
sizes_of_all = {"n_layers": 3, "d_model": 12, "d_head": 3, "n_heads": 4, "n_ctx": 9, "d_vocab": 31}
plain = hg.dissect({**sizes_of_all, "act_fn": "gelu"})
added = tuple(Slot(role, layer, f"blocks.{layer}.new", axes, sizes) for layer in (0, 2))
stack = plain.stacks[0]
anatomy = replace(
    plain,
    parameters={**plain.parameters, **{slot.parameter: slot.shape for slot in added}},
    stacks=(replace(stack, slots=(*stack.slots, *added)),),
)
cells, random = Cells(anatomy), np.random.default_rng(0)
read_back = []
for _ in range(200):
    some = {}
    for key, there in anatomy.exists.items():
        bits = there & (random.random(there.shape) < random.choice([0.2, 0.8, 1]))
        if bits.any() and (key == role or random.random() < 0.5):
            some[key] = bits
    one = Selection(anatomy, some)
    read_back.append(anatomy.select(str(one)) == one)
print(json.dumps({
    "printed": [str(anatomy.select(text)) for text in typed],
    "parts": [{key: bits.tolist() for key, bits in anatomy.select(text).parts.items()} for text in typed],
    "read_back": all(read_back),
    "whole layer": role in anatomy.select("l2").parts,
    "offered": {text: complete(anatomy, text, len(text)).items for text in typed},
    "cells": [cells.describe(int(cell))[:2] for cell in np.flatnonzero(~cells.absent)],
}))
"""


def with_rows(tmp_path: Path, roles: str, words: str) -> Path:
    """A copy of the package with a row more in the table of roles and in that of words, and nothing else changed."""
    package = tmp_path / "headgrid"
    shutil.copytree(Path(headgrid.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    for file, last, row in [
        ("anatomy/roles.py", '    "ln2_post.b": .*\n', roles),
        ("selection/words.py", '    Word\\("ln2_post".*\n', words),
    ]:
        text = (package / file).read_text()
        changed, times = re.subn(last, lambda found, row=row: f"{found.group()}    {row}\n", text)
        assert times == 1
        (package / file).write_text(changed)
    return tmp_path


def asked(path: Path, *given: object) -> Any:
    """What a process that imports the package from a folder says of a model with such parts."""
    found = subprocess.run(
        [sys.executable, "-c", ASKED, *(one if isinstance(one, str) else json.dumps(one) for one in given)],
        env={"PYTHONPATH": str(path), "PATH": ""}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    return json.loads(found.stdout)


@pytest.mark.slow
def test_a_new_kind_of_part_is_one_row(tmp_path: Path) -> None:
    path = with_rows(
        tmp_path,
        '"probe.w": Role("m", "probe"),',
        'Word("probe", "linear probe", ("probe",), also=("linear probe",), shown=Shown("rest", 11, "probe")),',
    )
    found = asked(path, "probe.w", "m", {"m": 12}, ["l2 probe", "L2 LINEAR  Probe", "l* probe.w"])
    assert found["printed"] == ["l2 probe", "l2 probe", "l* probe"]
    assert found["parts"][0] == found["parts"][1] == {"probe.w": [[False], [False], [True]]}
    assert found["parts"][2] == {"probe.w": [[True], [False], [True]]}
    assert found["read_back"]
    assert found["whole layer"]
    assert found["offered"]["l2 probe"][0] == ["l2 probe", "linear probe"]
    assert [cell for cell in found["cells"] if "probe" in cell[0]] == [
        ["l0 probe", "layer 0 linear probe"],
        ["l2 probe", "layer 2 linear probe"],
    ]


@pytest.mark.slow
def test_a_new_kind_of_part_with_numbers_is_one_row(tmp_path: Path) -> None:
    path = with_rows(
        tmp_path,
        '"memory": Role("s m", "memory"),',
        'Word("memory", "memory", ("memory",), plural="memories", axis="s", shown=Shown("expert", 11, each=True)),',
    )
    roles = path / "headgrid" / "anatomy" / "roles.py"  # and along which letter the parts lie
    roles.write_text(roles.read_text().replace("PART_AXIS = {", 'PART_AXIS = {"memory": "s", '))
    found = asked(path, "memory", "m s", {"m": 12, "s": 5}, ["l2 memory1-3", "l2 memory *", "l[0,2] memory 4"])
    assert found["printed"] == ["l2 memory1-3", "l2 memory*", "l* memory4"]
    assert found["parts"][0] == {"memory": [[False] * 5, [False] * 5, [False, True, True, True, False]]}
    assert found["read_back"]
    assert found["whole layer"]
    assert found["offered"]["l2 memory1-3"][0] == ["l2 memory1-3", "memories 1-3 of layer 2"]
    assert [cell for cell in found["cells"] if cell[0].startswith("l2 memory")] == [
        [f"l2 memory{i}", f"layer 2 memory {i}"] for i in range(5)
    ]


def test_every_owner_has_a_word_and_every_word_an_owner() -> None:
    owners = {role.owner for role in ROLES.values()}
    assert {*LAYER_WORDS[""].owners} == owners - {*OUTSIDE_LAYERS}
    assert {owner for word in OUTSIDE_WORDS.values() for owner in word.owners} == {*OUTSIDE_LAYERS}
    for word in (*LAYER_WORDS.values(), *OUTSIDE_WORDS.values(), *SIDES.values()):
        assert word.owners
        assert set(word.owners) <= owners, word


def test_a_word_is_typed_in_one_way_only() -> None:
    """No two words of one place fit one text whole: which is meant would hang on the order of the table."""
    for place in (LAYER_WORDS, OUTSIDE_WORDS):
        ways = [way for word in place.values() if word.text for way in (word.text, *word.also)]
        assert len(set(ways)) == len(ways)
        for way in ways:
            assert sum(bool(re.fullmatch(word.pattern, way)) for word in place.values() if word.text) == 1, way


@pytest.mark.parametrize("word", [word for word in WORDS if word.text], ids=lambda word: f"{word.place} {word.text}")
def test_the_readme_names_every_word(word: Any) -> None:
    table = "\n".join(line for line in README.read_text().splitlines() if line.startswith("| `"))
    after = {"layer": rf"l[\d*]+\s?{word.text}", "side": rf"\.{word.text}"}.get(word.place, word.text)
    assert re.search(rf"`[^`]*{after}{'' if word.axis else chr(92) + 'b'}[^`]*`", table), word


def test_the_numbers_of_a_letter_follow_one_word() -> None:
    assert {axis: word.text for axis, word in BY_AXIS.items()} == {"g": "g", "n": "h", "f": "mlp n", "e": "e"}
