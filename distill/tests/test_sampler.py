"""The sampler's part of the graph, alone, against plain float64 arithmetic."""

import numpy as np
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distill.graph import BOOL, DOUBLE, FLOAT, INT32, INT64, Graph, value
from distill.sampler_graph import NEVER, Grid, add_sampler

LAST_COIN = 1 - 2.0**-53


def sampler(vocabulary: int) -> onnxruntime.InferenceSession:
    g = Graph()
    sampled = add_sampler(g, "logits", vocabulary)
    g.rename(sampled.tokens, "token")
    g.rename(sampled.probabilities, "probability")
    g.rename(sampled.alternative_tokens, "alternative_tokens")
    inputs = [
        value("logits", FLOAT, ["R", Grid.of(vocabulary).columns]),
        value("coins", DOUBLE, ["R"]),
        value("temperature", FLOAT, ["R"]),
        value("top_p", FLOAT, ["R"]),
        value("top_k", INT32, ["R"]),
        value("filtered", BOOL, []),
        value("alternatives", BOOL, []),
    ]
    outputs = [
        value("token", INT64, ["R", 1]),
        value("probability", FLOAT, ["R", 1]),
        value("alternative_tokens", INT64, ["A", "K"]),
    ]
    model = g.model("sampler", inputs, outputs)
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


SESSIONS = {size: sampler(size) for size in (2, 3, 5, 100, 1000)}


def run(session, logits, coins, temperature=1.0, top_p=1.0, top_k=0, filtered=None, alternatives=False):
    rows, vocabulary = logits.shape
    padded = np.full((rows, Grid.of(vocabulary).columns), NEVER, np.float32)
    padded[:, :vocabulary] = logits
    feeds = {
        "logits": padded,
        "coins": np.asarray(coins, np.float64),
        "temperature": np.broadcast_to(np.float32(temperature), rows),
        "top_p": np.broadcast_to(np.float32(top_p), rows),
        "top_k": np.broadcast_to(np.int32(top_k), rows),
        "alternatives": np.array(alternatives),
    }
    asks = bool((feeds["top_p"] < 1).any() or (feeds["top_k"] > 0).any())
    feeds["filtered"] = np.array(asks if filtered is None else filtered)
    token, probability, others = session.run(None, feeds)
    return token[:, 0], probability[:, 0], others


def law(logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    scaled = (logits.astype(np.float64) - logits.max(-1, keepdims=True)) / temperature
    return np.exp(scaled) / np.exp(scaled).sum(-1, keepdims=True)


def is_picked(p: np.ndarray, token: int, coin: float, slack: float = 1e-6) -> bool:
    """The coin lies in the token's part of the cumulative sum, up to float32 rounding of the logits' exponentials."""
    upto = np.cumsum(p)
    return (upto[token] - p[token]) - slack <= coin <= upto[token] + slack


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(sorted(SESSIONS)),
    st.integers(0, 2**32),
    st.floats(0.1, 8),
    st.lists(st.one_of(st.floats(0, LAST_COIN), st.sampled_from([0.0, 0.5, LAST_COIN])), min_size=1, max_size=6),
    st.sampled_from([0.3, 1.0, 1.9]),
)
def test_the_two_level_cdf_is_the_plain_one(size, seed, scale, coins, temperature) -> None:
    logits = (np.random.default_rng(seed).standard_normal((len(coins), size)) * scale).astype(np.float32)
    token, probability, _ = run(SESSIONS[size], logits, coins, temperature)
    for r, coin in enumerate(coins):
        assert 0 <= token[r] < size
        assert is_picked(law(logits[r : r + 1], temperature)[0], token[r], coin)
        assert probability[r] == pytest.approx(law(logits[r : r + 1])[0, token[r]], rel=1e-5)


def test_outermost_coins_never_pick_what_cannot_be() -> None:
    logits = np.full((2, 100), -200.0, np.float32)
    logits[:, 40:43] = 0
    token, _, _ = run(SESSIONS[100], logits, [0.0, LAST_COIN])
    assert token.tolist() == [40, 42]


