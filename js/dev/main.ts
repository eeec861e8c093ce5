/** The dev page: `?model=NAME&dark&views=2&width=900&slow=2000&saved=5&disconnected&precomputed&text=…&thumbnails&rows=3`. */
import widget from "../src/widget";
import { FakeModel } from "./fake";
import { type Sizes, specOf } from "./specs";

const MODELS: Record<string, [Sizes, string[]]> = {
  demo: [
    { name: "headgrid demo: 2 layers, 4 heads, d_model 96", layers: 2, heads: 4, zero: ["l0h3"] },
    ["l1h2", "l0 mlp"],
  ],
  gpt2: [
    { name: "GPT2LMHeadModel: 12 layers, 12 heads", layers: 12, heads: 12, zero: ["l3h4", "l3h5"] },
    ["l5h1", "l5h5", "l6h9", "l0 mlp"],
  ],
  gqa: [
    {
      name: "LlamaForCausalLM: 32 layers, 32 heads, 8 kv heads",
      layers: 32,
      heads: 32,
      perGroup: 4,
      absent: [5, 6],
    },
    ["l2h4", "l8h30", "embed"],
  ],
  large: [
    { name: "A large model: 126 layers, 128 heads, 8 kv heads", layers: 126, heads: 128, perGroup: 16 },
    ["l0h3", "l100h127"],
  ],
  t5: [
    {
      name: "T5ForConditionalGeneration: encoder and decoder of 6 layers, 8 heads",
      layers: 6,
      heads: 8,
      stacks: "encoder-decoder",
    },
    ["encoder l1h2", "encoder l1h3", "decoder l0h5", "cross l4h4", "embed"],
  ],
  vision: [
    {
      name: "LlavaForConditionalGeneration: 8 layers, 16 heads, 4 kv heads; vision 16 layers",
      layers: 8,
      heads: 16,
      perGroup: 4,
      stacks: "vision",
      provenance: "proven",
    },
    ["vision l3h3", "vision l12h9"],
  ],
  mixture: [
    {
      name: "MixtralForCausalLM: 8 layers, 12 heads, 4 kv heads, 16 experts",
      layers: 8,
      heads: 12,
      perGroup: 3,
      experts: 16,
      dense: [0],
    },
    ["l1h2", "l2e3", "l5e11", "l0 mlp"],
  ],
  manyexperts: [
    { name: "A large mixture: 48 layers, 64 heads, 128 experts", layers: 48, heads: 64, experts: 128 },
    ["l1h2", "l2e3", "l40e101"],
  ],
  hybrid: [
    {
      name: "JambaForCausalLM: 8 layers, 12 heads, mamba",
      layers: 8,
      heads: 12,
      absent: [0, 1, 2, 4, 5, 6],
      mixer: "mamba",
    },
    ["l1 mixer", "l3h3"],
  ],
  guess: [
    { name: "NewModelForCausalLM: 4 layers, 6 heads, d_model 96", layers: 4, heads: 6, provenance: "guess" },
    ["l1h2"],
  ],
};

const wanted = new URLSearchParams(location.search);
const [sizes, selected] = MODELS[wanted.get("model") ?? "demo"] ?? MODELS.demo!;
document.body.style.cssText = wanted.has("dark")
  ? "background:#111317;color:#ddd"
  : "background:#fff;color:#222";
const model = new FakeModel(specOf(sizes), selected, Number(wanted.get("slow") ?? 120));
const NAMES = [
  "induction",
  "copying",
  "name movers",
  "a name that is much longer than a chip has room for",
  "MLPs",
];
// A page without a kernel, and what it brought along.
if (wanted.has("precomputed")) model.precompute(...selected);
const text = wanted.get("text");
if (text !== null) {
  const words = "when mary and john went to the store , john gave a drink to";
  const repeated = Array(Math.ceil(Number(text) / 14) || 1)
    .fill(words)
    .join(" ");
  const row = Number(text) ? repeated.split(" ").slice(0, Number(text)).join(" ") : text || words;
  model.ask(
    wanted.has("panel"),
    wanted.has("thumbnails"),
    ...Array(Number(wanted.get("rows") ?? 1)).fill(row),
  );
}
for (let k = 0; k < Number(wanted.get("saved") ?? 0); k++)
  model.save(
    NAMES[k] ?? `circuit ${k}`,
    ...selected.slice(0, 1 + (k % 3)),
    `l${k % sizes.layers}h${k % sizes.heads}`,
  );
const life = new AbortController();
const started = performance.now();
for (let k = 0; k < Number(wanted.get("views") ?? 1); k++) {
  const el = document.createElement("div");
  el.style.cssText = `margin:16px;${wanted.has("width") ? `width:${wanted.get("width")}px` : ""}`;
  if (wanted.has("disconnected")) el.className = "jupyter-widgets-disconnected";
  document.body.append(el);
  widget.render({ model, el, signal: life.signal });
}
Object.assign(window, { model, life, started });
