"""The circuits of the library, by model. To add one, write it into the module of its model, and its indices' source."""

from headgrid.library.entries import gpt2_small, larger, shipped, small

ENTRIES = (*gpt2_small.ENTRIES, *small.ENTRIES, *larger.ENTRIES, *shipped.ENTRIES)
"""All of them, in the order in which they are listed."""
