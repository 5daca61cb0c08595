from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill.data import DataConfig, hold_out, prepare, rows
from distill.vocabulary import END_OF_TEXT, MASK, Vocabulary


@given(st.lists(st.lists(st.integers(0, 100), min_size=1, max_size=40), max_size=20), st.integers(2, 16))
def test_rows_hold_every_document_once_each_behind_its_separator(documents: list[list[int]], context: int) -> None:
    made = list(rows(iter(documents), context))
    assert all(len(row) == context for row in made)
    whole = [token for document in documents for token in [END_OF_TEXT, *document]]
    flat = [token for row in made for token in row]
    assert flat == whole[: len(flat)]
    assert len(whole) - len(flat) < 2 * context


def test_a_vocabulary_translates_both_ways_and_sends_the_rest_to_the_mask() -> None:
    vocabulary = Vocabulary.of(np.array([7, 50256, 7, 3]))
    assert vocabulary.token_ids.tolist() == [3, 7, 50256]
    assert vocabulary.token_index[[3, 7, 50256]].tolist() == [0, 1, 2]
    assert vocabulary.token_index[MASK] == 3
    assert vocabulary.token_index[12] == 3


def test_text_files_become_rows(tmp_path) -> None:
    (tmp_path / "tale.txt").write_text("A cat sat.\n<|endoftext|>\nA dog ran.\n" * 30)
    (tmp_path / "tale.valid.txt").write_text("A cat ran.\n<|endoftext|>\n" * 9)
    prepare(DataConfig(corpus=str(tmp_path), out=str(tmp_path / "data"), sources="tale", context=16))
    train, valid = np.load(tmp_path / "data/train.npy"), np.load(tmp_path / "data/valid.npy")
    assert train.shape[1] == valid.shape[1] == 16
    assert train[0, 0] == END_OF_TEXT
    assert set(np.unique(train)) == set(Vocabulary.load(tmp_path / "data/vocabulary.npy").token_ids)


@given(st.lists(st.lists(st.integers(0, 100), min_size=1, max_size=40), max_size=20), st.integers(1, 200))
def test_what_is_held_out_is_the_end(documents: list[list[int]], tokens: int) -> None:
    whole = [token for document in documents for token in document]
    kept = [list(document) for document in documents]
    held = hold_out(kept, tokens)
    assert [token for document in kept + held for token in document] == whole
    assert sum(map(len, held)) == min(tokens, len(whole))
    assert all(kept + held)


def test_without_a_held_out_file_a_twentieth_of_the_text_is_held_out(tmp_path: Path) -> None:
    (tmp_path / "tale.txt").write_text("A cat sat.\n<|endoftext|>\nA dog ran.\n<|endoftext|>\n" * 400)
    prepare(DataConfig(corpus=str(tmp_path), out=str(tmp_path / "data"), sources="tale", context=16))
    train, valid = np.load(tmp_path / "data/train.npy"), np.load(tmp_path / "data/valid.npy")
    assert 0.04 < valid.size / (train.size + valid.size) < 0.06


@pytest.mark.parametrize(("text", "held_out"), [("A cat sat.", None), ("A cat sat.\n" * 30, "A dog ran.")])
def test_too_little_text_is_one_line_that_says_how_much_it_takes(
    text: str, held_out: str | None, tmp_path: Path
) -> None:
    (tmp_path / "tale.txt").write_text(text)
    if held_out:
        (tmp_path / "tale.valid.txt").write_text(held_out)
    with pytest.raises(SystemExit, match="at least"):
        prepare(DataConfig(corpus=str(tmp_path), out=str(tmp_path / "data"), sources="tale", context=16))
