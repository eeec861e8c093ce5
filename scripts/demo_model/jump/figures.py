"""The figures of the card of the checkpoints of the induction jump; the keys are the ``$names`` in ``card.md``."""

from __future__ import annotations

from demo_model.measure import (
    OV,
    QK,
    ablation_cost,
    attention_scores,
    composition,
    half_losses,
    heads_of,
    random_compositions,
)
from demo_model.tables import kilobytes, name_of, signed, strongest, table
from headgrid.demo import CHECKPOINTS, demo, repeated_tokens
from headgrid.demo.shipped import FOLDERS


def figures() -> dict[str, str]:
    """Measure everything that the card says, on each checkpoint."""
    last, tokenizer = demo("training")
    repeated = repeated_tokens(tokenizer, n=64, length=22)
    scores = attention_scores(last, repeated)
    previous, induction = strongest(scores["previous"]), strongest(scores["induction"])
    steps, costs = [], []
    for step in CHECKPOINTS:
        model, _ = demo("training", step=step)
        found = attention_scores(model, repeated)
        writes, reads = OV(model, previous), QK(model, induction).T
        chance = random_compositions(writes, reads, samples=200)
        first, second = half_losses(model, repeated)
        steps.append(
            (
                f"{step:,}", f"{first:.2f}", f"{second:.2f}", f"{found['previous'][previous]:.2f}",
                f"{found['induction'][induction]:.2f}", f"{composition(writes, reads):.3f}",
                f"{chance.mean():.3f} ± {chance.std():.3f}",
            )
        )  # fmt: skip
        costs.append((f"{step:,}", *(signed(ablation_cost(model, repeated, head), 2) for head in heads_of(model))))
    heading = ("step", "first copy, nats", "second copy, nats", "previous", "induction", "K-composition", "by chance")
    return {
        "previous": name_of(previous),
        "induction": name_of(induction),
        "kilobytes": kilobytes(FOLDERS / "training"),
        "parameters": f"{last.num_parameters():,}",
        "n_vocab": str(last.config.vocab_size),
        "step_table": table(heading, steps, texts=0),
        "ablation_table": table(("step", *(f"`{name_of(head)}`" for head in heads_of(last))), costs, texts=0),
    }
