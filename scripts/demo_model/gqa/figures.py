"""The figures of the card of the grouped-query model; the keys are the ``$names`` in ``card.md``."""

from __future__ import annotations

from demo_model.measure import ablated, ablation_cost, attention_scores, half_losses, heads_of
from demo_model.tables import kilobytes, name_of, signed, strongest, table
from headgrid.demo import demo, repeated_tokens
from headgrid.demo.shipped import FOLDERS


def figures() -> dict[str, str]:
    """Measure everything that the card says."""
    model, tokenizer = demo("gqa")
    repeated = repeated_tokens(tokenizer, n=24, length=40)
    scores = attention_scores(model, repeated)
    previous, induction = strongest(scores["previous"]), strongest(scores["induction"])
    first, second = half_losses(model, repeated)
    size = model.config.num_attention_heads // model.config.num_key_value_heads
    lines = [
        (
            f"`{name_of(head)}`",
            f"`l{head[0]}g{head[1] // size}`",
            *(f"{score[head]:.2f}" for score in scores.values()),
            *(signed(ablation_cost(model, repeated, head, mean=mean), 2) for mean in (True, False)),
        )
        for head in heads_of(model)
    ]
    others = [head for head in heads_of(model) if head not in (previous, induction)]
    with ablated(model, others, mean=True):
        alone = half_losses(model, repeated)[1]
    return {
        "previous": name_of(previous),
        "induction": name_of(induction),
        "previous_group": f"l{previous[0]}g{previous[1] // size}",
        "induction_group": f"l{induction[0]}g{induction[1] // size}",
        "kilobytes": kilobytes(FOLDERS / "gqa"),
        "parameters": f"{model.num_parameters():,}",
        "n_vocab": str(model.config.vocab_size),
        "first": f"{first:.2f}",
        "second": f"{second:.2f}",
        "alone": f"{alone:.2f}",
        "head_table": table(("head", "keys", *scores, "nats, mean", "nats, zero"), lines, texts=2),
    }
