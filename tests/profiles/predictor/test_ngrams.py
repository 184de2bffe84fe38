"""N-grams are those of the definition, whatever the batch, the script or the letters' case."""

from collections import Counter

import numpy as np
import pytest

from profiles.predictor.ngrams import SLOTS, character_grams, count_table, word_grams

TEXTS = [
    "Ab c",
    "the cat  the\ncat",
    "",
    "   ",
    "你好 世界 hello",
    "naïve café",
    "a" * 9,
    "\ud800 x",
]


def defined_characters(text):
    words = [f" {word} " for word in text.lower().split()]
    grams = [w[i : i + n] for w in words for n in (1, 2, 3, 4) for i in range(len(w) - n + 1)]
    # The space between two words belongs to both: it is no n-gram alone.
    return Counter(gram for gram in grams if gram != " ")


def slot_counts(counter, text):
    _, slots = counter([text])
    return sorted(Counter(slots.tolist()).values())


@pytest.mark.parametrize("text", TEXTS)
def test_character_grams_are_those_inside_words_and_the_spaces_around_them(text):
    assert sorted(defined_characters(text).values()) == slot_counts(character_grams, text)


def test_word_grams_are_words_of_two_letters_or_more_and_their_neighbours():
    # the, cat, the cat twice; cat the once; x is too short to be a word
    assert [1, 2, 2, 2] == slot_counts(word_grams, "The cat x the CAT")


def test_no_word_gram_reaches_over_two_texts():
    owners, slots = word_grams(["red blue", "blue red"])

    assert 2 == len(set(slots[owners == 0]) & set(slots[owners == 1])), "the two words alone"
    assert 3 == (owners == 0).sum()


def test_the_same_gram_has_the_same_slot_everywhere():
    alone = set(character_grams(["poem"])[1].tolist())
    inside = set(character_grams(["a long poem of winter"])[1].tolist())

    assert alone <= inside


def test_case_and_white_space_do_not_count():
    left, right = (count_table([t], word_grams, None) for t in ("The  Cat\n sat", "the cat sat"))

    assert 0 == (left != right).nnz


@pytest.mark.parametrize("counter", [character_grams, word_grams])
def test_counts_do_not_depend_on_the_batch(counter):
    texts = TEXTS * 150

    together = count_table(texts, counter, None)

    assert (len(texts), SLOTS) == together.shape
    for row in (0, 5, 700, len(texts) - 1):
        alone = count_table([texts[row]], counter, None)
        assert 0 == (together[row] != alone).nnz


def test_columns_keep_only_what_is_known():
    columns = np.full(SLOTS, -1, np.int32)
    slots = np.unique(word_grams(["winter poem"])[1])
    columns[slots] = np.arange(len(slots))

    table = count_table(["a poem of winter", "", "nothing of it"], word_grams, columns)

    assert (3, 3) == table.shape
    assert [2, 0, 0] == np.asarray(table.sum(axis=1)).ravel().tolist()
