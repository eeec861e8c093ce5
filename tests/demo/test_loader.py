"""What `demo` takes, and what it refuses."""

import pytest
import torch

import headgrid as hg
from headgrid.demo import CHECKPOINTS, FOLDER, MODELS, demo, folder_of
from headgrid.demo.shipped import tokenizer_folder


def test_every_name_has_a_line_that_says_what_it_is():
    assert list(MODELS) == ["small", "training", "gqa", "names", "types"]
    assert all(20 < len(line) < 120 for line in MODELS.values())


def test_without_a_name_it_is_the_small_model():
    assert folder_of() == folder_of("small") == FOLDER


def test_a_name_that_there_is_not_is_an_error_that_lists_them():
    with pytest.raises(ValueError, match=r"name is .*'small'.*'training'.*'gqa'.*'names'.*'types'.*, not 'name'"):
        demo("name")
    with pytest.raises(TypeError, match=r"name is .*'gqa'.*, not 3"):
        demo(3)


def test_a_step_that_was_not_kept_is_an_error_that_lists_those_that_were():
    with pytest.raises(ValueError, match=r"step is one of 0, 550, .*, 1050, .*not 600"):
        demo("training", step=600)
    with pytest.raises(TypeError, match=r"step is a number of steps.*, not '550'"):
        demo("training", step="550")
    with pytest.raises(TypeError, match=r"step is a number of steps.*, not True"):
        demo("training", step=True)


def test_a_step_of_a_model_with_one_checkpoint_is_refused():
    with pytest.raises(ValueError, match=r"'gqa' has one checkpoint"):
        demo("gqa", step=550)
    with pytest.raises(ValueError, match=r"'small' has one checkpoint"):
        demo(step=0)


def test_the_last_checkpoint_is_the_one_without_a_step():
    last, given = demo("training")[0], demo("training", step=CHECKPOINTS[-1])[0]
    assert all(torch.equal(a, b) for a, b in zip(last.parameters(), given.parameters(), strict=True))
    before = demo("training", step=CHECKPOINTS[-2])[0]
    assert not torch.equal(before.lm_head.weight, last.lm_head.weight)


@pytest.mark.parametrize("name", MODELS)
def test_each_model_is_float32_in_eval_mode_and_reads_its_tokenizer_s_words(name):
    model, tokenizer = demo(name)
    assert not model.training
    assert {one.dtype for one in [*model.parameters(), *model.buffers()] if one.is_floating_point()} == {torch.float32}
    assert model.config.vocab_size == len(tokenizer)
    ids = tokenizer("when mary and john went to the store", return_tensors="pt")["input_ids"]
    assert ids.shape == (1, 9)
    output = model(ids, output_attentions=True)
    assert len(output.attentions) == model.config.num_hidden_layers
    assert torch.isfinite(output.logits).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_the_anatomy_of_each_model_is_proven_by_its_own_forward_pass(name):
    hg.verify(demo(name)[0]).raise_if_failed()


def test_all_models_together_take_less_than_four_megabytes():
    folders = {folder_of(name) for name in MODELS} | {folder_of("training", step) for step in CHECKPOINTS}
    files = {path for folder in folders for path in folder.rglob("*") if path.is_file()}
    assert sum(path.stat().st_size for path in files) < 4_000_000


def test_a_tokenizer_is_shipped_once():
    found = list(FOLDER.parent.rglob("tokenizer.json"))
    assert sorted(found) == sorted({tokenizer_folder(name) / "tokenizer.json" for name in MODELS})
    assert len({path.read_bytes() for path in found}) == len(found)
