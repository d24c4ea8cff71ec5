"""Sentences become task names that people can read, files can bear and nobody confuses."""

import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from eva_rl.data.task_names import LONGEST, is_plain_name, task_name


@pytest.mark.parametrize(
    ("sentence", "name"),
    [
        ("Insert the peg into the socket.", "insert_the_peg_into_the_socket"),
        ("  Insert the   PEG into the socket", "insert_the_peg_into_the_socket"),
        ("click_bell", "click_bell"),
        ("Stack 3 cups", "stack_3_cups"),
    ],
)
def test_a_plain_sentence_is_its_own_name(sentence, name):
    assert task_name(sentence) == name


@pytest.mark.parametrize(
    ("one", "other", "start"),
    [
        ("turn the knob to -5", "turn the knob to 5!", "turn_the_knob_to_5"),
        ("take the cup, then pour", "take the cup then pour", "take_the_cup_then_pour"),
        ("倒茶", "叠毛巾", "task"),
        ("café", "cafe", "cafe"),
        ("put it down " * 9 + "left", "put it down " * 9 + "right", "put_it_down_put_it_down"),
    ],
)
def test_sentences_that_would_look_alike_are_kept_apart(one, other, start):
    names = task_name(one), task_name(other)
    assert names[0] != names[1]
    assert all(name.startswith(start) for name in names)


def plain(sentence):
    return " ".join(sentence.casefold().split()).rstrip(" .").replace("_", " ")


@given(st.text(max_size=200), st.text(max_size=200))
def test_different_sentences_have_different_names_and_all_can_name_a_file(one, other):
    assume(plain(one) != plain(other))
    assert task_name(one) != task_name(other)
    for name in (task_name(one), task_name(other)):
        assert len(name) <= LONGEST
        assert re.fullmatch(r"[a-z0-9_]+", name)
        assert is_plain_name(name)


def test_a_name_cannot_be_made_to_look_like_another_sentences():
    hashed = task_name("turn the knob to -5")
    assert task_name(hashed.replace("_", " ")) != hashed


@pytest.mark.parametrize("name", ["", "..", ".", "a/b", "../a", "a\\b", "a\0b", None, 3, " a"])
def test_names_that_lead_elsewhere_are_not_plain(name):
    assert not is_plain_name(name)
