from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args, get_type_hints, is_typeddict

import numpy as np
import pytest

import headgrid as hg
from headgrid.widget.head_grid import HeadGrid
from headgrid.widget.wire import schema


def structs(hint: Any) -> Iterator[type]:
    """The structures that a type is made of, itself included."""
    if is_typeddict(hint):
        yield hint
    for inner in get_type_hints(hint).values() if is_typeddict(hint) else get_args(hint):
        yield from structs(inner)


def check(value: Any, hint: Any) -> None:
    """Asserts that a value that is sent has exactly the fields that its type has, all the way down."""
    if is_typeddict(hint):
        fields = get_type_hints(hint)
        assert set(value) == set(fields), hint.__name__
        for name, inner in fields.items():
            check(value[name], inner)
    elif isinstance(value, list):
        for item in value:
            check(item, get_args(hint)[0])
    else:
        assert value in get_args(hint) if get_args(hint) else isinstance(value, hint)


def test_a_set_of_cells_is_one_bit_each_the_first_in_the_lowest() -> None:
    bits = np.zeros(19, dtype=np.bool_)
    bits[[0, 9, 18]] = True
    assert schema.pack(bits) == bytes([1, 2, 4])
    assert (schema.unpack(bytes([1, 2, 4]), 19) == bits).all()


def test_bits_of_another_length_or_beyond_the_last_cell_are_refused() -> None:
    with pytest.raises(ValueError, match="2 bytes came for 19 cells, which take 3"):
        schema.unpack(b"\0\0", 19)
    with pytest.raises(ValueError, match="a bit beyond the last of 19 cells is set"):
        schema.unpack(bytes([0, 0, 8]), 19)


def test_the_widget_syncs_the_traits_of_the_wire_and_no_others_of_its_own() -> None:
    traits = HeadGrid.class_traits(sync=True).items()
    own = {name for name, trait in traits if str(trait.this_class.__module__).startswith("headgrid.")}
    assert own == set(schema.TRAITS)


def test_every_structure_that_crosses_has_its_typescript() -> None:
    written = schema.typescript()
    found = {struct.__name__ for hint, _ in schema.TRAITS.values() for struct in structs(hint)}
    assert found >= {"GridSpec", "Band", "StackTab", "Row", "Column"}
    for name in found:
        assert f"export interface {name} {{" in written
    assert 'provenance: "table" | "doubted" | "guess" | "proven";' in written
    assert "stacks: StackTab[];" in written


def test_a_spec_has_the_fields_of_the_wire_and_no_others() -> None:
    spec = HeadGrid(hg.demo()[0]).spec
    check(spec, schema.GridSpec)
    assert spec["version"] == schema.VERSION
    assert spec["stacks"] == []
    assert {band["stack"] for band in spec["bands"]} == {""}
    assert (spec["provenance"], spec["provenance_note"]) == ("table", "")
