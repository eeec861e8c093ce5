"""A config alone is data: nothing that it names is imported, fetched or run, and a wrong one ends in a sentence."""

from __future__ import annotations

import copy
import json
import os
import socket
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path
from typing import Any

import pytest
import tiny
import transformers

import headgrid as hg
from headgrid.anatomy.anatomy import AnatomyError
from headgrid.models import configs

pytestmark = pytest.mark.slow

GROUPED = "llama with grouped-query attention"

KERNELS = """
import os
__version__ = "{version}"
def get_kernel(*args, **kwargs):
    print("LOADED", args, flush=True)
    os._exit(77)
get_local_kernel = has_kernel = get_kernel
class Anything:
    def __init__(self, *args, **kwargs): pass
    def __getattr__(self, name): return name
class Mode:
    INFERENCE = TRAINING = TORCH_COMPILE = None
def _decorator(*args, **kwargs): return lambda given: given
use_kernel_forward_from_hub = use_kernelized_func = use_kernel_func_from_hub = _decorator
def __getattr__(name):
    if name.startswith("__"): raise AttributeError(name)
    return Anything
"""
"""A package `kernels` in which the loading of one ends the process at once, with a code of its own."""


@pytest.fixture(scope="module")
def with_kernels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which a package `kernels` of an accepted version is installed."""
    from transformers.utils.import_utils import KERNELS_MIN_VERSION

    folder = tmp_path_factory.mktemp("site")
    (folder / "kernels" / "layer" / "mode").mkdir(parents=True)
    (folder / "kernels" / "__init__.py").write_text(KERNELS.format(version=KERNELS_MIN_VERSION))
    (folder / "kernels" / "layer" / "__init__.py").write_text("")
    (folder / "kernels" / "layer" / "mode" / "__init__.py").write_text("from kernels import Mode\n")
    about = folder / f"kernels-{KERNELS_MIN_VERSION}.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: kernels\nVersion: {KERNELS_MIN_VERSION}\n")
    paths = [str(folder), *sys.path]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), "HF_HUB_OFFLINE": "1"}


KERNEL = "someone/some-kernel"

CALLS = """
import json, sys, tempfile, pathlib, copy
import transformers, headgrid as hg
from transformers.utils import is_kernels_available
assert is_kernels_available()
path = pathlib.Path(tempfile.mkdtemp()) / "config.json"
def file(settings):
    path.write_text(json.dumps(settings))
    print(hg.dissect(path).title, flush=True)
llama = dict(model_type="llama", num_hidden_layers=2, hidden_size=24, intermediate_size=10, num_attention_heads=4,
             num_key_value_heads=2, vocab_size=31)
"""


def outcome(code: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", CALLS + code], env=environment, capture_output=True, text=True, timeout=300
    )


def test_transformers_itself_would_load_the_kernel_that_a_config_names(with_kernels: dict[str, str]) -> None:
    """The control: the stand-in is one that transformers takes, so that the tests below could fail."""
    config = f"transformers.LlamaConfig(**llama, attn_implementation={KERNEL!r})"
    code = f"transformers.AutoModelForCausalLM.from_config({config})"
    done = outcome(code, with_kernels)
    assert (done.returncode, "LOADED" in done.stdout) == (77, True), done.stderr[-2000:]


def test_no_kernel_is_loaded_for_a_config_whatever_names_it(with_kernels: dict[str, str]) -> None:
    code = f"""
K = {KERNEL!r}
for key in ("attn_implementation", "_attn_implementation", "_attn_implementation_internal"):
    for value in (K, K + "@main:forward", "paged|" + K, {{"": K}}, "flash_attention_2", "flash_attention_3"):
        file({{**llama, key: value}})
file({{**llama, "attribute_map": {{"harmless": "_attn_implementation"}}, "harmless": K}})
file({{**llama, "experts_implementation": K, "use_kernels": True, "kernel_config": {{"a": K}}}})
vision = dict(hidden_size=24, intermediate_size=10, num_attention_heads=4, num_hidden_layers=2, image_size=8,
              patch_size=4, projection_dim=8, model_type="clip_vision_model")
