"""The lines of attention: what a name and a shape make of q, k, v, the projection after the heads, and their norms."""

from __future__ import annotations

from collections.abc import Iterator

from headgrid.models.detect.evidence import Evidence, Sizes, TensorShape, width
from headgrid.models.detect.lexicon import Reading

EQUAL = "0/3 n h | 1/3 g h | 2/3 g h"
HEAD_BY_HEAD = "n 0/3 h | g 1/3 h | g 2/3 h"
UNEQUAL = "[n h] + g h + g h | n h + [g h] + g h | n h + g h + [g h]"
GROUP_BY_GROUP = "*/g ([n h] + g h + g h) | */g (n h + [g h] + g h) | */g (n h + g h + [g h])"
FOUR_BLOCKS = "*/4 0/3 n h | */4 2/3 g h | */4 1/3 g h"
"""Ways to fuse q, k and v, in the order of three roles; `FOUR_BLOCKS` is CodeGen's, with q, v, k in each."""


def attention(found: Evidence, reading: Reading, shape: TensorShape, s: Sizes) -> Iterator[tuple[str, str]]:
    """The roles and axes of one parameter of attention; none where its shape is not what its name promises."""
    kind = reading.kind
    if found.latent and kind == "Q":
        yield from _latent(found, Reading("UQ", reading.block, reading.bias, reading.path), shape)
    elif kind in ("Q", "K", "V", "Q_pos", "K_pos"):
        yield from _projection(found, reading, shape, s)
    elif kind == "qkv":
        for role, layout in zip("QKV", _fused(found, reading, s).split(" | "), strict=True):
            if reading.bias:
                yield f"b_{role}", f"({layout})"
            elif len(shape) == 2:
                size = ((s.n + 2 * s.g) * s.h, s.m)
                yield f"W_{role}", found.matrix(f"({layout})", "m", shape, size, reading.block, s.m)
    elif kind == "O" and reading.bias:
        yield "b_O", "m"
    elif kind == "O" and len(shape) == 2:
        yield "W_O", found.matrix("m", "(n h)", shape, (s.m, s.n * s.h), reading.block, s.m)
    elif kind == "OG" and width(shape, s.m) == s.n * s.h:
        yield ("b_OG", "(n h)") if reading.bias else ("W_OG", "(n h) m")
    elif kind in ("q_norm", "k_norm"):
        yield from _norm(found, reading, shape, s)
    elif kind == "sink" and shape == (s.n,):
        yield "sink", "n"
    elif kind == "relative" and len(shape) == 2 and s.n in shape:
        yield "rel_pos_bias", "p' n" if shape[1] == s.n else "n p'"
    elif kind in ("relative", "other"):
        yield "attn.other", "..."
    elif kind in ("DQ", "UQ", "DKV", "UKV", "ln_q", "ln_kv"):
        yield from _latent(found, reading, shape)


def _projection(found: Evidence, reading: Reading, shape: TensorShape, s: Sizes) -> Iterator[tuple[str, str]]:
    """A projection of its own; one of queries with twice the rows holds an output gate too (Qwen3-Next)."""
    kind = reading.kind
    letter, count = ("n", s.n) if kind[0] == "Q" else ("g", s.g)
    rows = width(shape, s.m)
    pieces = [(kind, f"({letter} h)")]
    if kind == "Q" and rows == 2 * s.n * s.h:
        question = "how the rows of queries and of the output gate lie"
        axis = found.questions.ask(question, "(n 0/2 h)", "(0/2 n h)")
        pieces = [("Q", axis), ("OG", axis.replace("0/2", "1/2"))]
    if rows != len(pieces) * count * s.h:
        return
    for role, axis in pieces:
        if reading.bias and len(shape) == 1:
            yield f"b_{role}", axis
        elif not reading.bias and len(shape) == 2:
            yield f"W_{role}", found.matrix(axis, "m", shape, (rows, s.m), reading.block, s.m)


def _fused(found: Evidence, reading: Reading, s: Sizes) -> str:
    """How q, k and v lie along the fused axis: what shapes tell, and where they do not, what is most common."""
    step = reading.path.removesuffix(".weight").removesuffix(".bias").split(".")[-1]
    name = step.removesuffix("_weight").removesuffix("_bias")
    by_head = name == "query_key_value"
    question = f"how q, k and v lie along the fused axis of {name}"
    if 1 < s.g < s.n:
        return found.questions.ask(question, *((GROUP_BY_GROUP, UNEQUAL) if by_head else (UNEQUAL, GROUP_BY_GROUP)))
    if s.g < s.n:
        return UNEQUAL  # with one key/value head, that is group by group as well
    if s.n == 1:
        return EQUAL
    common = (HEAD_BY_HEAD, EQUAL) if by_head else (EQUAL, HEAD_BY_HEAD)
    return found.questions.ask(question, *common, *((FOUR_BLOCKS,) if s.n % 4 == 0 and name == "qkv_proj" else ()))


def _norm(found: Evidence, reading: Reading, shape: TensorShape, s: Sizes) -> Iterator[tuple[str, str]]:
    """A norm of queries or of keys: one gain for all heads, or one for each."""
    of = reading.kind[0]
    letter, count = ("n", s.n) if of == "q" else ("g", s.g)
    # a norm over one key/value head looks like one that heads share: the queries' norm tells
    spans = any(r.kind == "q_norm" and x == (s.n * s.h,) for r, x in found.readings.values()) and s.n > 1
    if shape == (s.h,) and not ("norms.*" in reading.path or (spans and of == "k" and s.g == 1)):
        yield f"{of}_norm", "h"
    elif not reading.bias:
        if shape == (s.h,) and "norms.*" in reading.path:
            yield f"{of}_gain", "h"
        elif shape == (count * s.h,) and spans:
            yield f"{of}_gain", f"({letter} h)"
        elif shape == (count, s.h):
            yield f"{of}_gain", f"{letter} h"


def _latent(found: Evidence, reading: Reading, shape: TensorShape) -> Iterator[tuple[str, str]]:
    """Latent attention, under the names that DeepSeek gave it."""
    question = "where the part without position of latent queries and keys lies"
    first = found.questions.ask(question, "first", "last") == "first"
    q = ("(n ([k] + r)) a", "(n (k + [r])) a") if first else ("(n (r + [k])) a", "(n ([r] + k)) a")
    kv = ("([c] + r)", "(c + [r])") if first else ("(r + [c])", "([r] + c)")
    if reading.kind == "DQ":
        yield ("b_DQ", "a") if reading.bias else ("W_DQ", "a m")
    elif reading.kind == "DKV":
        yield ("b_DKV", kv[0]) if reading.bias else ("W_DKV", f"{kv[0]} m")
        yield ("b_KR", kv[1]) if reading.bias else ("W_KR", f"{kv[1]} m")
    elif reading.bias:
        return
    elif reading.kind == "UQ":
        yield "W_UQ", q[0]
        yield "W_QR", q[1]
    elif reading.kind == "UKV":
        yield "W_UK", "(g ([k] + h)) c"
        yield "W_UV", "(g (k + [h])) c"
    elif len(shape) == 1:
        yield reading.kind, "a" if reading.kind == "ln_q" else "c"
