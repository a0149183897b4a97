"""Rules of what decides where a pod runs: tolerations, affinity, topology spread."""

from __future__ import annotations

from typing import Any

from engine.api.errors import Cause
from engine.api.kinds import label_selector
from engine.api.validation import (
    NOT_POSITIVE,
    dns1123_label,
    dns1123_subdomain,
    duplicate,
    each_invalid,
    forbidden,
    invalid,
    label_value,
    not_supported,
    qualified_name,
    required,
)

Values = dict[str, Any]

TAINT_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_COMPARING = ("Equal", "Exists", "Lt", "Gt")
_ACTIONS = ("DoNotSchedule", "ScheduleAnyway")
_INCLUSION = ("Honor", "Ignore")
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
_IN_RANGE = "must be in the range 1-100"
_NO_OPERATOR = "not a valid selector operator"
_NOT_WITHOUT_SELECTOR = "must not be specified when labelSelector is not set"


def check_tolerations(tolerations: list[Values], path: str, causes: list[Cause]) -> None:
    for index, toleration in enumerate(tolerations):
        get = toleration.get
        key, operator, value, effect = get("key"), get("operator"), get("value"), get("effect")
        if key and (messages := qualified_name(key)):
            causes += each_invalid(f"{path}[{index}].key", key, messages)
        if not key and operator != "Exists":
            why = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'
            causes.append(invalid(f"{path}[{index}].operator", operator or "", why))
        if effect != "NoExecute" and get("tolerationSeconds") is not None:
            why = "effect must be 'NoExecute' when `tolerationSeconds` is set"
            causes.append(invalid(f"{path}[{index}].effect", effect or "", why))
        if operator == "Exists":
            if value:
                why = "value must be empty when `operator` is 'Exists'"
                causes.append(invalid(f"{path}[{index}].operator", value, why))
        elif not operator or operator == "Equal":
            if value and (messages := label_value(value)):
                causes.append(invalid(f"{path}[{index}].operator", value, ";".join(messages)))
        else:
            known = _COMPARING if operator in _COMPARING else _COMPARING[:2]
            causes.append(not_supported(f"{path}[{index}].operator", operator, known))
        if effect and effect not in TAINT_EFFECTS:
            causes.append(not_supported(f"{path}[{index}].effect", effect, TAINT_EFFECTS))


def check_affinity(affinity: Values, path: str, causes: list[Cause]) -> None:
    if (node := affinity.get("nodeAffinity")) is not None:
        _check_node_affinity(node, f"{path}.nodeAffinity", causes)
    for member in ("podAffinity", "podAntiAffinity"):
        if (pods := affinity.get(member)) is not None:
            _check_pod_affinity(pods, f"{path}.{member}", causes)


def _check_node_affinity(affinity: Values, path: str, causes: list[Cause]) -> None:
    if (needed := affinity.get(_REQUIRED)) is not None:
        terms, where = needed.get("nodeSelectorTerms"), f"{path}.{_REQUIRED}.nodeSelectorTerms"
        if not terms:
            causes.append(required(where, "must have at least one node selector term"))
        for index, term in enumerate(terms or ()):
            _check_node_term(term, f"{where}[{index}]", causes, judge_values=True)
    for index, preferred in enumerate(affinity.get(_PREFERRED) or ()):
        where, weight = f"{path}.{_PREFERRED}[{index}]", preferred.get("weight", 0)
        if not 1 <= weight <= 100:
            causes.append(invalid(f"{where}.weight", weight, _IN_RANGE))
        _check_node_term(preferred.get("preference") or {}, f"{where}.preference", causes, judge_values=False)


def _check_node_term(term: Values, path: str, causes: list[Cause], *, judge_values: bool) -> None:
    for index, expression in enumerate(term.get("matchExpressions") or ()):
        where = f"{path}.matchExpressions[{index}]"
        _check_node_expression(expression, where, causes)
        if judge_values:
            for number, value in enumerate(expression.get("values") or ()):
                causes += each_invalid(f"{where}.values[{number}]", value, label_value(value))
    for index, expression in enumerate(term.get("matchFields") or ()):
        _check_node_field(expression, f"{path}.matchFields[{index}]", causes)


def _check_node_expression(expression: Values, path: str, causes: list[Cause]) -> None:
    operator, values = expression.get("operator", ""), expression.get("values") or ()
    if operator in ("In", "NotIn"):
        if not values:
            causes.append(required(f"{path}.values", "must be specified when `operator` is 'In' or 'NotIn'"))
    elif operator in ("Exists", "DoesNotExist"):
        if values:
            why = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
            causes.append(forbidden(f"{path}.values", why))
    elif operator in ("Gt", "Lt"):
        if len(values) != 1:
            causes.append(required(f"{path}.values", "must be specified single value when `operator` is 'Lt' or 'Gt'"))
    else:
        causes.append(invalid(f"{path}.operator", operator, _NO_OPERATOR))
    key = expression.get("key", "")
    causes += each_invalid(f"{path}.key", key, qualified_name(key))


