"""The proof of every head of a model, beside the plain way to test one side of each: a forward pass per head.

The plain way ablates one head's `z` by a hook and runs the model, once per head; it would still have to be compared
with a second pass with that head's masked `W_O` zeroed, and it says nothing of queries, keys and values. Both run in
one thread, in turn, on a GPT-2 with random weights and on the same few tokens; medians are printed. At the end, larger
shapes are proven without weights. Run it as a script.
"""

from __future__ import annotations

import resource
import statistics
import time
from collections.abc import Callable

import torch
import transformers
from torch import nn

import headgrid as hg
from headgrid.anatomy.anatomy import Anatomy
from headgrid.models.verify import verify

RUNS = 5

TOKENS = torch.tensor([[3, 4, 5]])

LARGER = {
    "GPT-2 XL": transformers.GPT2Config(n_layer=48, n_head=25, n_embd=1600),
    "Qwen3-0.6B": transformers.Qwen3Config(
        num_hidden_layers=28, num_attention_heads=16, num_key_value_heads=8, hidden_size=1024, head_dim=128,
        intermediate_size=3072, vocab_size=151936,
    ),
    "Llama-3.2-1B": transformers.LlamaConfig(
        num_hidden_layers=16, num_attention_heads=32, num_key_value_heads=8, hidden_size=2048, intermediate_size=8192,
        vocab_size=128256,
    ),
}  # fmt: skip


def on_meta(config: transformers.PretrainedConfig) -> nn.Module:
    with torch.device("meta"):
        return transformers.AutoModelForCausalLM.from_config(config)


@torch.no_grad()
def ablate_each(model: nn.Module, anatomy: Anatomy) -> None:
    """A forward pass per head, with its `z` set to zero where it enters the output projection."""
    for layer in range(anatomy.n_layers):
        (slot,) = anatomy.places["W_O", layer]
        module = model.get_submodule(slot.parameter.removesuffix(".weight"))
        for head in range(anatomy.n_heads):

            def hook(_: nn.Module, inputs: tuple[torch.Tensor], head: int = head) -> tuple[torch.Tensor]:
                z = inputs[0].unflatten(-1, (anatomy.n_heads, -1)).clone()
                z[..., head, :] = 0
                return (z.flatten(-2),)

            handle = module.register_forward_pre_hook(hook)
            model(TOKENS)
            handle.remove()


def seconds(run: Callable[[], object]) -> float:
    start = time.process_time()
    run()
    return time.process_time() - start


def main() -> None:
    torch.set_num_threads(1)
    model = transformers.GPT2LMHeadModel(transformers.GPT2Config()).eval()
    anatomy = hg.dissect(model)
    verify(model, anatomy).raise_if_failed()  # the first of each is slower
    proofs, passes = [], []
    for _ in range(RUNS):
        proofs.append(seconds(lambda: verify(model, anatomy).raise_if_failed()))
        passes.append(seconds(lambda: ablate_each(model, anatomy)))
    proof, plain = statistics.median(proofs), statistics.median(passes)
    print(
        f"GPT-2 small, {anatomy.n_layers * anatomy.n_heads} heads, CPU-seconds, medians of {RUNS}: "
        f"verify {proof:.2f}, every side of every head; one forward pass per head {plain:.2f}, the output side alone; "
        f"ratio {plain / proof:.1f}"
    )
    for name, config in LARGER.items():
        large = on_meta(config)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        took = seconds(lambda large=large: verify(large).raise_if_failed())
        more = max(0, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        heads = hg.dissect(large).n_layers * hg.dissect(large).n_heads
        print(f"{name} on the meta device, {heads} heads: {took:.1f} CPU-seconds, {more:.0f} MiB more at the peak")


if __name__ == "__main__":
    main()
