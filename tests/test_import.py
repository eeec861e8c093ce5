from __future__ import annotations

import subprocess
import sys

import headgrid as hg


def test_importing_headgrid_imports_no_heavy_library() -> None:
    code = "import sys, headgrid; print(*sys.modules)"
    loaded = set(
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    )
    assert "headgrid.selection" in loaded
    assert not loaded & {
        "transformers",
        "transformer_lens",
        "pandas",
        "matplotlib",
        "rich",
        "tokenizers",
        "safetensors",
        "ipywidgets",
        "headgrid.library.entries",
    }


def test_the_public_names_are_few_and_exist() -> None:
    assert len(hg.__all__) <= 28
    assert all(hasattr(hg, name) for name in hg.__all__)
    assert all(getattr(hg, name).__doc__ for name in hg.__all__)
