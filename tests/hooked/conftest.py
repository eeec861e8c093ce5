"""These tests need TransformerLens 2 or 3, which had HookedTransformer: `make hooked` runs them, a plain pytest not."""

from __future__ import annotations

from importlib.metadata import version

collect_ignore_glob = [] if int(version("transformer-lens").split(".")[0]) < 4 else ["test_*.py"]
