"""What an installed headgrid must do anywhere: `python scripts/smoke.py` in its environment, away from the sources.

It uses the shipped model, and nothing but headgrid and what it requires. It prints the versions that it ran with, one a
line, and ends with an error where something is not as it was to be.
"""

from __future__ import annotations

import platform
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path


def main() -> None:
    """Imports, selects, makes masks, records, proves, measures and writes a page."""
    import headgrid as hg

    assert not {"transformers", "matplotlib", "pandas", "ipywidgets"} & set(sys.modules), "importing headgrid is cheap"
    import torch

    model, tokenizer = hg.demo()
    grid = hg.HeadGrid(model, tokenizer, select="l0h1 | l1h2")
    assert len(grid.masks) == 6
    assert int(grid.masks["transformer.h.1.attn.c_proj.weight"].sum()) == 24 * 96
    sent = grid.get_state()
    assert sent["text"]["selection"] == "l0h1 | l1h2", "what a browser is sent"
    assert len(sent["_esm"]) > 100_000, "the bundle"

    task = hg.Task.repeated(tokenizer, n=4, length=12)
    assert hg.attention(model, task, "l1h2").score("induction")["l1h2"] > 0.6
    with hg.record(model, "l1h2", points=["pattern", "z"]) as cache, torch.no_grad():
        model(task.ids)
    assert torch.allclose(cache["l1h2.pattern"].sum(-1), torch.ones(())), "a pattern's rows sum to one"
    effect = hg.effect(model, task, "l1h2", modes=["zero"])
    assert effect["zero"].mean > 1, "without its induction head the model cannot repeat"
    assert hg.compose(model).top(1)[0].target == (1, 2)
    hg.verify(model).raise_if_failed()

    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "grid.html"
        grid.to_html(page)
        assert 150_000 < page.stat().st_size < 1_000_000

    print(f"python {platform.python_version()}")
    for package in ("headgrid", "torch", "transformers", "anywidget", "ipywidgets", "numpy", "traitlets", "jaxtyping"):
        print(f"{package} {version(package)}")


if __name__ == "__main__":
    main()