def test_temperature_0_takes_the_likeliest_whatever_the_coin() -> None:
    logits = np.random.default_rng(0).standard_normal((50, 1000)).astype(np.float32)
    token, probability, _ = run(SESSIONS[1000], logits, np.linspace(0, LAST_COIN, 50), temperature=0)
    assert np.array_equal(token, logits.argmax(-1))
    assert np.allclose(probability, law(logits).max(-1))


@settings(max_examples=150, deadline=None)
@given(
    st.integers(0, 2**32),
    st.floats(0.02, 1),
    st.integers(0, 30),
    st.floats(0, LAST_COIN),
    st.sampled_from([0.5, 1.0, 1.5]),
)
def test_filters_keep_the_likeliest_and_renormalise(seed, top_p, top_k, coin, temperature) -> None:
    logits = np.random.default_rng(seed).standard_normal((1, 100)).astype(np.float32) * 2
    p = law(logits, temperature)[0]
    order = np.argsort(-p)
    before = np.cumsum(p[order]) - p[order]
    keep = order[(before < np.float32(top_p) - 1e-6) & (np.arange(100) < (top_k or 100))]
    perhaps = order[(before < np.float32(top_p) + 1e-6) & (np.arange(100) < (top_k or 100))]
    token = run(SESSIONS[100], logits, [coin], temperature, top_p, top_k)[0][0]
    laws = []
    for kept in (keep, perhaps):  # where rounding decides whether the last one is in, either law is right
        q = np.zeros(100)
        q[kept] = p[kept]
        laws.append(q / q.sum())
    assert any(is_picked(q, token, coin, 1e-5) and q[token] > 0 for q in laws)


def test_a_row_that_filters_nothing_does_not_notice_neighbours_that_do() -> None:
    draw = np.random.default_rng(1)
    logits = (draw.standard_normal((64, 1000)) * 3).astype(np.float32)
    coins = draw.random(64)
    plain = run(SESSIONS[1000], logits, coins)
    asks = np.arange(64) % 2 == 1
    mixed = run(SESSIONS[1000], logits, coins, top_p=np.where(asks, 0.3, 1), top_k=np.where(asks, 4, 0))
    assert np.array_equal(plain[0][~asks], mixed[0][~asks])
    assert not np.array_equal(plain[0][asks], mixed[0][asks])


def test_alternatives_are_the_five_likeliest_and_empty_when_not_asked_for() -> None:
    logits = np.random.default_rng(2).standard_normal((7, 100)).astype(np.float32)
    assert np.array_equal(run(SESSIONS[100], logits, np.zeros(7), alternatives=True)[2], np.argsort(-logits)[:, :5])
    assert run(SESSIONS[100], logits, np.zeros(7))[2].shape == (0, 5)


def test_the_entropy_of_a_long_tail_is_kept() -> None:
    """
    Zipf's law on 50,257 tokens has 7.566 nats. float32 noise over the vocabulary loses more than 1 of them at 1,024 steps; an
    exact sampler loses none. 20,000 draws estimate E[-log p] with a standard error of 0.0233: 0.09 is 3.9 of them.
    """
    vocabulary, rows, rounds = 50257, 200, 100
    p = 1 / np.arange(1, vocabulary + 1)
    p /= p.sum()
    entropy = -(p * np.log(p)).sum()
    session, draw = sampler(vocabulary), np.random.default_rng(3)
    logits = np.broadcast_to(np.log(p).astype(np.float32), (rows, vocabulary))
    surprise = np.concatenate([-np.log(p[run(session, logits, draw.random(rows))[0]]) for _ in range(rounds)])
    assert abs(surprise.mean() - entropy) < 0.09
    assert surprise.std() / np.sqrt(len(surprise)) < 0.024
    tail = (surprise > -np.log(p[20000])).mean()
    assert abs(tail - p[20001:].sum()) < 0.008
