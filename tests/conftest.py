"""What every test run has in common."""

from __future__ import annotations

import os

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


def pytest_configure(config: pytest.Config) -> None:
    """Watch the run for docs/families.md, which says what the tests found of every family."""
    from families_table import Table

    config.pluginmanager.register(Table())
