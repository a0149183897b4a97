"""A LabelSelector object becomes the selector that queries use."""

from __future__ import annotations

import pytest

from engine.api.selectors import label_selector


def test_labels_and_expressions_must_all_hold() -> None:
    selector = label_selector(
        {
            "matchLabels": {"app": "w"},
            "matchExpressions": [
                {"key": "tier", "operator": "In", "values": ["b", "a"]},
                {"key": "env", "operator": "NotIn", "values": ["test"]},
                {"key": "track", "operator": "Exists"},
                {"key": "old", "operator": "DoesNotExist"},
            ],
        }
    )
    assert str(selector) == "app=w,env notin (test),!old,tier in (a,b),track"
    assert selector.matches({"app": "w", "tier": "a", "track": ""})
    assert not selector.matches({"app": "w", "tier": "a", "track": "", "old": "x"})
    assert not selector.matches({"app": "w", "tier": "c", "track": ""})


def test_an_empty_selector_matches_everything() -> None:
    assert label_selector({}).matches({})


@pytest.mark.parametrize(
    ("operator", "values"),
    [("Near", ["a"]), ("", []), ("In", []), ("NotIn", []), ("Exists", ["a"]), ("DoesNotExist", ["a"])],
)
def test_an_expression_that_makes_no_sense_is_refused(operator: str, values: list[str]) -> None:
    with pytest.raises(ValueError, match="operator"):
        label_selector({"matchExpressions": [{"key": "a", "operator": operator, "values": values}]})
