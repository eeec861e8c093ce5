"""Every test begins with no exercise made."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from headgrid.course.registry import REGISTRY


@pytest.fixture(autouse=True)
def none_made() -> Iterator[None]:
    REGISTRY.clear()
    yield
    REGISTRY.clear()
