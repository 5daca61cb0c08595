import json
import math
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer

from distill.config import parse_arguments
from distill.diversity import distinct, entropy, ngrams, self_bleu
from distill.held_out import documents, split_documents
from distill.judge_config import JudgeConfig
from distill.judge_model import Judge, find_judge, load_judge
from distill.judge_report import write_evaluation
from distill.judge_texts import read_texts
from distill.score import batches, interval, perplexity, token_nll
from distill.served import CLI, complete, complete_all, server, wait_until_ready
from distill.vocabulary import END_OF_TEXT

transformers = pytest.importorskip("transformers")

VOCABULARY = 50257
GPT2 = Path("models/tokenizers/gpt2")
TOY = "test/fixtures/models/toy-mixture"
TEXTS = ["Once upon a time", "A cat.", "The dog ran to the tree and then it ran home again", "x"]

needs_server = pytest.mark.skipif(
    shutil.which("node") is None or not CLI.exists(), reason="needs node and dist/, which npm run build makes"
)


@pytest.fixture(scope="module")
def judge_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny judge of random weights, as a folder on disk."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("judge")
    config = transformers.LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=128,
        initializer_range=0.5,  # so that what stands before a token matters
    )
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    shutil.copy(GPT2 / "tokenizer.json", folder)
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast"}))
    return folder


@pytest.fixture(scope="module")
def judge(judge_folder: Path) -> Judge:
    return load_judge(judge_folder)


def test_nll_is_that_of_each_token_after_all_before_it(judge: Judge) -> None:
    tokens, _ = judge.encode(TEXTS[2])
    (found,) = token_nll(judge.model, [tokens])
    for i in range(1, len(tokens)):
        with torch.no_grad():
            logits = judge.model(input_ids=torch.tensor([tokens[:i]])).logits[0, -1].double()
        assert found[i - 1] == pytest.approx(-logits.log_softmax(0)[tokens[i]].item(), abs=1e-4)
    assert len(found) == len(tokens) - 1
    assert found.std() > 0.5


def test_texts_get_the_same_nll_together_as_alone(judge: Judge) -> None:
    sequences = [judge.encode(text)[0] for text in TEXTS] + [[]]
    together = token_nll(judge.model, sequences)
    for tokens, found in zip(sequences, together, strict=True):
        np.testing.assert_allclose(found, token_nll(judge.model, [tokens])[0], atol=1e-4)
    assert [len(found) for found in together[-2:]] == [0, 0]  # one token, none


def test_every_text_is_in_one_batch() -> None:
    lengths = np.random.default_rng(0).integers(0, 700, 50)
    made = batches([[0] * length for length in lengths])
    assert sorted(i for batch in made for i in batch) == np.flatnonzero(lengths > 1).tolist()
    assert all(len(batch) == 1 or len(batch) * max(lengths[batch]) <= 1024 for batch in made)


def test_a_judge_that_knows_nothing_finds_a_perplexity_of_its_vocabulary(judge: Judge) -> None:
    model = transformers.LlamaForCausalLM(judge.model.config).eval()
    torch.nn.init.zeros_(model.lm_head.weight)
    found = token_nll(model, [judge.encode(text)[0] for text in TEXTS[:3]])
    value, low, high = perplexity(np.array([nll.mean() for nll in found]))
    assert (value, low, high) == pytest.approx((VOCABULARY,) * 3)


def test_every_text_weighs_the_same_in_perplexity() -> None:
    assert perplexity(np.log([10.0, 1000.0]))[0] == pytest.approx(100)


def test_only_tokens_that_hold_a_part_of_the_continuation_count(judge: Judge) -> None:
    prompt = "The dog ran ho"
    tokens, before = judge.encode(prompt + "me again", len(prompt))
    assert judge.tokenizer.convert_ids_to_tokens(tokens) == ["The", "Ġdog", "Ġran", "Ġhome", "Ġagain"]
    assert before == 3
    assert judge.encode("The dog ran", len("The dog"))[1] == 2
    assert judge.encode("The dog")[1] == 0


