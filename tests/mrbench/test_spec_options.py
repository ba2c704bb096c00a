"""Options behind the question mark of a spec."""

from __future__ import annotations

import pytest

from mrbench.errors import InputError
from mrbench.spec_options import check_options, split_options, whole_number


def test_values_are_those_of_a_url_but_for_the_plus_sign() -> None:
    assert split_options("a?b/c?query=x%26y%0A+z=1&empty=") == ("a?b/c", {"query": "x&y\n+z=1", "empty": ""})
    assert split_options("a/b") == ("a/b", {})


@pytest.mark.parametrize("options", ["sk-1", "=sk-1", "", "limit=3&", "limit=3&sk-1"])
def test_a_malformed_option_is_refused_and_not_shown(options: str) -> None:
    with pytest.raises(InputError, match=r"malformed option of a spec; accepted: \?NAME=VALUE") as error:
        split_options(f"place?{options}")
    assert "sk-1" not in str(error.value)


def test_an_option_twice_is_refused_and_not_shown() -> None:
    with pytest.raises(InputError, match=r"there twice; where: \?key=") as error:
        split_options("place?key=sk-1&key=sk-2")
    assert "sk-" not in str(error.value)


def test_an_unknown_option_names_those_that_there_are() -> None:
    with pytest.raises(InputError, match="where: openai; got: 'batches'; accepted: batch: ITEMS; key: NAME"):
        check_options({"batches": "1"}, {"batch": "ITEMS", "key": "NAME"}, where="openai")
    with pytest.raises(InputError, match="accepted: none"):
        check_options({"a": ""}, {})


@pytest.mark.parametrize("value", ["0", "-1", "1.5", "", "٣", "x"])
def test_a_whole_number_starts_at_one(value: str) -> None:
    with pytest.raises(InputError, match=r"where: \?limit="):
        whole_number({"limit": value}, "limit")