def _check_node_field(expression: Values, path: str, causes: list[Cause]) -> None:
    operator, values = expression.get("operator", ""), expression.get("values") or ()
    if operator not in ("In", "NotIn"):
        causes.append(invalid(f"{path}.operator", operator, _NO_OPERATOR))
    elif len(values) != 1:
        why = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"
        causes.append(required(f"{path}.values", why))
    key = expression.get("key", "")
    if key != "metadata.name":
        causes.append(invalid(f"{path}.key", key, "not a valid field selector key"))
        return
    for index, value in enumerate(values):
        causes += each_invalid(f"{path}.values[{index}]", value, dns1123_subdomain(value))


def _check_pod_affinity(affinity: Values, path: str, causes: list[Cause]) -> None:
    for index, term in enumerate(affinity.get(_REQUIRED) or ()):
        _check_pod_term(term, f"{path}.{_REQUIRED}[{index}]", causes)
    for index, preferred in enumerate(affinity.get(_PREFERRED) or ()):
        where, weight = f"{path}.{_PREFERRED}[{index}]", preferred.get("weight", 0)
        if not 1 <= weight <= 100:
            causes.append(invalid(f"{where}.weight", weight, _IN_RANGE))
        _check_pod_term(preferred.get("podAffinityTerm") or {}, f"{where}.podAffinityTerm", causes)


def _check_pod_term(term: Values, path: str, causes: list[Cause]) -> None:
    for member in ("labelSelector", "namespaceSelector"):
        if (selector := term.get(member)) is not None:
            causes += label_selector.faults(selector, f"{path}.{member}")
    for name in term.get("namespaces") or ():
        causes += each_invalid(f"{path}.namespace", name, dns1123_label(name))
    matched, mismatched = term.get("matchLabelKeys") or [], term.get("mismatchLabelKeys") or []
    _check_label_keys(matched, term.get("labelSelector"), f"{path}.matchLabelKeys", causes)
    _check_label_keys(mismatched, term.get("labelSelector"), f"{path}.mismatchLabelKeys", causes)
    for index, key in enumerate(matched):
        if key in mismatched:
            why = "exists in both matchLabelKeys and mismatchLabelKeys"
            causes.append(invalid(f"{path}.matchLabelKeys[{index}]", key, why))
    key = term.get("topologyKey", "")
    if not key:
        causes.append(required(f"{path}.topologyKey", "can not be empty"))
    causes += each_invalid(f"{path}.topologyKey", key, qualified_name(key))


def _check_label_keys(keys: list[str], selector: Values | None, path: str, causes: list[Cause]) -> None:
    if keys and selector is None:
        causes.append(forbidden(path, _NOT_WITHOUT_SELECTOR))
        return
    for index, key in enumerate(keys):
        causes += each_invalid(f"{path}[{index}]", key, qualified_name(key))


def check_spread(constraints: list[Values], path: str, causes: list[Cause]) -> None:
    for index, constraint in enumerate(constraints):
        get, where = constraint.get, f"{path}[{index}]"
        skew, key, action = get("maxSkew", 0), get("topologyKey", ""), get("whenUnsatisfiable", "")
        if skew <= 0:
            causes.append(invalid(f"{where}.maxSkew", skew, NOT_POSITIVE))
        if not key:
            causes.append(required(f"{where}.topologyKey", "can not be empty"))
        if action not in _ACTIONS:
            causes.append(not_supported(f"{where}.whenUnsatisfiable", action, _ACTIONS))
        later = ((each.get("topologyKey", ""), each.get("whenUnsatisfiable", "")) for each in constraints[index + 1 :])
        if (key, action) in later:
            causes.append(duplicate(f"{where}.{{topologyKey, whenUnsatisfiable}}", f"{{{key}, {action}}}"))
        if (domains := get("minDomains")) is not None:
            _check_min_domains(domains, action, f"{where}.minDomains", causes)
        causes += [
            not_supported(f"{where}.{member}", policy, _INCLUSION)
            for member in ("nodeAffinityPolicy", "nodeTaintsPolicy")
            if (policy := get(member)) is not None and policy not in _INCLUSION
        ]
        _check_label_keys(get("matchLabelKeys") or [], get("labelSelector"), f"{where}.matchLabelKeys", causes)
        if (selector := get("labelSelector")) is not None:
            causes += label_selector.faults(selector, f"{where}.labelSelector")


def _check_min_domains(domains: int, action: str, path: str, causes: list[Cause]) -> None:
    if domains <= 0:
        causes.append(invalid(path, domains, NOT_POSITIVE))
    if action != "DoNotSchedule":
        why = f"can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {action}"
        causes.append(invalid(path, domains, why))
