"""Reading and replacing activations, by the same slots as masks and weights: `record`, `ablate`, `patch` and `steer`.

What a selection means here is the rule of `headgrid.selection.activations`: a head is its `z`, which enters `W_O`, and
a neuron what enters `W_out`; whatever has no activation is an error that names it. Texts can name other points of heads
and layers too (`headgrid.selection.points`): `l1h2.pattern`, `l3g1.k`, `l0-3 in`, `l2 mlp out`.

The heads of a decoder's attention to the encoder are `cross l0h1`. Where a forward pass runs a layer several times
(ALBERT), every run is recorded, and ablated. Contexts nest: an inner one sees what the outer ones have changed.

Within a context models run as they are written, so that hooks are what runs: nothing is compiled, in any thread
(`torch.compile` passes over hooks), and transformers' gradient checkpointing is off (it would run layers again when the
hooks are gone).
"""

from headgrid.hooks.cache import Cache, NotRecorded
from headgrid.hooks.recording import record
from headgrid.hooks.replacing import ablate, patch, steer

__all__ = ["Cache", "NotRecorded", "ablate", "patch", "record", "steer"]
