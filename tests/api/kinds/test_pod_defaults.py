"""What a pod is filled in with, and what a new pod gets from the server."""

from __future__ import annotations

from typing import Any

import pytest
from samples import created, defaulted, pod

from engine.api.errors import StatusError


def container(**members: Any) -> dict[str, Any]:
    return created("Pod", pod(members))["spec"]["containers"][0]


def volume(**source: Any) -> dict[str, Any]:
    return created("Pod", pod(volumes=[{"name": "v", **source}]))["spec"]["volumes"][0]


def test_a_minimal_pod_becomes_whole() -> None:
    made = created("Pod", pod())
    assert made["spec"] == {
        "containers": [
            {
                "name": "c",
                "image": "nginx",
                "resources": {},
                "terminationMessagePath": "/dev/termination-log",
                "terminationMessagePolicy": "File",
                "imagePullPolicy": "Always",
            }
        ],
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30,
        "dnsPolicy": "ClusterFirst",
        "securityContext": {},
        "schedulerName": "default-scheduler",
        "tolerations": [
            {"key": f"node.kubernetes.io/{key}", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
            for key in ("not-ready", "unreachable")
        ],
        "priority": 0,
        "enableServiceLinks": True,
        "preemptionPolicy": "PreemptLowerPriority",
    }
    assert made["status"] == {"phase": "Pending", "qosClass": "BestEffort"}


def test_defaults_do_not_change_what_has_them() -> None:
    once = defaulted("Pod", pod({"livenessProbe": {"tcpSocket": {"port": 1}}}, volumes=[{"name": "v"}]))
    assert defaulted("Pod", once) == once


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("nginx", "Always"),
        ("nginx:latest", "Always"),
        ("nginx:1.2", "IfNotPresent"),
        ("registry:5000/nginx", "Always"),
        ("registry:5000/nginx:1", "IfNotPresent"),
        ("nginx@sha256:" + "a" * 64, "IfNotPresent"),
        ("nginx:latest@sha256:" + "a" * 64, "Always"),
    ],
)
def test_the_tag_decides_whether_an_image_is_always_pulled(image: str, policy: str) -> None:
    assert container(image=image)["imagePullPolicy"] == policy


def test_a_port_is_tcp() -> None:
    assert container(ports=[{"containerPort": 80}])["ports"] == [{"containerPort": 80, "protocol": "TCP"}]


def test_a_probe_asks_every_ten_seconds() -> None:
    assert container(livenessProbe={"httpGet": {"port": 80}})["livenessProbe"] == {
        "httpGet": {"path": "/", "port": 80, "scheme": "HTTP"},
        "timeoutSeconds": 1,
        "periodSeconds": 10,
        "successThreshold": 1,
        "failureThreshold": 3,
    }


def test_a_field_reference_is_of_v1() -> None:
    env = container(env=[{"name": "N", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}])["env"]
    assert env[0]["valueFrom"]["fieldRef"] == {"apiVersion": "v1", "fieldPath": "metadata.name"}


def test_what_is_limited_is_requested() -> None:
    resources = container(resources={"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m"}})["resources"]
    assert resources["requests"] == {"cpu": "500m", "memory": "1Gi"}


def test_templates_keep_their_requests_to_themselves() -> None:
    made = created(
        "ReplicaSet",
        {"spec": {"template": {"spec": {"containers": [{"name": "c", "resources": {"limits": {"cpu": "1"}}}]}}}},
    )
    spec = made["spec"]["template"]["spec"]
    assert "requests" not in spec["containers"][0]["resources"]
    assert not {"enableServiceLinks", "tolerations", "priority"} & spec.keys()


def test_a_volume_without_source_is_an_empty_directory() -> None:
    assert volume() == {"name": "v", "emptyDir": {}}