def test_intervals_cover_the_mean_as_often_as_they_say() -> None:
    random = np.random.default_rng(1)
    covered = 0
    for _ in range(300):
        _, low, high = interval(random.exponential(1, 60), draws=500)
        covered += low <= 1 <= high
    assert 0.89 < covered / 300 < 0.98


def test_texts_of_one_prompt_are_drawn_together() -> None:
    random = np.random.default_rng(2)
    groups = np.repeat(np.arange(30), 10)
    values = random.normal(size=30)[groups] + 0.01 * random.normal(size=300)
    value, low, high = interval(values, groups)
    assert low < value < high
    _, low_apart, high_apart = interval(values)
    assert (high - low) / (high_apart - low_apart) == pytest.approx(math.sqrt(10), rel=0.15)


def test_entropy_of_a_text() -> None:
    assert entropy([5, 5, 5]) == 0
    assert entropy([1, 1, 2, 2]) == pytest.approx(math.log(2))
    assert entropy([1, 1, 1, 2]) == pytest.approx(0.75 * math.log(4 / 3) + 0.25 * math.log(4))


def test_distinct_ngrams_of_all_texts() -> None:
    texts = [[1, 2, 1, 2], [1, 2, 3]]
    assert distinct(texts, 1) == pytest.approx(3 / 7)
    assert distinct(texts, 2) == pytest.approx(3 / 5)  # 12, 21, 12; 12, 23
    assert distinct(texts, 3) == 1  # 121, 212; 123
    assert distinct(texts, 9) == 0


def test_self_bleu_by_hand() -> None:
    assert self_bleu([[1, 2, 3, 4, 5]] * 3) == pytest.approx(100)
    assert self_bleu([[1, 2, 3, 4], [5, 6, 7, 8]]) == 0
    assert math.isnan(self_bleu([[1, 2, 3]]))
    # [1 1 2 3 4] against [1 2 3 4]: precisions 4/5 (the second 1 is not matched), 3/4, 2/3, 1/2.
    # [1 2 3 4] against [1 1 2 3 4]: all 1, but shorter.
    there = (4 / 5 * 3 / 4 * 2 / 3 * 1 / 2) ** 0.25
    back = math.exp(1 - 5 / 4)
    assert self_bleu([[1, 1, 2, 3, 4], [1, 2, 3, 4]]) == pytest.approx(100 * (there + back) / 2)
    # [1 2 9 8] against [1 2 3 4], and the other way: 2/4, 1/3, then nothing of two and of one.
    assert self_bleu([[1, 2, 9, 8], [1, 2, 3, 4]]) == pytest.approx(100 * (2 / 4 * 1 / 3 * 0.1 / 2 * 0.1 / 1) ** 0.25)


def test_self_bleu_takes_the_best_of_the_other_texts() -> None:
    # For the first text the 1s of the third, the 2s of the second, and never its own.
    texts = [[1, 1, 2, 2], [2, 2, 7, 7], [1, 1, 7, 7]]
    each = (4 / 4 * 2 / 3 * 0.1 / 2 * 0.1 / 1) ** 0.25
    assert self_bleu(texts) == pytest.approx(100 * each)


def test_self_bleu_is_what_comparing_all_pairs_gives() -> None:
    random = np.random.default_rng(3)
    texts = [random.integers(0, 4, random.integers(5, 30)).tolist() for _ in range(12)]
    scores = []
    for i, text in enumerate(texts):
        others = texts[:i] + texts[i + 1 :]
        precisions = []
        for n in range(1, 5):
            matches = sum(min(c, max(ngrams(o, n)[gram] for o in others)) for gram, c in ngrams(text, n).items())
            precisions.append((matches or 0.1) / (len(text) - n + 1))
        nearest = min((len(o) for o in others), key=lambda length: (abs(length - len(text)), length))
        scores.append(min(1, math.exp(1 - nearest / len(text))) * math.prod(precisions) ** 0.25)
    assert self_bleu(texts) == pytest.approx(100 * np.mean(scores))


