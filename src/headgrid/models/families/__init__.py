"""The table: where each family of models stores each weight.

A line is `role  parameter  stored axes`; the notation is explained in `headgrid.anatomy` and `headgrid.models.family`.
The sizes of the letters are solved from the shapes, given the numbers of heads in the config, so `config.head_dim`,
which is often absent or misleading, is checked and never believed.

To add a family, write its lines in one of these files, and run `pytest tests/test_laws.py` with a small configuration.
"""

from __future__ import annotations

from dataclasses import replace

from headgrid.models.families import decoders, encoder_decoders, encoders, mixtures, vision
from headgrid.models.family import Family, lines

TASK_HEADS = lines("""
    top   pooler.**                ...
    top   score.**                 ...
    top   classifier.**            ...
    top   pre_classifier.**        ...
    top   classification_head.**   ...
    top   qa_outputs.**            ...
    top   sequence_summary.**      ...
""")
"""The parameters of models for a task beside, or instead of, an unembedding; the same in every family."""


def _with_task_heads(row: Family) -> Family:
    if not (row.layers or row.outside):
        return row
    # another row of the same stack is another version's; one of another stack is beside this one
    others = tuple(_with_task_heads(other) if other.stack == row.stack else other for other in row.others)
    return replace(row, outside=row.outside + TASK_HEADS, others=others)


ROWS = tuple(
    _with_task_heads(row)
    for row in (
        *encoders.UNTIED,
        *(row for module in (decoders, mixtures, encoders, vision, encoder_decoders) for row in vars(module).values()),
    )
    if isinstance(row, Family) and row.model_types
)
"""Every row that serves a model type."""

FAMILIES: dict[str, tuple[Family, ...]] = {
    model_type: tuple(row for row in ROWS if model_type in row.model_types)
    for model_type in sorted({model_type for row in ROWS for model_type in row.model_types})
}
"""`config.model_type` -> its rows; the first whose `when` the config fulfils serves it."""
