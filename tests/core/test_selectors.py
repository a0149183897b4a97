"""Kubernetes' selector grammar, its messages, and what selectors match, against a naive evaluator."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import FieldSelector, LabelSelector, Object
from engine._columns import Column
from engine._selection import RowBuffer, gather, select_field, select_labels
from engine._selectors import as_field_selector, as_label_selector, field_text

Requirement = tuple[str, str, tuple[str, ...]]

KEYS = st.sampled_from(["a", "b", "app.kubernetes.io/name", "in", "notin", "x_y"])
VALUES = st.sampled_from(["", "1", "2", "-3", "007", "web", "in", "A.b-c_d"])
REQUIREMENTS = st.one_of(
    st.tuples(KEYS, st.sampled_from(["in", "notin"]), st.sets(VALUES.filter(lambda v: v != "-3"), min_size=1)),
    st.tuples(KEYS, st.sampled_from(["=", "!="]), VALUES.filter(lambda v: v != "-3").map(lambda v: {v})),
    st.tuples(KEYS, st.sampled_from(["exists", "!"]), st.just(set[str]())),
    st.tuples(KEYS, st.sampled_from(["gt", "lt"]), st.sampled_from([{"1"}, {"2"}, {"007"}])),
).map(lambda r: (r[0], r[1], tuple(sorted(r[2]))))
LABELS = st.dictionaries(KEYS, VALUES)


def holds(requirement: Requirement, labels: dict[str, str]) -> bool:
    key, operator, values = requirement
    match operator:
        case "in" | "=":
            return key in labels and labels[key] in values
        case "notin" | "!=":
            return labels.get(key) not in values
        case "exists":
            return key in labels
        case "!":
            return key not in labels
    try:
        number = int(labels.get(key, "none"))
    except ValueError:
        return False
    return number > int(values[0]) if operator == "gt" else number < int(values[0])


def text_of(requirement: Requirement) -> str:
    key, operator, values = requirement
    match operator:
        case "in" | "notin":
            return f"{key} {operator} ( {' , '.join(values)} )"
        case "exists":
            return key
        case "!":
            return f"! {key}"
    symbol = {"gt": ">", "lt": "<"}.get(operator, operator)
    return f"{key} {symbol} {values[0]}"


@given(st.lists(REQUIREMENTS, max_size=4), LABELS)
def test_a_label_selector_matches_when_every_requirement_holds(
    requirements: list[Requirement], labels: dict[str, str]
) -> None:
    selector = LabelSelector.parse(",".join(map(text_of, requirements)))
    assert sorted(selector.requirements) == sorted(requirements)
    assert selector.matches(labels) == all(holds(r, labels) for r in requirements)
    assert selector.matches(Object({"metadata": {"name": "n", "labels": labels}}).labels) == selector.matches(labels)
    assert LabelSelector.of(tuple(requirements)) == selector


@given(st.lists(REQUIREMENTS, max_size=4))
def test_the_text_of_a_selector_parses_to_the_same(requirements: list[Requirement]) -> None:
    selector = LabelSelector.of(tuple(requirements))
    assert LabelSelector.parse(str(selector)) == selector
    assert hash(LabelSelector.parse(str(selector))) == hash(selector)


@pytest.mark.parametrize(
    ("text", "requirements"),
    [
        ("", ()),
        ("  ", ()),
        ("x=", (("x", "=", ("",)),)),
        ("x==a", (("x", "=", ("a",)),)),
        ("x in ()", (("x", "in", ("",)),)),
        ("x in (a,)", (("x", "in", ("", "a")),)),
        ("x in (,)", (("x", "in", ("",)),)),
        ("x notin (b,,a)", (("x", "notin", ("", "a", "b")),)),
        ("in in (in),notin notin (notin)", (("in", "in", ("in",)), ("notin", "notin", ("notin",)))),
        ("z,a\t!=\nb", (("a", "!=", ("b",)), ("z", "exists", ()))),
        ("x>1,y<2", (("x", "gt", ("1",)), ("y", "lt", ("2",)))),
    ],
)
def test_the_whole_grammar_is_read(text: str, requirements: tuple[Requirement, ...]) -> None:
    assert LabelSelector.parse(text).requirements == requirements


NAME_RULE = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character "
    "(e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
VALUE_RULE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
SUBDOMAIN_RULE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a in x", "unable to parse requirement: found 'x' expected: '('"),
        ("a in", "unable to parse requirement: found '' expected: '('"),
        ("a in (x", "unable to parse requirement: found '', expected: ',' or ')'"),
        ("a in (x y)", "unable to parse requirement: found 'y', expected: ',' or ')'"),
        ("a in (x,", "unable to parse requirement: found '', expected: ',', or identifier"),
        ("a in (=)", "unable to parse requirement: found '=', expected: ',', ')' or identifier"),
        ("a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
        ("a=(", "unable to parse requirement: found '(', expected: identifier"),
        ("!", "unable to parse requirement: found '', expected: identifier"),
        ("!!a", "unable to parse requirement: found '!', expected: identifier"),
        ("!a=b", "found '=', expected: ',' or 'end of string'"),
        ("a==b==c", "found '==', expected: ',' or 'end of string'"),
        ("a,", "found '', expected: identifier after ','"),
        ("a,,b", "found ',', expected: identifier after ','"),
        (",a", "found ',', expected: !, identifier, or 'end of string'"),
        ("(a)", "found '(', expected: !, identifier, or 'end of string'"),
        ("-a", f'unable to parse requirement: <nil>: Invalid value: "-a": name part {NAME_RULE}'),
        (
            "/a",
            'unable to parse requirement: <nil>: Invalid value: "/a": prefix part must be non-empty',
        ),
        (
            "A.b/",
            f'unable to parse requirement: <nil>: Invalid value: "A.b/": prefix part {SUBDOMAIN_RULE}; '
            f"name part must be non-empty; name part {NAME_RULE}",
        ),
        (
            "a/b/c",
            f'unable to parse requirement: <nil>: Invalid value: "a/b/c": a valid label key {NAME_RULE} '
            "with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')",
        ),
        (
            "a" * 64,
            f'unable to parse requirement: <nil>: Invalid value: "{"a" * 64}": name part must be no more than 63 bytes',
        ),
        ("a=-", f'unable to parse requirement: values[0][a]: Invalid value: "-": {VALUE_RULE}'),
        (
            f"a={'b' * 64}",
            f'unable to parse requirement: values[0][a]: Invalid value: "{"b" * 64}": must be no more than 63 bytes',
        ),
        (
            "a>b",
            'unable to parse requirement: values[0]: Invalid value: "b": '
            "for 'Gt', 'Lt' operators, the value must be an integer",
        ),
        ('a="', f'unable to parse requirement: values[0][a]: Invalid value: "\\"": {VALUE_RULE}'),
    ],
)
def test_what_cannot_be_parsed_is_told_in_kubernetes_words(text: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        LabelSelector.parse(text)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("requirement", "message"),
    [
        (("a", "in", ()), "values set can't be empty"),
        (("a", "=", ("b", "c")), "exact-match compatibility requires one single value"),
        (("a", "exists", ("b",)), "values set must be empty for exists and does not exist"),
        (("a", "gt", ("1", "2")), "exactly one value is required"),
        (("a", "like", ("b",)), "Unsupported value"),
        (("-", "exists", ()), 'key: Invalid value: "-"'),
    ],
)
def test_requirements_given_as_data_are_checked_as_well(requirement: Requirement, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LabelSelector.of((requirement,))


@given(st.lists(REQUIREMENTS, max_size=4), st.lists(LABELS, max_size=12))
def test_a_column_of_labels_finds_what_the_selector_matches(
    requirements: list[Requirement], rows: list[dict[str, str]]
) -> None:
    selector = LabelSelector.of(tuple(requirements))
    column = Column("metadata.labels", labels=True)
    for row, labels in enumerate(rows):
        column.put(row, json.dumps(labels).encode() if labels else None)
    hits = RowBuffer()
    gather([select_labels(column, selector)], hits)
    assert sorted(hits.as_list()) == [row for row, labels in enumerate(rows) if selector.matches(labels)]


FIELDS = st.sampled_from(["metadata.name", "spec.nodeName", "status.ready", "spec.count", "spec.none"])
TEXTS = st.sampled_from(["", "n1", "a,b", "a=b", "back\\slash", "true", "3"])


@given(
    st.lists(st.tuples(FIELDS, st.sampled_from(["=", "==", "!="]), TEXTS), max_size=3),
    st.sampled_from(["n1", "a,b", "a=b", "back\\slash", None]),
)
def test_a_field_selector_matches_when_every_term_holds(terms: list[tuple[str, str, str]], node: str | None) -> None:
    fields = {
        "metadata.name": "n1",
        "spec.nodeName": node or "",
        "status.ready": "true",
        "spec.count": "3",
        "spec.none": "",
    }
    spec = {"count": 3, "none": None} | ({} if node is None else {"nodeName": node})
    obj = Object({"metadata": {"name": "n1"}, "spec": spec, "status": {"ready": True}})

    def escaped(text: str) -> str:
        return text.replace("\\", "\\\\").replace(",", "\\,").replace("=", "\\=")

    selector = FieldSelector.parse(",".join(f"{path}{operator}{escaped(text)}" for path, operator, text in terms))
    assert selector.matches(obj) == all((fields[path] == text) == (op != "!=") for path, op, text in terms)
    assert FieldSelector.parse(str(selector)) == selector


@given(
    st.lists(
        st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=3), st.lists(st.text()), st.just({})),
        max_size=8,
    ),
    st.data(),
)
def test_a_column_finds_what_a_field_selector_matches(values: list[Any], data: st.DataObject) -> None:
    column = Column("spec.field")
    for row, value in enumerate(values):
        column.put(row, json.dumps(value, ensure_ascii=data.draw(st.booleans())).encode())
    text = data.draw(st.sampled_from(["", "x", *map(field_text, values)]))
    objects = [Object({"metadata": {"name": "a"}, "spec": {"field": value}}) for value in values]
    hits = RowBuffer()
    for operator in ("=", "!="):
        escaped = text.replace("\\", "\\\\").replace(",", "\\,").replace("=", "\\=")
        selector = FieldSelector.parse(f"spec.field{operator}{escaped}")
        gather([select_field(column, text, operator == "=")], hits)
        assert sorted(hits.as_list()) == [row for row, obj in enumerate(objects) if selector.matches(obj)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a", "invalid selector: 'a'; can't understand 'a'"),
        ("a=b,c", "invalid selector: 'a=b,c'; can't understand 'c'"),
        ("a=b=c", "invalid field selector: unescaped character in value: 61"),
        ("a=b\\c", "invalid field selector: invalid escape sequence: \\c"),
        ("a=b\\", "invalid field selector: invalid escape sequence: \\"),
        ("a..b=c", "field label not supported: a..b"),
    ],
)
def test_a_field_selector_that_cannot_be_parsed_says_why(text: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        FieldSelector.parse(text)
    assert str(caught.value) == message


def test_empty_terms_are_skipped() -> None:
    assert FieldSelector.parse(",a=b,,").requirements == (("a", "=", "b"),)


def test_a_selector_that_selects_everything_is_none() -> None:
    assert as_label_selector(None) is as_label_selector("") is as_label_selector(LabelSelector.parse("")) is None
    assert as_field_selector(None) is as_field_selector("") is as_field_selector(FieldSelector.parse("")) is None
    assert as_label_selector("a=b") is as_label_selector("a=b")


@pytest.mark.parametrize(
    ("value", "text"), [(None, ""), (True, "true"), (False, "false"), (7, "7"), ("x", "x"), ([], ""), ({}, "")]
)
def test_field_text_is_how_selectors_see_a_value(value: object, text: str) -> None:
    assert field_text(value) == text