@pytest.mark.parametrize(
    ("source", "mode"),
    [
        ({"configMap": {"name": "m"}}, 0o644),
        ({"secret": {"secretName": "s", "defaultMode": 0o400}}, 0o400),
        ({"downwardAPI": {}}, 0o644),
        ({"projected": {}}, 0o644),
    ],
)
def test_files_of_volumes_are_readable(source: dict[str, Any], mode: int) -> None:
    (name,) = source
    assert volume(**source)[name]["defaultMode"] == mode


def test_a_projected_token_lives_an_hour() -> None:
    made = volume(projected={"sources": [{"serviceAccountToken": {"path": "t"}}]})
    assert made["projected"]["sources"][0]["serviceAccountToken"]["expirationSeconds"] == 3600


def test_a_negative_grace_period_is_one_second() -> None:
    assert created("Pod", pod(terminationGracePeriodSeconds=-1))["spec"]["terminationGracePeriodSeconds"] == 1


def test_the_hosts_network_takes_the_containers_ports() -> None:
    made = created("Pod", pod({"ports": [{"containerPort": 80}]}, hostNetwork=True))
    assert made["spec"]["containers"][0]["ports"][0]["hostPort"] == 80


def test_the_service_account_has_two_names() -> None:
    made = created("Pod", pod(serviceAccountName="robot"))["spec"]
    assert (made["serviceAccountName"], made["serviceAccount"]) == ("robot", "robot")


@pytest.mark.parametrize(
    ("toleration", "added"),
    [
        ({"key": "a", "operator": "Exists"}, 2),
        ({"operator": "Exists"}, 0),
        ({"operator": "Exists", "effect": "NoSchedule"}, 2),
        ({"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute"}, 1),
    ],
)
def test_default_tolerations_leave_room_for_the_pods_own(toleration: dict[str, Any], added: int) -> None:
    made = created("Pod", pod(tolerations=[toleration]))["spec"]["tolerations"]
    assert made[0] == toleration
    assert len(made) == 1 + added


def test_a_system_class_gives_priority() -> None:
    assert created("Pod", pod(priorityClassName="system-node-critical"))["spec"]["priority"] == 2_000_001_000


def test_an_unknown_priority_class_is_forbidden() -> None:
    with pytest.raises(StatusError, match="no PriorityClass with name gold was found") as refusal:
        created("Pod", pod(priorityClassName="gold"))
    assert refusal.value.code == 403


def test_a_priority_without_class_is_forbidden() -> None:
    with pytest.raises(StatusError, match="must not be provided in pod spec"):
        created("Pod", pod(priority=7))


def test_a_gated_pod_says_so() -> None:
    (condition,) = created("Pod", pod(schedulingGates=[{"name": "example.com/wait"}]))["status"]["conditions"]
    assert (condition["type"], condition["status"], condition["reason"]) == ("PodScheduled", "False", "SchedulingGated")


def test_a_client_cannot_create_a_status() -> None:
    assert created("Pod", {**pod(), "status": {"phase": "Running"}})["status"]["phase"] == "Pending"


@pytest.mark.parametrize(
    ("resources", "qos"),
    [
        ({}, "BestEffort"),
        ({"requests": {"cpu": "0"}}, "BestEffort"),
        ({"requests": {"cpu": "1"}}, "Burstable"),
        ({"limits": {"cpu": "1"}}, "Burstable"),
        ({"limits": {"cpu": "1", "memory": "1Gi"}}, "Guaranteed"),
        ({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"memory": "1073741824"}}, "Guaranteed"),
        ({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m"}}, "Burstable"),
    ],
)
def test_what_is_asked_for_decides_the_quality_of_service(resources: dict[str, Any], qos: str) -> None:
    assert created("Pod", pod({"resources": resources}))["status"]["qosClass"] == qos


def test_one_container_that_asks_for_nothing_makes_a_pod_burstable() -> None:
    whole = {"name": "a", "image": "x", "resources": {"limits": {"cpu": "1", "memory": "1Gi"}}}
    made = created("Pod", {"spec": {"containers": [whole, {"name": "b", "image": "x"}]}})
    assert made["status"]["qosClass"] == "Burstable"
