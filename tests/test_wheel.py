"""What a user installs: the wheel holds the bundle and the model, and building it needs no node."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    out = tmp_path_factory.mktemp("wheel")
    # this environment's hatchling, and a PATH on which there is no node
    environment = {**os.environ, "PATH": str(Path(sys.executable).parent)}
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out)]
    subprocess.run(build, cwd=ROOT, env=environment, check=True, capture_output=True)
    return zipfile.ZipFile(next(out.glob("headgrid-*.whl")))


def test_the_wheel_holds_the_bundle_and_the_model(wheel: zipfile.ZipFile) -> None:
    names = set(wheel.namelist())
    for name in ["widget/static/widget.js", "widget/static/widget.css", "py.typed", "demo/model/config.json",
                 "demo/model/model.safetensors", "demo/model/tokenizer.json", "demo/model/README.md"]:  # fmt: skip
        committed = ROOT / "src" / "headgrid" / name
        assert wheel.read(f"headgrid/{name}") == committed.read_bytes()
    assert any(name.endswith("LICENSE") for name in names)


def test_the_wheel_holds_nothing_else(wheel: zipfile.ZipFile) -> None:
    assert {Path(name).parts[0].split("-")[0] for name in wheel.namelist()} == {"headgrid"}
    assert not [name for name in wheel.namelist() if "__pycache__" in name or "test" in name]
    assert sum(info.file_size for info in wheel.infolist()) < 2_200_000


def test_the_wheel_runs_where_nothing_else_of_the_project_is(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    wheel.extractall(tmp_path)
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import headgrid as hg;"
        "assert hg.__file__.startswith(sys.path[0]);"
        "grid = hg.HeadGrid(*hg.demo(), select='l1h2');"
        "print(len(grid.masks), len(grid._esm) > 10_000, len(grid._css) > 1_000)"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["3", "True", "True"]
