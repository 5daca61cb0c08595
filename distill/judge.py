"""
Judges the texts that served models write: generative perplexity under an independent autoregressive model, beside how varied the texts are.

    npm run build
    python -m distill.judge --models=models/student,models/teacher --steps=4,8,16,32 --prompts=data/valid.npy --out=runs/judge

Texts come from the real server over HTTP, text i with the seed i, at temperature 1. Two protocols:
- unconditional: an empty prompt, and `tokens` tokens.
- prefix: the first 50 tokens of held-out documents, and `tokens` tokens that go on; only these are scored.

With `--texts=FILE` no server is asked: the file's lines, `{"model", "steps", "text"}`, are judged as they are; `tokens` may stand for `text`, and
`prompt` may say what a text goes on from.

A text ends at its first end-of-text token and is judged as it was returned; one with nothing to score is counted and left out. The judge reads
decoded text and cuts it into its own tokens, so perplexity is per token of the judge: compare it under one judge and protocol only. Entropy
(of one text, mean over texts), distinct-n and self-BLEU are over GPT-2's tokens. With `--prompts` held-out documents of the same length are
judged along. Intervals are 95 %, by bootstrap over texts (over prompts in `prefix`). docs/judge.md says what the figures mean.

Writes judge.json, judge.md, judge.png and samples.jsonl to OUT; with --write=true also into each model's model.json.
"""

import json
import shlex
import signal
import sys
from dataclasses import asdict
from pathlib import Path

from tokenizers import Tokenizer

from distill.config import parse_arguments
from distill.judge_config import JudgeConfig
from distill.judge_figures import measure
from distill.judge_model import find_judge, load_judge
from distill.judge_plot import plot
from distill.judge_report import environment, table, write_evaluation
from distill.judge_texts import TextSet, prompts_and_data, read_texts, sample


def judge(config: JudgeConfig, arguments: list[str]) -> None:
    judge_path = find_judge(config.judge)
    tokenizer = Tokenizer.from_file(config.tokenizer)
    if config.texts:
        prompts, sets = read_texts(config, tokenizer)
    else:
        prompts, data = prompts_and_data(config, tokenizer)
        sets = sample(config, prompts) + ([data] if data else [])
    judge = load_judge(judge_path)  # after the server's end, so that they do not share the cores
    results = [measure(one, judge, tokenizer, prompts, config) for one in sets]
    report = {
        "judge": judge.name,
        "seeds": [0, config.samples - 1],
        "command": shlex.join(["python", "-m", "distill.judge", *arguments]),
        **environment(judge),
        "settings": asdict(config),
        "results": results,
    }
    out = Path(config.out)
    out.mkdir(parents=True, exist_ok=True)
    write_samples(sets, out / "samples.jsonl")
    (out / "judge.json").write_text(json.dumps(report, indent=2) + "\n")
    (out / "judge.md").write_text(table(report))
    if not config.texts:  # of those nobody told the passes, which the plot is against
        plot(report, out / "judge.png")
    if config.write:
        for folder, _ in config.plan():
            write_evaluation(Path(folder), report)
    print(table(report))


def write_samples(sets: list[TextSet], path: Path) -> None:
    with path.open("w") as file:
        for one in sets:
            for text in one.texts:
                line = {"model": one.model, "steps": one.steps, **asdict(text)}
                file.write(json.dumps(line, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    # A run that is told to end unwinds, which ends its server.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    judge(parse_arguments(JudgeConfig), sys.argv[1:])
