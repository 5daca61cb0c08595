"""The exported graph against the unfolded PyTorch model."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from distill.denoiser_graph import build
from distill.export_onnx import export
from distill.fold import fold
from distill.graph import FLOAT, FLOAT16, Graph, value
from distill.int8 import int8_product, quantise
from distill.parity import Feeds, random_feeds, reference_logits
from distill.vocabulary import MASK, Vocabulary

from .conftest import random_denoiser, random_vocabulary

CONTEXT = 24
CASES = [
    pytest.param(50257, True, False, id="mixture, whole vocabulary, untied"),
    pytest.param(700, True, True, id="mixture, trained vocabulary, tied"),
    pytest.param(700, False, True, id="product, trained vocabulary, tied"),
    pytest.param(3, False, False, id="product, three words, untied"),
]


def session_of(model, vocabulary: Vocabulary, precision: str = "float32") -> onnxruntime.InferenceSession:
    graph = build(model.config, fold(model), vocabulary, CONTEXT, precision, with_logits=True)
    return onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])


@pytest.mark.parametrize(("size", "mixture", "tied"), CASES)
def test_the_folded_graph_gives_the_unfolded_models_logits(size: int, mixture: bool, tied: bool) -> None:
    vocabulary = Vocabulary.all() if size == 50257 else random_vocabulary(size)
    model = random_denoiser(size, mixture=mixture, tied=tied)
    feeds = random_feeds(model.config, vocabulary, CONTEXT)
    expected = reference_logits(model, vocabulary, feeds)
    assert np.abs(expected).max() > 3, "logits of a size that shows differences"
    got = session_of(model, vocabulary).run(["logits"], feeds)[0]
    assert np.abs(got - expected).max() <= 1e-4


def test_a_float16_file_computes_in_float32() -> None:
    vocabulary, model = random_vocabulary(100), random_denoiser(100, mixture=True)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(parameter.half().float())
        for name, parameter in model.named_parameters():
            if "adaLN" in name:
                parameter.zero_()
            if "blocks" in name and name.endswith("adaLN_modulation.bias"):  # gates of 1: folding then rounds nothing
                parameter.view(6, -1)[[2, 5]] = 1
    feeds = random_feeds(model.config, vocabulary, CONTEXT)
    got = session_of(model, vocabulary, "float16").run(["logits"], feeds)[0]
    assert np.abs(got - reference_logits(model, vocabulary, feeds)).max() <= 1e-4


@pytest.mark.parametrize(("precision", "share"), [("half", 0.005), ("int8", 0.03)])
@pytest.mark.parametrize(("mixture", "tied"), [(True, True), (False, False)])
def test_a_narrow_precision_stays_close_to_float32(precision: str, share: float, mixture: bool, tied: bool) -> None:
    vocabulary, model = random_vocabulary(700), random_denoiser(700, mixture=mixture, tied=tied)
    feeds = random_feeds(model.config, vocabulary, CONTEXT)
    expected = reference_logits(model, vocabulary, feeds)
    got = session_of(model, vocabulary, precision).run(["logits"], feeds)[0]
    assert 0 < np.abs(got - expected).max() < share * np.abs(expected).max()


def test_variants_share_the_weights_that_they_hold_alike(tmp_path: Path) -> None:
    vocabulary, model = Vocabulary.all(), random_denoiser(50257, mixture=True)
    card = {"description": "", "licence": "", "provenance": {}, "steps": {}}
    wide, narrow = export(model, vocabulary, CONTEXT, tmp_path, card, ["float16", "half"])["variants"]
    assert [wide["devices"], narrow["devices"]] == [["cpu"], ["cuda"]]
    assert [file["path"] for file in narrow["files"]] == ["denoiser.half.onnx", "denoiser.onnx.data"]
    feeds = random_feeds(model.config, vocabulary, CONTEXT)
    for variant in (wide, narrow):
        session = onnxruntime.InferenceSession(tmp_path / variant["graph"], providers=["CPUExecutionProvider"])
        assert session.run(["revealed"], feeds)[0].shape == feeds["rows"].shape


def test_beyond_the_blocks_nothing_is_narrower_than_float32() -> None:
    """Of float16 the sampler sees nothing: logits come as float32, from a float32 product."""
    vocabulary, model = random_vocabulary(700), random_denoiser(700, mixture=True)
    graph = build(model.config, fold(model), vocabulary, CONTEXT, "half", with_logits=True).graph
    kinds = {entry.name: entry.type.tensor_type.elem_type for entry in graph.output}
    assert kinds["logits"] == kinds["probability"] == FLOAT
    products = [node for node in graph.node if node.op_type == "MatMul"]
    narrow = {tensor.name for tensor in graph.initializer if tensor.data_type == FLOAT16}
    assert products[0].input[1] not in narrow and products[-1].input[1] not in narrow  # lambda's and the head's
    assert sum(node.input[1] in narrow for node in products) == 4 * model.config.blocks


@pytest.mark.parametrize("precision", ["float32", "half"])
@pytest.mark.parametrize("tied", [True, False])
def test_the_head_sees_requested_rows_only(precision: str, tied: bool) -> None:
    """Nothing has a vocabulary for every position, and what the head is fed with was gathered by `rows`."""
    vocabulary, model = Vocabulary.all(), random_denoiser(50257, mixture=True, tied=tied)
    graph = onnx.shape_inference.infer_shapes(build(model.config, fold(model), vocabulary, CONTEXT, precision)).graph
    shapes = {entry.name: entry.type.tensor_type.shape.dim for entry in graph.value_info}
    wide = {name for name, shape in shapes.items() if any(size.dim_value >= len(vocabulary) for size in shape)}
    assert wide, "shapes are known"
    for name in wide:
        assert not {"B", "L"} & {size.dim_param for size in shapes[name]}, name
    maker = {output: node for node in graph.node for output in node.output}
    head = next(node for node in graph.node if node.op_type == "MatMul" and node.output[0] in wide)
    assert shapes[head.output[0]][0].dim_param == "R"
    x = maker[head.input[0]]
    while x.op_type != "Gather":
        x = maker[x.input[0]]
    assert x.input[1] == "rows"


def test_quantised_weights_are_within_half_a_level() -> None:
    weight = np.random.default_rng(0).standard_normal((64, 5)).astype(np.float32)
    weight[:, 2] = 0
    levels, scales = quantise(weight)
    assert levels.shape == (64, 5) and scales.shape == (5,)
    assert (np.abs(levels * scales - weight) <= scales / 2 * 1.0001).all()


def test_an_int8_product_is_the_same_to_the_bit_alone_and_among_any_number_of_rows() -> None:
    """At a width of many blocks, with rows of very different size: a scale over several rows would show."""
    draw = np.random.default_rng(0)
    x, weight = draw.standard_normal((40, 768), np.float32), draw.standard_normal((768, 70), np.float32)
    x[::7] *= 30
    x[1], weight[:, 3] = 1, 1  # the largest levels: pairs of their products must not saturate
    graph = Graph()
    graph.rename(int8_product(graph, "x", weight, "weight"), "y")
    model = graph.model("product", [value("x", FLOAT, ["R", 768])], [value("y", FLOAT, ["R", 70])])
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    together = session.run(["y"], {"x": x})[0]
    assert np.abs(together - x @ weight).max() < 0.02 * np.abs(together).max()
    for count in (1, 2, 3, 4, 5, 7, 16, 31):
        for first in (0, 1, 8, 9):
            some = slice(first, first + count)
            assert np.array_equal(session.run(["y"], {"x": x[some]})[0], together[some]), (count, first)


def test_lambda_at_another_index_gives_the_same_logits() -> None:
    """The published models put lambda last; here it stands first. Without rotary the two are one."""
    model = random_denoiser(50, mixture=True)
    tokens, latent = torch.randint(0, 51, (2, 9)), torch.rand(2)
    first = model.trunk(tokens, latent)

    class LambdaLast(torch.nn.Module):
        """The blocks of the model, fed with lambda behind the tokens."""

        def forward(self) -> torch.Tensor:
            from distill.denoiser import lambda_embedding, rotary_tables

            row = model.latent_projection(lambda_embedding(latent))
            x = torch.cat([model.vocab_embed(tokens), row[:, None]], dim=1)
            cos, sin = rotary_tables(9, 8)
            cos, sin = torch.cat([cos, torch.ones(1, 4)]), torch.cat([sin, torch.zeros(1, 4)])
            condition = torch.nn.functional.silu(model.sigma_map())
            for block in model.blocks:
                x = block(x, condition, cos, sin, None)
            return x[:, :-1]

    assert (LambdaLast()() - first).abs().max() < 1e-5
    other = model.trunk(tokens, (latent + 0.37) % 1)
    assert (other - first).abs().max() > 1e-2, "another lambda gives other logits"


@pytest.mark.parametrize("mixture", [True, False])
@pytest.mark.parametrize("precision", ["float32", "float16", "int8"])  # half is not for CPUs, where it does not hold
def test_a_sequence_is_the_same_to_the_bit_alone_and_in_a_batch(mixture: bool, precision: str) -> None:
    vocabulary, model = random_vocabulary(700), random_denoiser(700, mixture=mixture, width=256)
    session = session_of(model, vocabulary, precision)
    feeds = random_feeds(model.config, vocabulary, CONTEXT, batch=4)
    names = ["logits", "revealed", "probability"]
    together = session.run(names, feeds)
    for b in range(4):
        mine = feeds["rows"] // CONTEXT == b
        alone: Feeds = {
            name: array
            if array.ndim == 0
            else array[b : b + 1]
            if len(array) == 4 and name in PER_SEQUENCE
            else array[mine]
            for name, array in feeds.items()
        }
        alone["rows"] = alone["rows"] - b * CONTEXT
        for got, expected in zip(session.run(names, alone), together, strict=True):
            assert np.array_equal(got, expected[mine])
        for r in range(0, int(mine.sum()), 5):
            one = {
                name: array if name in PER_SEQUENCE or array.ndim == 0 else array[r : r + 1]
                for name, array in alone.items()
            }
            assert np.array_equal(session.run(names, one)[0], together[0][mine][r : r + 1])


PER_SEQUENCE = {"tokens", "lengths", "lambda"}


def test_tokens_past_the_length_are_not_seen() -> None:
    vocabulary, model = random_vocabulary(50), random_denoiser(50, mixture=True)
    session = session_of(model, vocabulary)
    feeds = random_feeds(model.config, vocabulary, CONTEXT)
    garbage = np.where(np.arange(CONTEXT) < feeds["lengths"][:, None], feeds["tokens"], vocabulary.token_ids[7])
    assert not np.array_equal(garbage, feeds["tokens"])
    plain, changed = (
        session.run(["logits"], {**feeds, "tokens": tokens.astype(np.int32)})[0]
        for tokens in (feeds["tokens"], garbage)
    )
    assert np.array_equal(plain, changed)


def test_a_token_never_seen_in_training_is_as_good_as_unknown() -> None:
    vocabulary, model = random_vocabulary(50), random_denoiser(50, mixture=False)
    session = session_of(model, vocabulary)
    feeds = random_feeds(model.config, vocabulary, CONTEXT)
    unseen = int(np.setdiff1d(np.arange(50257), vocabulary.token_ids)[0])
    tokens = np.where(feeds["tokens"] == MASK, unseen, feeds["tokens"]).astype(np.int32)
    assert np.array_equal(session.run(["logits"], {**feeds, "tokens": tokens})[0], session.run(["logits"], feeds)[0])
