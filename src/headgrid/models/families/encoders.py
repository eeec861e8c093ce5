"""Encoders: BERT and its relatives. All are post-norm: their norms act on a block's output, residual included."""

from __future__ import annotations

from dataclasses import replace

from headgrid.models.family import Family, Line, lines

_BERT_OUT = """
        W_O         attention.output.dense.weight       m (n h)
        b_O         attention.output.dense.bias         m
        ln1_post.w  attention.output.LayerNorm.weight   m
        ln1_post.b  attention.output.LayerNorm.bias     m
        W_in        intermediate.dense.weight           f m
        b_in        intermediate.dense.bias             f
        W_out       output.dense.weight                 m f
        b_out       output.dense.bias                   m
        ln2_post.w  output.LayerNorm.weight             m
        ln2_post.b  output.LayerNorm.bias               m
"""

_BERT_QKV = """
        W_Q         attention.self.{0}.weight   (n h) m
        W_K         attention.self.{1}.weight   (g h) m
        W_V         attention.self.{2}.weight   (g h) m
        b_Q         attention.self.{0}.bias     (n h)
        b_K         attention.self.{1}.bias     (g h)
        b_V         attention.self.{2}.bias     (g h)
"""

# m' where the embeddings may have a width of their own (electra, albert, deberta with embedding_size)
_EMBEDDINGS = """
        W_E         embeddings.word_embeddings.weight         v m'
        W_pos       embeddings.position_embeddings.weight     p m'
        W_type      embeddings.token_type_embeddings.weight   t m'
        ln_embed.w  embeddings.LayerNorm.weight               m'
        ln_embed.b  embeddings.LayerNorm.bias                 m'
"""

_CLS = """
        top   cls.predictions.transform.**   ...
        top   cls.seq_relationship.**        ...
        W_U   cls.predictions.decoder.weight   v m'
        b_U   cls.predictions.bias             v
"""

BERT = Family(
    model_types=("bert",),
    body="bert",
    layers="encoder.layer",
    layer=lines(_BERT_QKV.format("query", "key", "value") + _BERT_OUT),
    outside=lines(_EMBEDDINGS + _CLS),
    kv_heads="num_attention_heads",
)

ROBERTA = replace(
    BERT,
    model_types=("roberta", "xlm-roberta", "camembert"),
    body="roberta",  # of XLM-RoBERTa and CamemBERT too
    # the first padding_idx + 1 rows of position_embeddings stand for no position
    outside=lines(f"""
        {_EMBEDDINGS}
        top   lm_head.dense.**          ...
        top   lm_head.layer_norm.**     ...
        W_U   lm_head.decoder.weight    v m
        b_U   lm_head.bias              v
    """),
)

ELECTRA = replace(
    BERT,
    model_types=("electra",),
    body="electra",
    outside=lines(f"""
        {_EMBEDDINGS}
        stem  embeddings_project.**          ...
        top   generator_predictions.**       ...
        top   discriminator_predictions.**   ...
        W_U   generator_lm_head.weight       v m'
        b_U   generator_lm_head.bias         v
    """),
)

DISTILBERT = Family(
    model_types=("distilbert",),
    body="distilbert",
    layers="transformer.layer",
    # n_layers, n_heads, dim: the attribute_map gives num_hidden_layers, num_attention_heads, hidden_size
    kv_heads="num_attention_heads",
    layer=lines("""
        W_Q         attention.q_lin.weight     (n h) m
        W_K         attention.k_lin.weight     (g h) m
        W_V         attention.v_lin.weight     (g h) m
        b_Q         attention.q_lin.bias       (n h)
        b_K         attention.k_lin.bias       (g h)
        b_V         attention.v_lin.bias       (g h)
        W_O         attention.out_lin.weight   m (n h)
        b_O         attention.out_lin.bias     m
        ln1_post.w  sa_layer_norm.weight       m
        ln1_post.b  sa_layer_norm.bias         m
        W_in        ffn.lin1.weight            f m
        b_in        ffn.lin1.bias              f
        W_out       ffn.lin2.weight            m f
        b_out       ffn.lin2.bias              m
        ln2_post.w  output_layer_norm.weight   m
        ln2_post.b  output_layer_norm.bias     m
    """),
    outside=lines(f"""
        {_EMBEDDINGS}
        top   vocab_transform.**       ...
        top   vocab_layer_norm.**      ...
        W_U   vocab_projector.weight   v m
        b_U   vocab_projector.bias     v
    """),
)

