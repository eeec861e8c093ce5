"""What every test run has in common."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from pathlib import Path

# before transformers is imported: no test may reach for a model hub
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import pytest
import torch
from hypothesis import HealthCheck, settings

# models this small are slower on more threads, and threads make timings and sums depend on the machine
torch.set_num_threads(1)

settings.register_profile(
    "headgrid", deadline=None, derandomize=bool(os.environ.get("CI")), suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("headgrid")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--quick", action="store_true", help="leave out what is slow, and all families but a few that are least alike"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Watch the run for docs/families.md, which says what the tests found of every family."""
    from families_table import Table

    config.addinivalue_line("markers", "slow: takes seconds, and seldom fails alone: left out by --quick")
    config.pluginmanager.register(Table())


@pytest.fixture(scope="module", autouse=True)
def shared_models() -> Iterator[None]:
    """What a test changes in a model that others share would make their results depend on the order of the tests."""
    yield
    changed = sys.modules["tiny"].changed() if "tiny" in sys.modules else []
    assert not changed, f"tests of this module changed the models of {changed}: they are for tests that take tiny.fresh"


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """With `--quick`, files of slow tests alone are not even imported."""
    if config.option.quick and collection_path.suffix == ".py":
        return "\npytestmark = pytest.mark.slow\n" in collection_path.read_text() or None
    return None


def pytest_collection_finish() -> None:
    """Thousands of tests are objects that stay: no collection of garbage reads them, and some tests ask for many."""
    gc.collect()
    gc.freeze()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With `--quick`, what is worth running after every few lines."""
    if not config.option.quick:
        return
    import tiny

    others = set(tiny.FAMILIES) - set(tiny.QUICK)

    def is_slow(item: pytest.Item) -> bool:
        given = item.callspec.params.values() if hasattr(item, "callspec") else ()
        return item.get_closest_marker("slow") is not None or any(
            isinstance(one, str) and one in others for one in given
        )

    left_out = [item for item in items if is_slow(item)]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in set(left_out)]
