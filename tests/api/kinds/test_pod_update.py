"""What of a stored pod may change."""

from __future__ import annotations

from typing import Any

import pytest
from samples import created, pod, update_faults, updated

Document = dict[str, Any]


def stored(**spec: Any) -> Document:
    return created("Pod", pod(**spec))


def image(name: str) -> Document:
    return {"spec": {"containers": [{**stored()["spec"]["containers"][0], "image": name}]}}


def test_an_image_may_change() -> None:
    assert update_faults("Pod", stored(), image("nginx:2")) == []


def test_an_image_may_not_vanish() -> None:
    assert ("spec.containers[0].image", "Required value") in update_faults("Pod", stored(), image(""))


def test_labels_may_change() -> None:
    assert update_faults("Pod", stored(), {"metadata": {"labels": {"a": "b"}}}) == []


def test_containers_are_neither_added_nor_removed() -> None:
    containers = [{"name": "c", "image": "x"}, {"name": "d", "image": "x"}]
    assert update_faults("Pod", stored(), {"spec": {"containers": containers}}) == [
        ("spec.containers", "Forbidden: pod updates may not add or remove containers")
    ]


def test_other_fields_are_as_they_were() -> None:
    ((field, message),) = update_faults("Pod", stored(), {"spec": {"restartPolicy": "Never"}})
    assert field == "spec"
    assert message.startswith("Forbidden: pod updates may not change fields other than `spec.containers[*].image`")
    assert '-  "restartPolicy": "Always",\n+  "restartPolicy": "Never",\n' in message


def test_saying_a_zero_value_changes_nothing() -> None:
    assert update_faults("Pod", stored(), {"spec": {"hostNetwork": False, "initContainers": []}}) == []


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        (None, 10, None),
        (10, 5, None),
        (5, 10, "Invalid value: 10: must be less than or equal to previous value"),
        (5, None, "Invalid value: null: must not update from a positive integer to nil value"),
    ],
)
def test_a_deadline_only_comes_nearer(before: int | None, after: int | None, message: str | None) -> None:
    causes = update_faults("Pod", stored(activeDeadlineSeconds=before), {"spec": {"activeDeadlineSeconds": after}})
    assert causes == ([] if message is None else [("spec.activeDeadlineSeconds", message)])


def test_tolerations_may_be_added() -> None:
    old = stored()
    more = [*old["spec"]["tolerations"], {"key": "a", "operator": "Exists"}]
    assert update_faults("Pod", old, {"spec": {"tolerations": more}}) == []


def test_tolerations_may_last_another_time() -> None:
    old = stored()
    other = [{**each, "tolerationSeconds": 5} for each in old["spec"]["tolerations"]]
    assert update_faults("Pod", old, {"spec": {"tolerations": other}}) == []


def test_tolerations_stay() -> None:
    tolerant = stored(tolerations=[{"key": "a", "operator": "Exists"}])
    assert update_faults("Pod", tolerant, {"spec": {"tolerations": [{"key": "b", "operator": "Exists"}]}}) == [
        ("spec.tolerations", "Forbidden: existing toleration can not be modified except its tolerationSeconds")
    ]


def test_what_the_server_added_need_not_be_repeated() -> None:
    old = stored()
    change = {"spec": {"tolerations": None, "priority": None, "preemptionPolicy": None}}
    assert update_faults("Pod", old, change) == []
    assert updated("Pod", old, change)["spec"] == old["spec"]


def test_gates_are_removed_and_not_added() -> None:
    gates = [{"name": "example.com/a"}, {"name": "example.com/b"}]
    assert update_faults("Pod", stored(schedulingGates=gates), {"spec": {"schedulingGates": gates[:1]}}) == []
    assert update_faults("Pod", stored(schedulingGates=gates[:1]), {"spec": {"schedulingGates": gates}}) == [
        (
            "spec.schedulingGates[1].name",
            "Forbidden: only deletion is allowed, but found new scheduling gate 'example.com/b'",
        )
    ]


def test_a_gated_pod_may_become_choosier() -> None:
    gated = stored(schedulingGates=[{"name": "example.com/a"}], nodeSelector={"a": "1"})
    assert update_faults("Pod", gated, {"spec": {"nodeSelector": {"b": "2"}}}) == []
    ((field, message),) = update_faults("Pod", gated, {"spec": {"nodeSelector": {"a": "2"}}})
    assert field == "spec.nodeSelector"
    assert message == (
        'Invalid value: {"a":"2"}: only additions to spec.nodeSelector are allowed (no mutations or deletions)'
    )


def test_an_update_leaves_the_status_alone() -> None:
    assert updated("Pod", stored(), {"status": {"phase": "Running"}})["status"]["phase"] == "Pending"


def test_a_status_update_leaves_the_spec_alone() -> None:
    old = stored()
    change = {"spec": {"restartPolicy": "Never"}, "status": {"phase": "Running", "qosClass": None}}
    new = updated("Pod", old, change, "status")
    assert new["spec"] == old["spec"]
    assert new["status"] == {"phase": "Running", "qosClass": "BestEffort"}


def test_a_status_update_leaves_the_owners_alone() -> None:
    new = updated("Pod", stored(), {"metadata": {"ownerReferences": [{"uid": "u"}]}}, "status")
    assert "ownerReferences" not in new["metadata"]


STATUS_RULES: dict[str, tuple[Document, tuple[str, str]]] = {
    "the class of service is decided": (
        {"qosClass": "Guaranteed"},
        ("status.qosClass", 'Invalid value: "Guaranteed": field is immutable'),
    ),
    "an address is one": (
        {"podIPs": [{"ip": "there"}]},
        (
            "status.podIPs[0]",
            'Invalid value: "there": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
        ),
    ),
    "a generation is not negative": (
        {"observedGeneration": -1},
        ("status.observedGeneration", "Invalid value: -1: must be a non-negative integer"),
    ),
}


@pytest.mark.parametrize("rule", STATUS_RULES)
def test_a_status_where(rule: str) -> None:
    status, cause = STATUS_RULES[rule]
    assert update_faults("Pod", stored(), {"status": status}, "status") == [cause]


def test_a_container_that_ended_for_good_stays_ended() -> None:
    old = stored(restartPolicy="Never")
    old["status"]["containerStatuses"] = [{"name": "c", "state": {"terminated": {"exitCode": 1}}}]
    running = {"status": {"containerStatuses": [{"name": "c", "state": {"running": {}}}]}}
    assert update_faults("Pod", old, running, "status") == [
        ("status.containerStatuses[0].state", "Forbidden: may not be transitioned to non-terminated state")
    ]


def test_a_container_that_failed_may_run_again_on_failure() -> None:
    old = stored(restartPolicy="OnFailure")
    old["status"]["containerStatuses"] = [{"name": "c", "state": {"terminated": {"exitCode": 1}}}]
    running = {"status": {"containerStatuses": [{"name": "c", "state": {"running": {}}}]}}
    assert update_faults("Pod", old, running, "status") == []
