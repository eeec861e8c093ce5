from __future__ import annotations

import numpy as np
import pytest

from headgrid.widget import wire
from headgrid.widget.head_grid import HeadGrid


def test_a_set_of_cells_is_one_bit_each_the_first_in_the_lowest() -> None:
    bits = np.zeros(19, dtype=np.bool_)
    bits[[0, 9, 18]] = True
    assert wire.pack(bits) == bytes([1, 2, 4])
    assert (wire.unpack(bytes([1, 2, 4]), 19) == bits).all()


def test_bits_of_another_length_or_beyond_the_last_cell_are_refused() -> None:
    with pytest.raises(ValueError, match="2 bytes came for 19 cells, which take 3"):
        wire.unpack(b"\0\0", 19)
    with pytest.raises(ValueError, match="a bit beyond the last of 19 cells is set"):
        wire.unpack(bytes([0, 0, 8]), 19)


def test_the_widget_syncs_the_traits_of_the_wire_and_no_others_of_its_own() -> None:
    own = {name for name, trait in HeadGrid.class_traits(sync=True).items() if trait.this_class is HeadGrid}
    assert own == set(wire.TRAITS)