def test_documents_that_were_cut_into_rows_are_whole_again(tmp_path: Path) -> None:
    end = END_OF_TEXT
    np.save(tmp_path / "valid.npy", np.array([[9, end, 1, 2], [3, 4, end, 5], [6, end, 7, 8]], dtype=np.uint16))
    assert documents(tmp_path / "valid.npy") == [[1, 2, 3, 4], [5, 6]]
    assert split_documents(str(tmp_path / "valid.npy"), 2, 1, 9) == [([1, 2], [3])]
    with pytest.raises(SystemExit, match="expected documents of more than 4 tokens"):
        split_documents(str(tmp_path / "valid.npy"), 4, 1, 9)


def test_steps_are_for_all_models_or_for_each() -> None:
    assert JudgeConfig(out="o", models="a,b", steps="4,8").plan() == [("a", [4, 8]), ("b", [4, 8])]
    assert JudgeConfig(out="o", models="a,b", steps="4/16,32").plan() == [("a", [4]), ("b", [16, 32])]
    for flag, got in (("steps", "4/8/9"), ("steps", "4,x"), ("protocol", "none")):
        with pytest.raises(SystemExit, match=f"--{flag}: expected"):
            parse_arguments(JudgeConfig, ["--out=o", "--models=a,b", f"--{flag}={got}"])
    with pytest.raises(SystemExit, match="--prompts: expected"):
        JudgeConfig(out="o", protocol="prefix")


def test_a_judge_that_is_not_there_is_one_line() -> None:
    with pytest.raises(SystemExit, match="--judge: expected a folder or a GGUF file, got 'nowhere'"):
        find_judge("nowhere")


def test_figures_take_the_place_of_earlier_ones_of_their_kind(tmp_path: Path) -> None:
    manifest = json.loads(Path(TOY, "model.json").read_text())
    kept = [
        {"measure": "a bound", "protocol": "unconditional", "tokens": 8},
        {"judge": "j", "protocol": "prefix", "tokens": 8},
    ]
    earlier = {"judge": "an older one", "protocol": "unconditional", "tokens": 8, "perplexity": 1}
    (tmp_path / "model.json").write_text(json.dumps(manifest | {"evaluation": [*kept, earlier]}))
    figures = {"value": 2.0, "low": 1.0, "high": 3.0}
    result = {
        "model": "toy-mixture",
        "steps": 4,
        "passes": 3.5,
        "samples": 9,
        "perplexity": figures,
        "entropy": figures,
    }
    settings = {"protocol": "unconditional", "tokens": 8}
    other = result | {"model": "another"}
    write_evaluation(tmp_path, {"judge": "j", "settings": settings, "results": [result, other]})
    written = json.loads((tmp_path / "model.json").read_text())
    assert written["evaluation"][:2] == kept
    (entry,) = written["evaluation"][2:]
    assert entry == {"steps": 4, "passes": 3.5, "perplexity": 2.0, "low": 1.0, "high": 3.0} | {
        "entropy": 2.0,
        "samples": 9,
        "judge": "j",
        **settings,
    }
    assert written["checksum"] != manifest["checksum"]
    changed = {"evaluation": [], "checksum": ""}
    assert written | changed == manifest | changed


@needs_server
def test_the_server_writes_the_same_texts_in_whatever_order_it_is_asked_and_ends_with_its_block() -> None:
    bodies = [{"prompt": "", "max_tokens": 8, "steps": 4, "seed": seed} for seed in range(12)]
    with server([TOY], "--device", "cpu") as url:
        assert wait_until_ready(url)["status"] == "ready"
        texts = [choice["text"] for choice in complete_all(url, bodies, 6, "toy")]
        assert [complete(url, body)["text"] for body in reversed(bodies)] == texts[::-1]
        with pytest.raises(SystemExit, match=r"400 .*steps: expected"):
            complete(url, {"steps": 0})
    assert len(set(texts)) > 1
    with pytest.raises(OSError):
        complete(url, bodies[0])


