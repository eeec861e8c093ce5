"""TransformerLens' own models: HookedTransformer (2.x, 3.x), and what a bridge builds from a configuration (4.x).

These rows serve no `model_type`: `headgrid.models.lens` chooses among them by the names of the parameters.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace

from headgrid.models.family import Family, lines

Parameter = tuple[str, tuple[int, ...]]

_ATTENTION = """
        W_Q         attn.W_Q                n m h
        W_K         attn.W_K                g m h
        W_K         attn._W_K               g m h
        W_V         attn.W_V                g m h
        W_V         attn._W_V               g m h
        b_Q         attn.b_Q                n h
        b_K         attn.b_K                g h
        b_K         attn._b_K               g h
        b_V         attn.b_V                g h
        b_V         attn._b_V               g h
        W_O         attn.W_O                n h m
        b_O         attn.b_O                m
        q_norm.w    attn.q_norm.w           h
        k_norm.w    attn.k_norm.w           h
"""

_MLP = """
        W_in        mlp.W_in                m f
        W_gate      mlp.W_gate              m f
        W_out       mlp.W_out               f m
        b_in        mlp.b_in                f
        b_out       mlp.b_out               m
        mlp.other   mlp.ln.**               ...
"""

_MIXTURE = """
        router.W        mlp.W_gate                    m e
        router.W        mlp.W_gate.weight             e m
        router.b        mlp.W_gate.bias               e
        expert.W_in     mlp.experts.*.W_in            m f
        expert.W_in     mlp.experts.*.W_in.weight     f m
        expert.W_gate   mlp.experts.*.W_gate          m f
        expert.W_gate   mlp.experts.*.W_gate.weight   f m
        expert.W_out    mlp.experts.*.W_out           f m
        expert.W_out    mlp.experts.*.W_out.weight    m f
        expert.b_in     mlp.experts.*.b_in            f
        expert.b_in     mlp.experts.*.W_in.bias       f
        expert.b_gate   mlp.experts.*.W_gate.bias     f
        expert.b_out    mlp.experts.*.b_out           m
        expert.b_out    mlp.experts.*.W_out.bias      m
"""

_NORMS = """
        ln1.w         ln1.w        m
        ln1.b         ln1.b        m
        ln1_post.w    ln1_post.w   m
        ln1_post.b    ln1_post.b   m
        ln2.w         ln2.w        m
        ln2.b         ln2.b        m
        ln2_post.w    ln2_post.w   m
        ln2_post.b    ln2_post.b   m
"""

_POST_NORMS = """
        ln1_post.w    ln1.w        m
        ln1_post.b    ln1.b        m
        ln2_post.w    ln2.w        m
        ln2_post.b    ln2.b        m
"""

_CONFIGURED = Family(
    n_layers="n_layers", n_heads="n_heads", kv_heads="n_key_value_heads", d_model="d_model", d_head="d_head"
)
"""TransformerLens' names of the sizes in its configurations."""

HOOKED = replace(
    _CONFIGURED,
    layers="blocks",
    layer=lines(_ATTENTION + _MLP + _NORMS),
    outside=lines("""
        W_E           embed.W_E          v m
        ln_embed.w    embed.ln.w         m
        ln_embed.b    embed.ln.b         m
        W_pos         pos_embed.W_pos    p m
        ln_final.w    ln_final.w         m
        ln_final.b    ln_final.b         m
        W_U           unembed.W_U        m v'
        b_U           unembed.b_U        v'
    """),
)

HOOKED_MIXTURE = replace(HOOKED, layer=lines(_ATTENTION + _MIXTURE + _NORMS))

HOOKED_ENCODER = replace(
    HOOKED,
    layer=lines(_ATTENTION + _MLP + _POST_NORMS),  # BERT's norms act on the sum of a block's output and its input
    outside=lines("""
        W_E           embed.embed.W_E                        v m
        W_pos         embed.pos_embed.W_pos                  p m
        W_type        embed.token_type_embed.W_token_type    t m
        ln_embed.w    embed.ln.w                             m
        ln_embed.b    embed.ln.b                             m
        top           pooler.**                              ...
        top           mlm_head.**                            ...
        top           nsp_head.**                            ...
        W_U           unembed.W_U                            m v'
        b_U           unembed.b_U                            v'
    """),
)

