"""What a user installs: the wheel holds the bundle and the models, and building it needs no node."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent


SCRIPTS = ROOT / "scripts"
TRAINING = {
    path.relative_to(SCRIPTS).as_posix()
    for path in (SCRIPTS / "demo_model").rglob("*")
    if path.suffix in (".py", ".md")
}
"""What trains and measures the models that ship."""

DEMO = ROOT / "src" / "headgrid" / "demo"
MODEL_FILES = {
    path.relative_to(DEMO.parent).as_posix()
    for path in DEMO.rglob("*")
    if path.suffix in (".json", ".safetensors", ".md")
}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("built")
    # this environment's hatchling, and a PATH on which there is no node
    environment = {**os.environ, "PATH": str(Path(sys.executable).parent)}
    build = [sys.executable, "-m", "build", "--wheel", "--sdist", "--no-isolation", "--outdir", str(out)]
    subprocess.run(build, cwd=ROOT, env=environment, check=True, capture_output=True)
    return out


@pytest.fixture(scope="module")
def wheel(built: Path) -> zipfile.ZipFile:
    return zipfile.ZipFile(next(built.glob("headgrid-*.whl")))


def test_the_wheel_holds_the_bundle_and_the_models(wheel: zipfile.ZipFile) -> None:
    names = set(wheel.namelist())
    assert {f"demo/{folder}/{name}" for folder in ("model", "names", "gqa", "types", "training/step-0725")
            for name in ("config.json", "model.safetensors")} <= MODEL_FILES  # fmt: skip
    for name in ["widget/static/widget.js", "widget/static/widget.css", "py.typed", "plots/attention_view.js",
                 "plots/attention_view.css", *MODEL_FILES]:  # fmt: skip
        committed = ROOT / "src" / "headgrid" / name
        assert wheel.read(f"headgrid/{name}") == committed.read_bytes()
    assert any(name.endswith("LICENSE") for name in names)


def test_the_wheel_holds_nothing_else(wheel: zipfile.ZipFile) -> None:
    assert {Path(name).parts[0].split("-")[0] for name in wheel.namelist()} == {"headgrid"}
    assert not [name for name in wheel.namelist() if "__pycache__" in name or "test" in name]
    models = {f"headgrid/{name}" for name in MODEL_FILES}
    assert sum(info.file_size for info in wheel.infolist() if info.filename in models) < 4_000_000
    assert sum(info.file_size for info in wheel.infolist() if info.filename not in models) < 2_400_000


def test_what_trains_the_models_is_in_the_sources_and_not_in_the_wheel(wheel: zipfile.ZipFile, built: Path) -> None:
    assert {"demo_model/train.py", "demo_model/names/train.py", "demo_model/names/card.md"} <= TRAINING
    installed = {path.name for path in map(Path, wheel.namelist()) if path.parent.name == "demo"}
    assert installed >= {"__init__.py", "prompts.py"}
    assert "train.py" not in installed
    assert not [name for name in wheel.namelist() if "demo_model" in name]
    with tarfile.open(next(built.glob("headgrid-*.tar.gz"))) as archive:
        sources = {Path(*Path(name).parts[1:]).as_posix() for name in archive.getnames()}
    assert {f"scripts/{name}" for name in TRAINING} <= sources


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
