from __future__ import annotations

import pytest
import tiny

import headgrid as hg
from headgrid.selection.printer import numbers

gqa = hg.dissect(tiny.model("llama with grouped-query attention"))
gpt2 = hg.dissect(tiny.model("gpt2"))


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("l0 mlp | l1h2", "l1h2 | l0 mlp"),
        ("l1h2, l1h0", "l1h[0,2]"),
        ("l1h0 | l1h1 | l2h0-1", "l1-2h0-1"),
        ("l0 | l1 | l2 | embed | pos | ln_final", "full"),
        ("l0 & l1", "none"),
        ("full - l1h2", "~l1h2"),
        ("l1h* | l1 attn rest", "l1 attn"),
        ("l1h*", "l1h*"),
        ("l*h0", "l*h0"),
        ("l0h1.q | l0h1.k", "l0h1.qk"),
        ("l0h1 - l0h1.b_Q", "l0h1.ov | l0h1.k | l0h1.W_Q"),
        ("l0 mlp n0-3, l0 mlp n7", "l0 mlp n[0-3,7]"),
        ("transformer.h.1.mlp.c_fc.bias", "l1 mlp n*.b_in"),
        ("transformer.wte.weight", "embed"),
        ("transformer.ln_f.bias", "ln_final.b"),
    ],
)
def test_the_shortest_words_that_fit_are_printed(text: str, printed: str) -> None:
    assert str(gpt2.select(text)) == printed


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("l0h3-5", "l0g1"),
        ("l0h1-5", "l0g1 | l0h1-2"),
        ("l0h*", "l0h*"),
        ("l0h1 | l0h2", "l0h1-2"),
        ("l0h1.k", "l0g0.k"),
        ("l0h1.q | l0g0.k", "l0h1.qk"),
    ],
)
def test_groups_are_printed_where_heads_share_key_and_value(text: str, printed: str) -> None:
    anatomy = hg.dissect(tiny.model("qwen3"))  # its attention has a rest, so all heads are not the whole attention
    assert str(anatomy.select(text)) == printed


def test_numbers_are_ranges_lists_or_all() -> None:
    assert numbers([3], 9) == "3"
    assert numbers([0, 1, 2, 5], 9) == "[0-2,5]"
    assert numbers([0, 1], 2) == "*"
    assert numbers([0], 1) == "0"
