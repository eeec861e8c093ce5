"""Experiments: what heads do on a text, beside controls.

What is used most has names of its own: `hg.Task`, `hg.sweep`, `hg.faithfulness`. Beside them stands

    smallest_circuit(model, task)       a circuit as small as it can be, others as small, and the curve of sizes
"""

from headgrid.experiments.smallest import smallest_circuit

__all__ = ["smallest_circuit"]
