"""Experiments: what heads do on a text, beside controls.

What is used most has names of its own: `hg.Task`, `hg.sweep`, `hg.faithfulness`. Beside them stands

    logit_lens(model, task)             what the model would say after each layer
    smallest_circuit(model, task)       a circuit as small as it can be, others as small, and the curve of sizes
    directions(model, task, "l1h2")     a head with some singular directions of its OV alone, beside random subspaces
"""

from headgrid.experiments.directions import directions
from headgrid.experiments.logit_lens import logit_lens
from headgrid.experiments.smallest import smallest_circuit

__all__ = ["directions", "logit_lens", "smallest_circuit"]
