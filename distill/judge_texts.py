"""The texts to judge: what the server writes, and held-out ones of the same length."""

import json
import sys
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from distill.held_out import split_documents
from distill.judge_config import JudgeConfig
from distill.served import complete_all, server, wait_until_ready

DATA = "data"  # stands where a model's name does


@dataclass(slots=True)
class Prompt:
    tokens: list[int]
    text: str


@dataclass(slots=True)
class Text:
    text: str
    finish_reason: str
    prompt: int  # index
    seed: int | None = None
    passes: int | None = None
    nll: float | None = None  # mean over its tokens, where there are any to score
    judge_tokens: int = 0


@dataclass(slots=True)
class TextSet:
    model: str
    texts: list[Text]
    steps: int | None = None
    device: str | None = None


def prompts_and_data(config: JudgeConfig, tokenizer: Tokenizer) -> tuple[list[Prompt], TextSet | None]:
    """The prompts of the protocol; and, where there is held-out text, how its authors went on."""
    if not config.prompts:
        return [Prompt([], "")], None
    pairs = split_documents(config.prompts, config.prefix, config.tokens, config.samples)
    data = [
        Text(tokenizer.decode(rest), "stop" if len(rest) < config.tokens else "length", i if config.prefix else 0)
        for i, (_, rest) in enumerate(pairs)
    ]
    prompts = [Prompt(prefix, tokenizer.decode(prefix)) for prefix, _ in pairs] if config.prefix else [Prompt([], "")]
    return prompts, TextSet(DATA, data)


def read_texts(config: JudgeConfig, tokenizer: Tokenizer) -> tuple[list[Prompt], list[TextSet]]:
    """What others had written: a set for each model and number of steps of the file, and the prompts that the texts go on from."""
    prompts: dict[str, int] = {}
    sets: dict[tuple[str, int | None], TextSet] = {}
    try:
        lines = Path(config.texts).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeError) as error:
        sys.exit(f"--texts: expected a file of texts, got {config.texts!r} ({error})")
    for number, line in enumerate(lines, 1):
        try:
            found = json.loads(line)
            text = found["text"] if "text" in found else tokenizer.decode(found["tokens"])
            prompt = prompts.setdefault(found.get("prompt", ""), len(prompts))
            model, steps = found["model"], found["steps"]
        except (ValueError, KeyError, TypeError) as error:
            sys.exit(f"--texts: line {number}: expected model, steps, and text or tokens, got {line!r} ({error!r})")
        one = sets.setdefault((model, steps), TextSet(model, [], steps))
        one.texts.append(Text(text, found.get("finish_reason", "length"), prompt))
    if not sets:
        sys.exit(f"--texts: expected a text a line, got none in {config.texts}")
    return [Prompt(tokenizer.encode(text).ids, text) for text in prompts], list(sets.values())


def sample(config: JudgeConfig, prompts: list[Prompt]) -> list[TextSet]:
    """One set for each model and number of steps."""
    plan = config.plan()
    room = ("--max-text-tokens", str(max(1024, config.prefix + config.tokens + 2)))
    sets = []
    with nullcontext(config.url) if config.url else server([folder for folder, _ in plan], *room) as url:
        devices = {model["name"]: model["device"] for model in wait_until_ready(url)["models"]}
        for folder, numbers in plan:
            model = json.loads(Path(folder, "model.json").read_text())["name"]
            for steps in numbers:
                texts = write_texts(url, {"model": model, "steps": steps}, config, prompts)
                sets.append(TextSet(model, texts, steps, devices.get(model)))
    return sets


def write_texts(url: str, request: dict[str, Any], config: JudgeConfig, prompts: list[Prompt]) -> list[Text]:
    chosen = [i // config.continuations % len(prompts) for i in range(config.samples)]
    bodies = [
        {**request, "prompt": prompts[p].tokens or "", "max_tokens": config.tokens, "seed": seed}
        for seed, p in enumerate(chosen)
    ]
    choices = complete_all(url, bodies, config.in_flight, f"{request['model']}, {request['steps']} steps")
    return [
        Text(choice["text"], choice["finish_reason"], p, seed, choice["fewstep"]["timings"]["passes"])
        for seed, (p, choice) in enumerate(zip(chosen, choices, strict=True))
    ]
