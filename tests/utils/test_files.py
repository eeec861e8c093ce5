"""Files are written whole or not at all, whoever else writes, and whatever was planted where they go."""

from __future__ import annotations

import multiprocessing
import os
import re
import stat
import subprocess
import sys
import threading
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import tiny

import headgrid as hg
from headgrid.utils import files

AS_NOBODY = """
import os, sys
from headgrid.utils import files
if os.getuid() == 0:
    os.setgid(65534); os.setuid(65534)
try:
    files.write(sys.argv[1], b"new")
except PermissionError as fault:
    print(str(fault).splitlines()[0])
"""


def names(folder: Path) -> list[str]:
    return sorted(one.name for one in folder.iterdir())


def test_bytes_and_texts_are_written_by_text_and_by_path(tmp_path: Path) -> None:
    files.write(str(tmp_path / "a"), b"\xff\x00")
    files.write(tmp_path / "b", "é\n")
    files.write(PurePosixPath(tmp_path / "c"), "half \ud83d")
    assert [(tmp_path / name).read_bytes() for name in "abc"] == [b"\xff\x00", "é\n".encode(), b"half ?"]
    assert names(tmp_path) == ["a", "b", "c"]


def test_threads_that_write_into_one_folder_lose_no_file(tmp_path: Path) -> None:
    faults: list[Exception] = []

    def many(writer: int) -> None:
        for n in range(150):
            try:
                files.write(tmp_path / f"{writer}-{n}", f"{writer} {n}" * 50)
            except Exception as fault:
                faults.append(fault)

    threads = [threading.Thread(target=many, args=(writer,)) for writer in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    found = {one.name: one.read_text() for one in tmp_path.iterdir()}
    assert found == {f"{writer}-{n}": f"{writer} {n}" * 50 for writer in range(4) for n in range(150)}


def test_two_pages_that_are_written_into_one_folder_at_once_are_both_there(tmp_path: Path) -> None:
    grids = [hg.HeadGrid(tiny.config("gpt2"), select=words) for words in ("l0h1", "l1h2")]
    for turn in range(8):
        threads = [
            threading.Thread(target=grid.to_html, args=(tmp_path / f"{turn}-{i}.html",)) for i, grid in enumerate(grids)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert names(tmp_path) == [f"{turn}-{i}.html" for turn in range(8) for i in range(2)]
    for i, words in enumerate(("l0h1", "l1h2")):
        assert {f"<code>{words}</code>" in (tmp_path / f"{turn}-{i}.html").read_text() for turn in range(8)} == {True}


def _same_file(path: str, letter: str) -> None:
    for _ in range(60):
        files.write(path, letter * 200_000)


def test_processes_that_write_one_file_leave_the_whole_of_one_of_them(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    path = tmp_path / "one"
    path.write_text("a" * 200_000)
    writers = [context.Process(target=_same_file, args=(str(path), letter)) for letter in "bc"]
    for writer in writers:
        writer.start()
    seen = set[str]()
    while any(writer.is_alive() for writer in writers):
        text = path.read_text()
        assert len(text) == 200_000
        assert len(set(text)) == 1
        seen |= set(text)
    assert [writer.exitcode for writer in writers] == [0, 0]
    assert names(tmp_path) == ["one"]
    assert seen <= {"a", "b", "c"}


def test_links_planted_under_the_names_of_unfinished_files_are_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("mine")
    folder = tmp_path / "open"
    folder.mkdir()
    for name in (f".{os.getpid()}.part", ".00.part"):
        (folder / name).symlink_to(secret)
    tokens = iter(["00", "11"])  # even for a name that was foreseen
    monkeypatch.setattr(files.secrets, "token_hex", lambda _: next(tokens))
    files.write(folder / "page.html", "page")
    assert secret.read_text() == "mine"
    assert (folder / "page.html").read_text() == "page"
    assert names(folder) == sorted([f".{os.getpid()}.part", ".00.part", "page.html"])


def test_a_second_name_of_the_same_file_keeps_what_was_in_it(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("old")
    os.link(tmp_path / "other", tmp_path / "page")
    files.write(tmp_path / "page", "new")
    assert (tmp_path / "other").read_text() == "old"
    assert (tmp_path / "page").read_text() == "new"


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_a_new_file_has_the_permissions_that_open_gives(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        (tmp_path / "opened").write_text("x")
        files.write(tmp_path / "written", "x")
    finally:
        os.umask(before)
    assert (tmp_path / "written").stat().st_mode == (tmp_path / "opened").stat().st_mode


def test_a_file_that_is_there_keeps_its_permissions(tmp_path: Path) -> None:
    path = tmp_path / "run"
    path.write_text("old")
    path.chmod(0o750)
    files.write(path, "new")
    assert stat.S_IMODE(path.stat().st_mode) == 0o750
    assert path.read_text() == "new"


@pytest.mark.slow
def test_a_file_and_a_folder_that_may_not_be_written_are_named(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    locked = tmp_path / "locked"
    locked.mkdir()
    (locked / "there").write_text("old")
    (locked / "there").chmod(0o666)
    readonly = tmp_path / "readonly"
    readonly.write_text("old")
    readonly.chmod(0o444)
    locked.chmod(0o555)
    tmp_path.chmod(0o777)
    for one in tmp_path.parents:
        if one.name.startswith(("pytest-", "popen-")) or one == tmp_path_factory.getbasetemp():
            one.chmod(0o755)

    def said(path: Path) -> str:
        command = [sys.executable, "-c", AS_NOBODY, str(path)]
        run = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ})
        return run.stdout.strip()

    try:
        assert said(locked / "new") == f"no file may be written into {str(locked)!r}; give a path in another folder"
        assert "no file may be written into" in said(locked / "there")
        assert said(readonly) == f"{str(readonly)!r} may not be written: it is read-only; give another path"
        assert names(locked) == ["there"]
        assert readonly.read_text() == (locked / "there").read_text() == "old"
    finally:
        locked.chmod(0o755)


@pytest.mark.parametrize("wrong", [5, True, None, 2.5, b"a.svg", ["a.svg"], object(), type("P", (), {})])
def test_what_is_no_path_is_refused_by_its_kind(wrong: Any) -> None:
    with pytest.raises(TypeError, match=r"^path is the path of a file, as a text or a pathlib.Path, not "):
        files.write(wrong, b"")


@pytest.mark.parametrize(
    ("wrong", "error", "said"),
    [
        ("", IsADirectoryError, "is a folder"),
        (".", IsADirectoryError, "is a folder"),
        ("new/", IsADirectoryError, "is a folder"),
        ("a\0b", ValueError, r"'a\\x00b' cannot be the path of a file: it has a null character"),
        ("file/under", FileNotFoundError, "there is no folder .*file' to write 'under' into"),
        ("~nobody-of-this-name/a", ValueError, "cannot be the path of a file"),
        ("circle", ValueError, "cannot be the path of a file"),
        ("nowhere", FileNotFoundError, "there is no folder"),
    ],
)
def test_a_path_that_cannot_be_written_says_why(
    wrong: str, error: type[Exception], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("old")
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    (tmp_path / "nowhere").symlink_to(tmp_path / "missing" / "file")
    before = names(tmp_path)
    with pytest.raises(error, match=said):
        files.write(wrong, b"new")
    assert names(tmp_path) == before
    assert (tmp_path / "file").read_text() == "old"


@pytest.mark.parametrize("fault", [OSError("no space left"), KeyboardInterrupt()])
@pytest.mark.parametrize("at", ["replace", "chmod"])
def test_what_cannot_be_finished_leaves_the_old_file_and_nothing_else(
    fault: BaseException, at: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "page").write_text("old")

    def fail(*_: Any) -> None:
        raise fault

    monkeypatch.setattr(Path, at, fail)
    with pytest.raises(type(fault)):
        files.write(tmp_path / "page", "new")
    assert names(tmp_path) == ["page"]
    assert (tmp_path / "page").read_text() == "old"


def test_no_other_place_writes_a_file() -> None:
    root = Path(hg.__file__).parent
    for path in root.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        found = re.findall(r"\.write_text\(|\.write_bytes\(|mkstemp|O_CREAT|(?<!def) open\(", text)
        assert not found or path.name == "files.py", (path, found)
