"""One bound for all owners, the least recently used leave first, and an owner's values leave with it."""

from __future__ import annotations

import gc
import weakref

import pytest
import tiny

from headgrid.circuits import composition, products
from headgrid.circuits.factors import Circuits
from headgrid.utils.byte_cache import ByteCache
from headgrid.weights import Weights


class Owner:
    """Anything that can be collected."""


def test_the_least_recently_used_of_any_owner_leaves_first() -> None:
    cache, one, other = ByteCache[str](10), Owner(), Owner()
    cache.put(one, 0, "a", 4)
    cache.put(other, 0, "b", 4)
    assert cache.get(one, 0) == "a"  # used after b
    cache.put(one, 1, "c", 4)
    assert [cache.get(one, 0), cache.get(other, 0), cache.get(one, 1)] == ["a", None, "c"]
    assert cache.bytes == 8


def test_what_is_too_large_alone_is_not_kept_and_a_new_value_takes_the_place_of_the_old() -> None:
    cache, owner = ByteCache[str](10), Owner()
    cache.put(owner, 0, "a", 6)
    cache.put(owner, 0, "b", 7)
    assert (cache.get(owner, 0), cache.bytes) == ("b", 7)
    cache.put(owner, 1, "c", 11)
    assert (cache.get(owner, 0), cache.get(owner, 1)) == ("b", None)


@pytest.mark.slow
def test_what_an_owner_has_leaves_with_it() -> None:
    cache, kept, owner = ByteCache[object](10), Owner(), Owner()
    value = Owner()
    held = weakref.ref(value)
    cache.put(owner, 0, value, 4)
    cache.put(kept, 0, "b", 4)
    del owner, value
    gc.collect()
    assert held() is None
    assert (cache.bytes, cache.get(kept, 0)) == (4, "b")


def test_the_reduced_layers_of_all_models_share_one_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = (Circuits(Weights(tiny.fresh("gpt2")), ln="raw") for _ in range(2))
    size = products.Reduced.at(first, 0).bytes
    cache: ByteCache[tuple[object, products.Reduced]] = ByteCache(3 * size)
    monkeypatch.setattr(products, "_REDUCED", cache)
    made: list[int] = []
    at = products.Reduced.at
    monkeypatch.setattr(products.Reduced, "at", lambda circuits, layer: (made.append(layer), at(circuits, layer))[1])
    found = composition.partners(first, 1, 2)
    assert made == [1, 0, 2]
    assert composition.partners(first, 1, 2) == found
    assert made == [1, 0, 2], "all three are kept"
    composition.partners(second, 1, 2)
    assert cache.bytes == 3 * size
    assert composition.partners(first, 1, 2) == found
    assert made == [1, 0, 2] * 3, "those of the other model took their room"