NATIVE = replace(
    _CONFIGURED,
    layers="layers",
    layer=lines("""
        W_Q          attn.q.weight        (n h) m
        W_K          attn.k.weight        (g h) m
        W_V          attn.v.weight        (g h) m
        W_O          attn.o.weight        m (n h)
        W_in         mlp.fc_in.weight     f m
        W_in         mlp.in.weight        f m
        W_gate       mlp.gate.weight      f m
        W_out        mlp.fc_out.weight    m f
        W_out        mlp.out.weight       m f
        mlp.other    mlp.ln.**            ...
        ln1.w        ln1.weight           m
        ln1.b        ln1.bias             m
        ln2.w        ln2.weight           m
        ln2.b        ln2.bias             m
    """),
    outside=lines("""
        W_E           tok_embed.weight    v m
        W_pos         pos.weight          p m
        ln_final.w    ln_out.weight       m
        ln_final.b    ln_out.bias         m
        W_U           head.weight         v' m
    """),
)
"""The model that `TransformerBridge.boot_native` builds from a configuration."""


def hooked_shapes(c: SimpleNamespace) -> Iterator[Parameter]:
    """The parameters of the HookedTransformer that a configuration describes, in its order: names and shapes."""
    out = c.d_vocab_out if c.d_vocab_out > 0 else c.d_vocab
    norm = {"LN": "wb", "RMS": "w"}.get(c.normalization_type, "")
    yield "embed.W_E", (c.d_vocab, c.d_model)
    if c.post_embedding_ln:
        yield from _norm("embed.ln", "wb", c.d_model)
    if c.positional_embedding_type != "rotary":
        yield "pos_embed.W_pos", (c.n_ctx, c.d_model)
    for layer in range(c.n_layers):
        for path, shape in _block(c, norm):
            yield f"blocks.{layer}.{path}", shape
    yield from _norm("ln_final", "w" if norm and c.final_rms else norm, c.d_model)
    yield "unembed.W_U", (c.d_model, out)
    yield "unembed.b_U", (out,)


def _block(c: SimpleNamespace, norm: str) -> Iterator[Parameter]:
    after = "" if c.normalization_type is None else "w" if c.normalization_type.startswith("RMS") else "wb"
    for name in ("ln1",) if c.attn_only else ("ln1", "ln2"):
        yield from _norm(name, norm, c.d_model)
        if c.use_normalization_before_and_after:
            yield from _norm(f"{name}_post", after, c.d_model)
    under, groups = ("_", c.n_key_value_heads) if c.n_key_value_heads else ("", c.n_heads)
    yield "attn.W_Q", (c.n_heads, c.d_model, c.d_head)
    yield "attn.W_O", (c.n_heads, c.d_head, c.d_model)
    yield "attn.b_Q", (c.n_heads, c.d_head)
    yield "attn.b_O", (c.d_model,)
    yield f"attn.{under}W_K", (groups, c.d_model, c.d_head)
    yield f"attn.{under}W_V", (groups, c.d_model, c.d_head)
    yield f"attn.{under}b_K", (groups, c.d_head)
    yield f"attn.{under}b_V", (groups, c.d_head)
    if c.use_qk_norm:
        yield "attn.q_norm.w", (c.d_head,)
        yield "attn.k_norm.w", (c.d_head,)
    if not c.attn_only:
        yield from ((f"mlp.{path}", shape) for path, shape in _mlp(c))


def _mlp(c: SimpleNamespace) -> Iterator[Parameter]:
    f, m = c.d_mlp, c.d_model
    biased = c.original_architecture == "GptOssForCausalLM"
    if c.num_experts:
        order = ("W_gate", "W_in", "W_out") if biased else ("W_in", "W_out", "W_gate")
        for path in (*(f"experts.{e}.{name}" for e in range(c.num_experts) for name in order), "W_gate"):
            shape = (c.num_experts, m) if path == "W_gate" else (m, f) if path.endswith("W_out") else (f, m)
            yield f"{path}.weight", shape
            if biased:
                yield f"{path}.bias", shape[:1]
        return
    if c.gated_mlp:
        yield from (("W_in", (m, f)), ("W_out", (f, m)), ("W_gate", (m, f)), ("b_in", (f,)), ("b_out", (m,)))
        return
    yield from (("W_in", (m, f)), ("b_in", (f,)), ("W_out", (f, m)), ("b_out", (m,)))
    if str(c.act_fn).endswith("_ln") and c.normalization_type == "LN":
        yield from _norm("ln", "wb", f)


def _norm(path: str, which: str, width: int) -> Iterator[Parameter]:
    return ((f"{path}.{letter}", (width,)) for letter in which)