ALBERT = Family(
    model_types=("albert",),
    body="albert",
    layers="encoder.albert_layer_groups",
    kv_heads="num_attention_heads",
    # Layer i of num_hidden_layers runs group int(i / (num_hidden_layers / num_hidden_groups)) (modeling_albert:
    # AlbertTransformer.forward), and a group runs its inner_group_num layers one after another. All published ALBERTs
    # have one group of one layer, run 12 (or 24) times; a group of several layers is refused, and so are groups that
    # are not run equally often.
    shared=True,
    layer=lines("""
        W_Q         albert_layers.0.attention.query.weight           (n h) m
        W_K         albert_layers.0.attention.key.weight             (g h) m
        W_V         albert_layers.0.attention.value.weight           (g h) m
        b_Q         albert_layers.0.attention.query.bias             (n h)
        b_K         albert_layers.0.attention.key.bias               (g h)
        b_V         albert_layers.0.attention.value.bias             (g h)
        W_O         albert_layers.0.attention.dense.weight           m (n h)
        b_O         albert_layers.0.attention.dense.bias             m
        ln1_post.w  albert_layers.0.attention.LayerNorm.weight       m
        ln1_post.b  albert_layers.0.attention.LayerNorm.bias         m
        W_in        albert_layers.0.ffn.weight                       f m
        b_in        albert_layers.0.ffn.bias                         f
        W_out       albert_layers.0.ffn_output.weight                m f
        b_out       albert_layers.0.ffn_output.bias                  m
        ln2_post.w  albert_layers.0.full_layer_layer_norm.weight     m
        ln2_post.b  albert_layers.0.full_layer_layer_norm.bias       m
    """),
    outside=lines(f"""
        {_EMBEDDINGS}
        stem  encoder.embedding_hidden_mapping_in.**   ...
        top   predictions.LayerNorm.**       ...
        top   predictions.dense.**           ...
        top   sop_classifier.**              ...
        W_U   predictions.decoder.weight     v m'
        b_U   predictions.bias               v
    """),
)

_DEBERTA_OUTSIDE = f"""
        {
    _EMBEDDINGS.replace("LayerNorm.weight               m'", "LayerNorm.weight  m").replace(
        "LayerNorm.bias                 m'", "LayerNorm.bias  m"
    )
}
        {_CLS}
        stem       embeddings.embed_proj.**         ...
        pos.other  encoder.rel_embeddings.weight    ...
        top        lm_predictions.lm_head.dense.**       ...
        top        lm_predictions.lm_head.LayerNorm.**   ...
        b_U        lm_predictions.lm_head.bias           v
"""  # unlike in ALBERT, the embeddings' LayerNorm comes after embed_proj; `legacy=False` has lm_predictions, whose
# unembedding is embeddings.word_embeddings itself, without another name for it

DEBERTA = replace(
    BERT,
    model_types=("deberta",),
    body="deberta",
    # in_proj: q, k, v of head 0, then of head 1 (modeling_deberta:216 transpose_for_scores(qp).chunk(3, dim=-1)),
    # without a bias; q_bias and v_bias are Parameters of the attention, and there is none of k
    # pos_proj makes keys of relative positions ("c2p" in pos_att_type), pos_q_proj queries ("p2c")
    # talking_head=True mixes heads by [n, n] matrices (head_logits_proj, head_weights_proj): attn.other, and then no
    # head's pattern is its own; no published model has it
    layer=lines(f"""
        W_Q         attention.self.in_proj.weight        (n 0/3 h) m
        W_K         attention.self.in_proj.weight        (g 1/3 h) m
        W_V         attention.self.in_proj.weight        (g 2/3 h) m
        b_Q         attention.self.q_bias                (n h)
        b_V         attention.self.v_bias                (g h)
        W_K_pos     attention.self.pos_proj.weight       (g h) m
        W_Q_pos     attention.self.pos_q_proj.weight     (n h) m
        b_Q_pos     attention.self.pos_q_proj.bias       (n h)
        attn.other  attention.self.head_logits_proj.weight    ...
        attn.other  attention.self.head_weights_proj.weight   ...
        {_BERT_OUT}
    """),
    outside=lines(_DEBERTA_OUTSIDE),
)

DEBERTA_V2 = replace(
    BERT,
    model_types=("deberta-v2",),  # with a hyphen; DeBERTa-v3 is this family too
    body="deberta",
    # share_att_key (all v2 and v3 checkpoints): query_proj and key_proj read relative positions too, so the same W_Q
    # makes queries of both. Otherwise pos_key_proj and pos_query_proj, BOTH with biases (v1's pos_proj has none)
    layer=lines(f"""
        {_BERT_QKV.format("query_proj", "key_proj", "value_proj")}
        W_K_pos     attention.self.pos_key_proj.weight     (g h) m
        b_K_pos     attention.self.pos_key_proj.bias       (g h)
        W_Q_pos     attention.self.pos_query_proj.weight   (n h) m
        b_Q_pos     attention.self.pos_query_proj.bias     (n h)
        {_BERT_OUT}
    """),
    # encoder.LayerNorm normalizes rel_embeddings (norm_rel_ebd "layer_norm"); encoder.conv (xlarge, xxlarge of v2) acts
    # once, on the embeddings, and is added to the first layer's output
    outside=lines(f"""
        {_DEBERTA_OUTSIDE}
        pos.other  encoder.LayerNorm.**   ...
        stem       encoder.conv.**        ...
    """),
)

# Not tied, the bias of the unembedding is the decoder's own, and the one beside it is a parameter that nothing reads


def _untied(row: Family, head: str) -> Family:
    """The row of models whose unembedding is not tied; `head` is the module that the unembedding is in."""
    tied = Line("b_U", f"{head}.bias", "v")
    untied = (Line("b_U", f"{head}.decoder.bias", "v"), Line("top", f"{head}.bias", "..."))
    outside = tuple(one for line in row.outside for one in (untied if line == tied else (line,)))
    return replace(row, when={"tie_word_embeddings": False}, outside=outside)


UNTIED = (
    _untied(BERT, "cls.predictions"),
    _untied(ROBERTA, "lm_head"),
    _untied(ALBERT, "predictions"),
    _untied(DEBERTA, "cls.predictions"),
    _untied(DEBERTA_V2, "cls.predictions"),
)