for key in ("attn_implementation", "_attn_implementation"):
    for inner in ("text_config", "vision_config"):
        nested = {{"model_type": "llava", "text_config": dict(llama), "vision_config": dict(vision)}}
        nested[inner][key] = K
        file(nested)
    both = {{"text_config": dict(llama), "vision_config": dict(vision)}}
    file({{"model_type": "llava", **both, key: {{"text_config": K}}}})
# configs that the caller made are the caller's own, and are loaded from no more than files are
for made in (transformers.LlamaConfig(**llama, attn_implementation=K), transformers.LlamaConfig(**llama)):
    made._attn_implementation = K
    print(hg.dissect(made).title)
    assert made._attn_implementation == K
"""
    done = outcome(code, with_kernels)
    assert done.returncode == 0, (done.stdout[-500:], done.stderr[-3000:])
    assert done.stdout.count("2 layers x 4 heads") >= 20


def test_no_kernel_is_loaded_by_a_model_that_always_wants_one(with_kernels: dict[str, str]) -> None:
    """RWKV loads its kernel when it is built where there is a compiler and a GPU, whatever its config says."""
    code = """
import transformers.models.rwkv.modeling_rwkv as rwkv
rwkv.is_ninja_available = rwkv.is_torch_cuda_available = lambda: True
settings = {"model_type": "rwkv", "num_hidden_layers": 2, "hidden_size": 24, "vocab_size": 31}
if "plain" in sys.argv: transformers.AutoModelForCausalLM.from_config(transformers.RwkvConfig(**settings))
try: file(settings)
except ValueError as fault: assert "no list of layers has attention heads in it" in str(fault), fault
else: raise SystemExit("RWKV has no heads")
"""
    control = subprocess.run(
        [sys.executable, "-c", CALLS + code, "plain"], env=with_kernels, capture_output=True, text=True, timeout=300
    )
    assert control.returncode == 77, control.stderr[-2000:]
    done = outcome(code, with_kernels)
    assert done.returncode == 0, (done.stdout, done.stderr[-3000:])


# ---- nothing is fetched


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Every attempt to reach a host, none of which succeeds; the hub is not said to be offline."""
    tried: list[Any] = []

    def refuse(*args: Any, **kwargs: Any) -> Any:
        tried.append(args)
        raise OSError("no network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    for module in [one for name, one in sys.modules.items() if name.startswith("huggingface_hub")]:
        if hasattr(module, "HF_HUB_OFFLINE"):
            monkeypatch.setattr(module, "HF_HUB_OFFLINE", False)
    return tried


def written(folder: Path, settings: Any) -> Path:
    path = folder / "config.json"
    path.write_text(settings if isinstance(settings, str) else json.dumps(settings))
    return path


LLAMA = {"model_type": "llama", "num_hidden_layers": 2, "hidden_size": 24, "intermediate_size": 10,
         "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 31}  # fmt: skip

NAMING = [
    {"auto_map": {"AutoModelForCausalLM": "someone/code--modeling.Model", "AutoConfig": "someone/code--c.Config"}},
    {"name_or_path": "someone/model", "_name_or_path": "someone/model"},
    {"quantization_config": {"quant_method": "gptq", "bits": 4}},
    {"backbone": "someone/resnet", "use_timm_backbone": False, "use_pretrained_backbone": True},
    {"custom_pipelines": {"x": {"impl": "someone/code--x.Y"}}, "tokenizer_class": "someone/x", "_commit_hash": "0"},
    {"architectures": ["AutoModel", "Trainer", "../x", None, 3, "LlamaForCausalLM"]},
    {"torch_dtype": "hub", "dtype": "load"},
    {"peft_config": {"peft_type": "LORA"}, "adapter_config": "x", "transformers_weights": "../x.bin"},
    {"generation_config": {"custom_generate": "someone/x"}, "custom_generate": "someone/x"},
]


@pytest.mark.parametrize("named", NAMING, ids=lambda named: " ".join(named))
def test_what_a_config_names_is_not_fetched(tmp_path: Path, no_network: list[Any], named: dict[str, Any]) -> None:
    anatomy = hg.dissect(written(tmp_path, {**LLAMA, **named}))
    assert anatomy == hg.dissect(transformers.LlamaConfig(**LLAMA))
    assert not no_network


@pytest.mark.parametrize("wrong", ["pipeline", "AutoModel", "GPT2LMHeadModel", None, 3], ids=repr)
def test_an_architecture_that_is_no_model_of_that_kind_is_refused(tmp_path: Path, wrong: Any) -> None:
    with pytest.raises(AnatomyError, match=r"^the config's architectures name .*, which is no model for a LlamaConfig"):
        hg.dissect(written(tmp_path, {**LLAMA, "architectures": [wrong]}))


def test_an_architecture_of_the_users_own_is_passed_over_with_a_warning(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="no architecture 'LlamaWithProbe': this is the anatomy of a Llama") as said:
        anatomy = hg.dissect(written(tmp_path, {**LLAMA, "architectures": ["LlamaWithProbe"]}))
    assert anatomy == hg.dissect(transformers.LlamaConfig(**LLAMA))
    assert [one.filename for one in said] == [__file__]  # shown with the line that called


BACKBONES = ["detr", "maskformer", "dpt", "upernet", "vitpose", "zoedepth", "rt_detr", "omdet-turbo", "oneformer"]


@pytest.mark.parametrize("model_type", [one for one in BACKBONES if one in transformers.CONFIG_MAPPING])
def test_a_backbone_that_is_named_is_not_looked_for(tmp_path: Path, no_network: list[Any], model_type: str) -> None:
    for named in ({"backbone": "someone/resnet", "use_timm_backbone": False}, {"backbone": "hf_hub:someone/x"},
                  {"backbone_config": {"model_type": "timm_backbone", "backbone": "hf_hub:someone/x"}}):  # fmt: skip
        try:
            hg.dissect(written(tmp_path, {"model_type": model_type, "backbone_config": None, **named}))
        except AnatomyError as fault:
            assert len(str(fault).splitlines()[0]) < 200
    assert not no_network


@pytest.mark.parametrize("settings", [
    {"model_type": "timm_wrapper", "architecture": "hf_hub:someone/x", "model_args": {"checkpoint_path": "/tmp/x"}},
    {"model_type": "timm_backbone", "backbone": "hf_hub:someone/x"},
    {"model_type": "llava", "text_config": LLAMA, "vision_config": {"model_type": "timm_wrapper"}},
])  # fmt: skip
def test_what_another_library_makes_by_its_name_is_refused(tmp_path: Path, settings: dict[str, Any]) -> None:
    with pytest.raises(AnatomyError, match=r"^the config has a 'timm_.*another library makes by its name"):
        hg.dissect(written(tmp_path, settings))


def test_a_config_that_is_dissected_is_left_as_it_is() -> None:
    config = tiny.config(GROUPED)
    config._attn_implementation, config.auto_map = "eager", {"AutoModel": "someone/x--y.Z"}
    before = copy.deepcopy(config.__dict__)
    hg.dissect(config)
    assert config.__dict__ == before


# ---- malformed configs


WRONG = [None, True, 0, -1, 10**6, 10**9, 10**12, 10**30, 1.5, float("nan"), "3", "pipeline", [], ["pipeline"], {},
         {"a": {"b": [1]}}, [[[]]]]  # fmt: skip

ENTRIES = {
    "gpt2": ["n_layer", "n_head", "n_embd", "n_inner", "n_positions", "vocab_size", "model_type", "architectures",
             "activation_function", "add_cross_attention", "num_labels", "id2label", "layer_norm_epsilon"],
    GROUPED: ["num_hidden_layers", "num_attention_heads", "num_key_value_heads", "head_dim", "hidden_size",
              "intermediate_size", "max_position_embeddings", "rope_parameters", "tie_word_embeddings", "hidden_act"],
    "t5": ["num_layers", "num_decoder_layers", "num_heads", "d_model", "d_kv", "d_ff", "feed_forward_proj"],
    "deepseek_v2": ["kv_lora_rank", "q_lora_rank", "n_routed_experts", "qk_rope_head_dim", "first_k_dense_replace"],
    "llava": ["text_config", "vision_config", "projector_hidden_act"],
    "vit": ["image_size", "patch_size", "num_channels"],
}  # fmt: skip


def outcomes(path: Path) -> str:
    """What came of a file: `right`, or the first line of its refusal; anything else is an error of the test."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert isinstance(hg.dissect(path), hg.Anatomy)
        return "right"
    except AnatomyError as fault:
        said = str(fault)
        first = said.splitlines()[0]
        assert 10 < len(first) < 200, said
        assert len(said) < 2000, said
        assert all(one.isprintable() or one == "\n" for one in said)
        return first


@pytest.mark.parametrize("family", list(ENTRIES))
def test_a_wrong_entry_is_refused_in_a_sentence_or_makes_an_anatomy(
    tmp_path: Path, no_network: list[Any], family: str
) -> None:
    described = json.loads(tiny.config(family).to_json_string(use_diff=False))
    assert outcomes(written(tmp_path, described)) == "right"
    refused = 0
    for entry in ENTRIES[family]:
        for value in WRONG:
            began = time.monotonic()
            refused += outcomes(written(tmp_path, {**described, entry: value})) != "right"
            assert time.monotonic() - began < 30, (entry, value)
    assert refused > len(ENTRIES[family])
    assert not no_network


@pytest.mark.parametrize(("text", "said"), [
    ("[1, 2]", r"holds \[1, 2\], and a config is an object with names"),
    ("3", "holds 3, and a config is an object"),
    ("null", "holds None, and a config is an object"),
    ("{", "is not JSON that can be read: Expecting property name"),
    ("", "is not JSON that can be read: Expecting value"),
    ("[" * 100_000, "is no config: it is nested too deeply"),
    ('{"a":' * 100_000 + "1" + "}" * 100_000, "is no config: it is nested too deeply"),
    ("1" * 10_000, "is not JSON that can be read: Exceeds the limit"),
    ("{}", "has model_type None, which is none of"),
    ('{"model_type": ["gpt2"]}', r"has model_type \['gpt2'\], which is none of"),
    ('{"model_type": "../../evil"}', "has model_type '../../evil', which is none of"),
    ('{"model_type": {"a": 1}}', "has model_type .*, which is none of"),
    (json.dumps({"model_type": "x" * 10**6}), "has model_type 'xxx"),
    ('{"model_type": "gpt2", "n_layer": 1000000}', "says 'n_layer' = 1000000; at most 2,048 are believed"),
    ('{"model_type": "gpt2", "n_head": 0}', "describes no model: "),
    ('{"model_type": "gpt2", "n_head": -3, "n_embd": 12}', "has the shape|says"),
    ('{"model_type": "llava", "text_config": {"model_type": "gpt2", "n_layer": 1e400}}', "describes no model"),
    ('{"model_type": "llava", "text_config": {"model_type": "llama", "num_hidden_layers": 1000000}}', "at most 2,048"),
    ('{"n_layers": 1000000, "d_model": 8, "d_head": 2, "n_ctx": 4, "d_vocab": 5}', "at most 2,048 are believed"),
    ('{"n_layers": true, "d_model": 8, "d_head": 2, "n_ctx": 4, "d_vocab": 5}', "n_layers = True; a model needs"),
    ('{"n_layers": 2, "d_model": 8, "d_head": 2, "n_ctx": 4, "d_vocab": 5, "n_heads": "4"}', "describes no model"),
    ('{"n_layers": 2, "d_model": 8, "d_head": 2, "n_ctx": 4, "d_vocab": 5, "n_heads": 4, "d_mlp": -1}', "W_in has"),
])  # fmt: skip
def test_what_is_no_config_is_refused_with_its_reason(tmp_path: Path, text: str, said: str) -> None:
    began = time.monotonic()
    outcome = outcomes(written(tmp_path, text))
    assert outcome != "right"
    with pytest.raises(AnatomyError, match=said):
        hg.dissect(tmp_path)
    assert time.monotonic() - began < 30


def test_a_path_that_leads_to_no_config_is_refused(tmp_path: Path) -> None:
    for path in ("", "\0", "x" * 5000, tmp_path, tmp_path / "none.json", "/dev/zero", "a\x1b[31mb"):
        with pytest.raises(AnatomyError) as fault:
            hg.dissect(path)
        first = str(fault.value).splitlines()[0]
        assert len(first) < 300
        assert first.isprintable()
    (tmp_path / "model.safetensors").write_bytes(bytes(range(256)) * 8)
    with pytest.raises(AnatomyError, match="is not JSON that can be read"):
        hg.dissect(tmp_path / "model.safetensors")
    with (tmp_path / "large.bin").open("wb") as file:
        file.truncate(10**12)  # sparse: it takes no room
    with pytest.raises(AnatomyError, match="is no config: it has 1,000,000,000,000 bytes"):
        hg.dissect(tmp_path / "large.bin")


@pytest.mark.parametrize(
    "source", [3, None, True, 1.5, b"config.json", ["config.json"], {"model_type": "gpt2"}, object]
)
def test_what_is_no_path_is_a_wrong_kind(source: Any) -> None:
    with pytest.raises(TypeError, match=r"^dissect takes a model"):
        hg.dissect(source)


def test_a_config_of_the_callers_own_class_is_read_by_the_class_that_it_extends() -> None:
    class Mine(transformers.LlamaConfig):
        pass

    anatomy = hg.dissect(Mine(**{**LLAMA, "architectures": ["LlamaForCausalLM"]}))
    assert anatomy == hg.dissect(transformers.LlamaConfig(**LLAMA, architectures=["LlamaForCausalLM"]))


def test_a_kernel_that_another_thread_loads_meanwhile_is_not_refused() -> None:
    from transformers.integrations import hub_kernels

    before, seen = hub_kernels.get_kernel, []
    with configs._alone():

        def load() -> None:
            try:
                hub_kernels.get_kernel("someone/x")
            except Exception as fault:
                seen.append(str(fault))

        thread = threading.Thread(target=load)
        thread.start()
        thread.join()
        load()
    assert "a config alone needs no kernel" not in seen[0]
    assert seen[1] == "a config alone needs no kernel"
    assert hub_kernels.get_kernel is before


# ---- refusals


def _refusals() -> list[Any]:
    """Refusals of many kinds, each a call."""
    import torch
    from torch import nn

    foreign = [
        "MambaForCausalLM", "RwkvForCausalLM", "XLMWithLMHeadModel", "LongformerForMaskedLM", "ConvBertForMaskedLM",
        "AlignModel", "BarkModel", "AltCLIPModel", "Blip2Model", "DiffLlamaForCausalLM",
    ]  # fmt: skip
    calls: list[Any] = []
    for name in foreign:
        kind = getattr(transformers, name).config_class
        calls.append(lambda kind=kind: hg.dissect(kind()))
    probed = tiny.fresh("gpt2")
    for i in range(40):
        setattr(probed, f"probe_{i}", nn.Linear(28, 3))
    several = nn.ModuleList([tiny.fresh("gpt2") for _ in range(30)])
    misfit = tiny.fresh("gpt2")
    misfit.config.n_head = 3
    named = tiny.fresh("gpt2")
    named.register_parameter("x" * 3000, nn.Parameter(torch.zeros(2)))
    for model in (probed, several, misfit, named, nn.Linear(2, 3)):
        calls.append(lambda model=model: hg.dissect(model))
    calls += [
        lambda: hg.dissect("n" * 200),
        lambda: hg.Weights(transformers.LlamaConfig(**LLAMA)),
        lambda: hg.Weights(tiny.model("gpt2")).read("W_Q"),
        lambda: hg.Weights(tiny.model("gpt2")).read("W_UQ", 1),
        lambda: hg.dissect({"n_layers": "x" * 1000, "d_model": 3, "d_head": 2}),
    ]
    return calls


def test_the_first_line_of_a_refusal_is_its_reason_and_all_of_it_is_bounded() -> None:
    lengths = []
    for call in _refusals():
        with pytest.raises((AnatomyError, TypeError)) as fault:
            call()
        said = str(fault.value)
        first = said.splitlines()[0]
        assert 10 < len(first) <= 200, said
        assert not first.endswith(":"), said
        assert "The table has" not in first, said
        assert len(said) <= 4100, said
        lengths.append(len(said))
    assert sorted(lengths)[len(lengths) // 2] < 2500
