/** The dev page: `?model=demo|gpt2|gqa|large&dark&views=2&width=900`. */
import widget from "../src/widget";
import { FakeModel, type Sizes } from "./fake";

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
};

const wanted = new URLSearchParams(location.search);
const [sizes, selected] = MODELS[wanted.get("model") ?? "demo"] ?? MODELS.demo!;
document.body.style.cssText = wanted.has("dark")
  ? "background:#111317;color:#ddd"
  : "background:#fff;color:#222";
const model = new FakeModel(sizes, selected);
const life = new AbortController();
const started = performance.now();
for (let k = 0; k < Number(wanted.get("views") ?? 1); k++) {
  const el = document.createElement("div");
  el.style.cssText = `margin:16px;${wanted.has("width") ? `width:${wanted.get("width")}px` : ""}`;
  document.body.append(el);
  widget.render({ model, el, signal: life.signal });
}
Object.assign(window, { model, life, started });
