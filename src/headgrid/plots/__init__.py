"""Figures for papers, of what headgrid computes: `pip install headgrid[plots]`.

    hg.plots.grid(scan.copying_score, label="copying score")    one number of every head, as a heat map
    hg.plots.spectrum(summary.ov)                               singular values
    hg.plots.tokens(summary.ov, side="writes")                  what its singular directions mean in tokens
    hg.plots.pairs(summary.qk)                                  the strongest pairs of tokens
    hg.plots.offsets(summary.qk)                                the score by distance, of learned positions
    hg.plots.composition(hg.compose(model))                     which heads read what others write
    hg.plots.attention(hg.attention(model, task), "l1h2")       what heads attend to, one picture each
    hg.plots.faithfulness(smallest_circuit(model, task))        how much of a task circuits do, by their size

Each takes the matplotlib Axes to draw in as `ax` and returns them (`attention` a list: it may draw several); without,
it makes a figure of a fitting size. None shows or saves a figure, or changes a setting of matplotlib. Fonts and sizes
are those of your style; colors are those of the widget, told apart with any color vision, and lines and marks in gray
print too. Layer 0 is at the top.
"""

from headgrid.plots.attention import attention
from headgrid.plots.circuit_sizes import faithfulness
from headgrid.plots.graph import composition
from headgrid.plots.heatmap import grid
from headgrid.plots.spectra import offsets, spectrum
from headgrid.plots.token_tables import pairs, tokens

__all__ = ["attention", "composition", "faithfulness", "grid", "offsets", "pairs", "spectrum", "tokens"]
