"""What came of a call that was given nonsense: a refusal in a sentence, the right result, or neither."""

from __future__ import annotations

import dis
import sys
from types import FunctionType
from typing import Any

import torch

from nonsense.rows import SOURCE, Row, world


def same(found: Any, expected: Any) -> bool:
    if isinstance(expected, FunctionType):
        return bool(expected(found))
    if isinstance(expected, torch.Tensor):
        return torch.equal(found, expected)
    return type(found) in (type(expected), torch.Size) and bool(found == expected)


def fault_of(error: BaseException) -> str:
    """What is wrong with how a value was refused; "" for nothing."""
    if not isinstance(error, TypeError | ValueError | KeyError | IndexError | OSError):
        return f"a {type(error).__name__}"
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    assert last is not None
    code = last.tb_frame.f_code
    if not code.co_filename.startswith(SOURCE) or code.co_code[last.tb_lasti] != dis.opmap["RAISE_VARARGS"]:
        return f"no raise of headgrid, but of {code.co_filename}, line {last.tb_lineno}"
    said = str(error.args[0] if isinstance(error, KeyError) and error.args else error)
    first = said.split("\n")[0]
    if not 20 <= len(first) <= 700 or first.count(" ") < 3:
        return f"a first line of {len(first)} characters"
    return "" if first.isprintable() else "characters that cannot be printed"


def outcome(row: Row, name: str) -> str:
    """`refused`, `right`, or what else came of a call."""
    made = row.values()[name]
    try:
        found = row.call(world(), made())
    except Exception as error:
        if name in row.right:
            return f"should be taken: {type(error).__name__}: {error}"
        fault = fault_of(error)
        return f"{fault}: {type(error).__name__}: {error}" if fault else "refused"
    finally:
        if "matplotlib.pyplot" in sys.modules:
            sys.modules["matplotlib.pyplot"].close("all")
    if name not in row.right:
        return f"accepted: {found!r:.200}"
    return "right" if same(found, row.right[name]) else f"wrong: {found!r:.200}"