@needs_server
@pytest.mark.parametrize("protocol", ["unconditional", "prefix"])
def test_judges_a_served_model_from_the_command_line(judge_folder: Path, tmp_path: Path, protocol: str) -> None:
    shutil.copytree(TOY, tmp_path / "toy-mixture")
    valid = np.random.default_rng(0).integers(0, 50000, (30, 16)).astype(np.uint16)
    valid[:, 0] = END_OF_TEXT
    np.save(tmp_path / "valid.npy", valid)
    flags = [f"--protocol={protocol}", f"--prompts={tmp_path / 'valid.npy'}", f"--judge={judge_folder}", "--write=true"]
    sizes = ["--steps=2,4", "--samples=12", "--tokens=6", "--prefix=5", "--continuations=2"]
    run(f"--models={tmp_path / 'toy-mixture'}", f"--out={tmp_path / 'out'}", *flags, *sizes)
    report = json.loads((tmp_path / "out" / "judge.json").read_text())
    assert [(r["model"], r["steps"]) for r in report["results"]] == [
        ("toy-mixture", 2),
        ("toy-mixture", 4),
        ("data", None),
    ]
    for result in report["results"]:
        assert result["samples"] + result["empty"] == 12
        assert 1 < result["perplexity"]["low"] <= result["perplexity"]["value"] <= result["perplexity"]["high"]
        assert 0 <= result["entropy"]["low"] <= result["entropy"]["value"] <= result["entropy"]["high"]
    lines = [json.loads(line) for line in (tmp_path / "out" / "samples.jsonl").read_text().splitlines()]
    assert [line["seed"] for line in lines] == [*range(12), *range(12), *[None] * 12]
    scored = [line["nll"] for line in lines[12:24] if line["nll"] is not None]
    assert report["results"][1]["perplexity"]["value"] == pytest.approx(math.exp(sum(scored) / len(scored)), abs=1e-3)
    assert "| `toy-mixture` | 4 |" in (tmp_path / "out" / "judge.md").read_text()
    assert (tmp_path / "out" / "judge.png").stat().st_size > 10_000
    # The server takes the manifest that the figures were written into.
    with server([str(tmp_path / "toy-mixture")], "--device", "cpu") as url:
        assert complete(url, {"max_tokens": 4})["finish_reason"] in ("stop", "length")
    written = json.loads((tmp_path / "toy-mixture" / "model.json").read_text())["evaluation"]
    assert [(entry["steps"], entry["protocol"]) for entry in written] == [(2, protocol), (4, protocol)]


def test_judges_texts_of_a_file(judge_folder: Path, tmp_path: Path) -> None:
    tokenizer = Tokenizer.from_file("models/tokenizers/gpt2/tokenizer.json")
    lines: list[dict[str, object]] = [
        {"model": "a", "steps": 4, "text": " red green blue"},
        {"model": "a", "steps": 4, "tokens": tokenizer.encode(" blue green red").ids},
        {"model": "a", "steps": 8, "prompt": " green", "text": " red green blue"},
        {"model": "b", "steps": None, "text": ""},
        {"model": "b", "steps": None, "text": " red green blue"},
    ]
    (tmp_path / "texts.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    run(f"--texts={tmp_path / 'texts.jsonl'}", f"--out={tmp_path / 'out'}", f"--judge={judge_folder}")
    report = json.loads((tmp_path / "out" / "judge.json").read_text())
    found = [(r["model"], r["steps"], r["samples"], r["empty"]) for r in report["results"]]
    assert found == [("a", 4, 2, 0), ("a", 8, 1, 0), ("b", None, 1, 1)]
    after_prompt, alone = (r["perplexity"]["value"] for r in report["results"][1:])
    assert after_prompt != alone
    assert "| `b` |  |" in (tmp_path / "out" / "judge.md").read_text()


@pytest.mark.parametrize("line", ["no json", '{"model": "a", "steps": 4}', '{"model": "a", "text": "b"}', "7"])
def test_a_line_that_is_no_text_is_named(tmp_path: Path, line: str) -> None:
    file = tmp_path / "texts.jsonl"
    file.write_text('{"model": "a", "steps": 4, "text": "b"}\n' + line + "\n")
    tokenizer = Tokenizer.from_file("models/tokenizers/gpt2/tokenizer.json")
    with pytest.raises(SystemExit, match="--texts: line 2: expected model, steps, and text or tokens"):
        read_texts(JudgeConfig(out="o", texts=str(file)), tokenizer)


def run(*flags: str) -> None:
    done = subprocess.run([sys.executable, "-m", "distill.judge", *flags], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
