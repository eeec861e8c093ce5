"""Notations of papers and other libraries for parts, and the text of our language that each stands for.

A table of patterns, each with a text of ours, or with the reason why it stands for none: what could mean two things is
refused. `{0}` is the first number of a pattern, and so on. No meaning is added here: the parser reads the text on the
right.

Sources: Wang et al. 2022 (IOI: `9.9`), TransformerLens (`L9H9`, `blocks.9.attn.hook_z`), ACDC (`a9.9`,
`blocks.9.attn.hook_result[:, :, 9]`), EAP-IG (`a9.h9`, `m9`), auto-circuit (`A9.9`, `MLP 9`).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from headgrid.anatomy.roles import NORMS, ROLES

N = r"(\d{1,9}|\*)"
_LAYER = r"(?:layer|block)s?[\s_=#]*"
_HEAD = r"heads?[\s_=#]*"
_AS_HEAD = r"(?:(?:attn|attention)[\s_]+)?(?:heads?[\s_]+)?"
_ONE_OF_ALL = r"(?:\[\s*:\s*,\s*:\s*,\s*(\d{1,9})\s*(?:,\s*:\s*)?\])?"
_ROW_OF_ALL = r"(?:\[\s*:\s*,\s*(\d{1,9})\s*(?:,\s*:\s*)*\])?"
_BLOCK = rf"(?:transformer\.)?blocks\.{N}"

_OF_HEADS = {
    # what a hook of TransformerLens sees of every head, the axis of heads in an index of it -> a side of the head
    r"attn\.hook_z": (_ONE_OF_ALL, ""), r"attn\.hook_result": (_ONE_OF_ALL, ""),
    r"attn\.hook_(?:rot_)?q": (_ONE_OF_ALL, ".q"), r"attn\.hook_(?:rot_)?k": (_ONE_OF_ALL, ".k"),
    r"attn\.hook_v": (_ONE_OF_ALL, ".v"), r"attn\.hook_(?:pattern|attn_scores)": (_ROW_OF_ALL, ".qk"),
    "hook_q_input": (_ONE_OF_ALL, ".q"), "hook_k_input": (_ONE_OF_ALL, ".k"), "hook_v_input": (_ONE_OF_ALL, ".v"),
}  # fmt: skip
_OF_BLOCKS = {
    "(?:attn|hook_attn_out)": "l{0} attn",
    "(?:mlp|hook_mlp_out)": "l{0} mlp",
    r"mlp\.hook_(?:pre|post|pre_linear|mid)": "l{0} mlp n*",
    **{rf"{norm}(?:\.hook_(?:scale|normalized))?": f"l{{0}} {norm}" for norm in NORMS},
}
_OF_MODEL = {
    "(?:embed|hook_embed)": "embed",
    "(?:pos_embed|hook_pos_embed)": "pos",
    r"ln_final\.hook_(?:scale|normalized)": "ln_final",
    r"pos_embed\.W_pos": "pos.W_pos",
}
_WEIGHTS = "|".join(role for role in ROLES if re.fullmatch(r"[Wb]_(Q|K|V|O|in|gate|out)", role))

_HEADS = {
    rf"{_AS_HEAD}[la]?{N}\.h?{N}": "l{0}h{1}",
    rf"{_AS_HEAD}[la]{N}_?h{N}": "l{0}h{1}",
    rf"[la]?{N}\.h?{N}(?:_|<)([qkv])>?": "l{0}h{1}.{2}",
    rf"{_LAYER}{N}[\s_,;./:-]*{_HEAD}{N}": "l{0}h{1}",
    rf"{_HEAD}{N}\s*(?:,|of|in|at)?\s*{_LAYER}{N}": "l{1}h{0}",
    rf"\(\s*{N}\s*,\s*{N}\s*\)": "l{0}h{1}",
    rf"(?:m|mlps?[\s_]*){N}": "l{0} mlp",
    rf"(?:attn|attention)[\s_]*{N}": "l{0} attn",
}
_PATHS = {
    **{rf"{_BLOCK}\.{hook}{index}": f"l{{0}}h{{1}}{side}" for hook, (index, side) in _OF_HEADS.items()},
    **{rf"{_BLOCK}\.{path}": text for path, text in _OF_BLOCKS.items()},
    rf"{_BLOCK}\.(?:attn|mlp)\.({_WEIGHTS})": "l{0}.{1}",
    rf"{_BLOCK}\.({'|'.join(NORMS)})\.([wb])": "l{0} {1}.{2}",
    _BLOCK: "l{0}",
    **_OF_MODEL,
}
"""A pattern -> what it stands for; a number that was left out is all of them. A side may follow a head, and no path."""

_REFUSED = {
    rf"{_BLOCK}\.hook_(?:resid_(?:pre|mid|post)|attn_in|mlp_in)": (
        "l{0}",
        "is the residual stream, which no weight is. For what enters and leaves a layer: "
        "headgrid.record(model, layers={0!r}); the layer's weights are {0!r}",
    ),
    r"(\d{1,9})\s*[:,/x_-]\s*(\d{1,9})": ("l{0}h{1}", "could be two of anything; head {n[1]} of layer {n[0]} is {0!r}"),
    r"\[\s*(\d{1,9})\s*,\s*(\d{1,9})\s*\]": (
        "l{0}h{1}",
        "could be two layers or a head; head {n[1]} of layer {n[0]} is {0!r}",
    ),
    r"(\d{1,9})\s+(\d{1,9})": ("l{0}h{1}", "could be two of anything; head {n[1]} of layer {n[0]} is {0!r}"),
    rf"(?:{_HEAD}|h)(\d{{1,9}})": ("l*h{0}", "does not say in which layer; that head of every layer is {0!r}"),
    r"(\d{1,9})": ("l{0}", "could be a layer or a head; layer {n[0]} is {0!r}"),
    r"-?>": ("", "joins the ends of an edge, which is no set of parts; select both ends, joined with |"),
    r"\[": ("", "begins a list, which stands in no text: give the list itself, or join its terms with |"),
}
"""A pattern -> a text of ours that may have been meant, and why it is not taken for that."""

_END, _END_OF_PATH = r"(?![\w\[<]|\.\d)", r"(?![\w\[<.])"


class Meant(NamedTuple):
    """A term in another notation: how long it is, the text of ours that it may stand for, and why it is not read so."""

    length: int
    text: str
    refusal: str = ""


@lru_cache(maxsize=1)
def _compiled() -> tuple[re.Pattern[str], list[tuple[re.Pattern[str], str, str]]]:
    """A pattern that fits wherever one of the table does, which is quicker to try; and the table."""
    rows = [
        *((found + _END, ours, "") for found, ours in _HEADS.items()),
        *((found + _END_OF_PATH, ours, "") for found, ours in _PATHS.items()),
        *((found + r"(?![\w.])" * bool(said[0]), *said) for found, said in _REFUSED.items()),
    ]
    every = "|".join(re.sub(r"\((?![?])", "(?:", found.replace(r"\(", r"\x28")) for found, _, _ in rows)
    return re.compile(every, re.IGNORECASE), [(re.compile(row[0], re.IGNORECASE), *row[1:]) for row in rows]


def meant(text: str, at: int = 0) -> Meant | None:
    """The term in another notation at this place, in our words; None where there is none."""
    some, rows = _compiled()
    if some.match(text, at) is None:
        return None
    for pattern, ours, refusal in rows:
        if found := pattern.match(text, at):
            given = [group or "*" for group in found.groups()]
            word = ours.format(*given)
            return Meant(found.end() - at, word, refusal.format(word, n=given) if refusal else "")
    return None


_WORDS = {"attn": r"attn|attention", "mlp": r"mlp|ffn?|feed_?forward"}


def alike(path: str) -> str:
    """The layer or block that a module of another library or family is, in our words; empty where nothing says so."""
    numbers = re.findall(r"(?:^|\.)(\d{1,9})(?=\.|$)", path)
    if len(numbers) != 1:
        return ""
    after = path[re.search(rf"(?:^|\.){numbers[0]}(?=\.|$)", path).end() :]  # type: ignore[union-attr]
    word = next((word for word, pattern in _WORDS.items() if re.search(pattern, after, re.IGNORECASE)), "")
    return f"l{numbers[0]} {word}".strip()
