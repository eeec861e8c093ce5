"""The one way in which files are written: whole, or not at all."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from headgrid.utils.arguments import printable, shown


def write(path: str | os.PathLike[str], data: bytes | str) -> None:
    """Write a file whole, or not at all: what was there stays until everything is written. No folder is created.

    It is written under a name that nobody can foresee, in the same folder, and then takes its place in one step. So two
    writers never see each other's halves, and the last one wins. A new file has the permissions that `open` would give
    it, and one that is there keeps its own. What a link leads to is written, and not the link; what is no file, such as
    a device or a pipe, is written to.

    Args:
        path: where to.
        data: bytes, or a text, which is written as UTF-8.

    Raises:
        TypeError: when the path is neither a text nor a path.
        ValueError: when no file can have this name.
        FileNotFoundError, IsADirectoryError: when there is no such folder, or when the path is one.
        PermissionError: when the file or its folder may not be written.
    """
    whole = data.encode("utf-8", "replace") if isinstance(data, str) else data
    target = checked(path)
    if target.exists() and not target.is_file():
        target.write_bytes(whole)
        return
    mode = target.stat().st_mode & 0o7777 if target.exists() else None
    descriptor, unfinished = _created(target)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(whole)
        if mode is not None:
            unfinished.chmod(mode)
        unfinished.replace(target)
    except BaseException:  # an interrupt leaves nothing behind either
        unfinished.unlink(missing_ok=True)
        raise


def checked(path: str | os.PathLike[str]) -> Path:
    """The place that `write` would write to, if it can be written; for whoever works long before that.

    Raises:
        TypeError, ValueError, OSError: as `write`.
    """
    given = os.fspath(path) if isinstance(path, str | os.PathLike) else None
    if not isinstance(given, str):
        raise TypeError(f"path is the path of a file, as a text or a pathlib.Path, not {shown(path)}")
    said = repr(given)
    try:
        if "\0" in os.fsdecode(os.fsencode(given)):
            raise ValueError("it has a null character")
        target = Path(given).expanduser()
        if given.endswith(("/", os.sep)) or target.is_dir():
            raise IsADirectoryError(f"{said} is a folder; give the path of a file in it")
        target = target.resolve()  # in which a link is followed once and for all
        if target.is_symlink():
            raise ValueError("its links lead in a circle")
    except (ValueError, RuntimeError) as fault:  # RuntimeError: no such user's home, or a circle of links
        raise ValueError(f"{said} cannot be the path of a file: {printable(str(fault))}") from None
    if not target.parent.is_dir():
        raise FileNotFoundError(
            f"there is no folder {str(target.parent)!r} to write {target.name!r} into; create it, or give another path"
        )
    if target.exists() and not os.access(target, os.W_OK):
        raise PermissionError(f"{str(target)!r} may not be written: it is read-only; give another path")
    if (target.is_file() or not target.exists()) and not os.access(target.parent, os.W_OK | os.X_OK):
        raise PermissionError(f"no file may be written into {str(target.parent)!r}; give a path in another folder")
    return target


def _created(target: Path) -> tuple[int, Path]:
    """A new file beside a target, opened, with the permissions that any new file has."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    while True:
        unfinished = target.with_name(f".{secrets.token_hex(8)}.part")  # a long name may have no room for more
        try:
            return os.open(unfinished, flags, 0o666), unfinished
        except FileExistsError:
            continue
