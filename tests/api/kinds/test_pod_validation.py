"""What a pod may not be created as: each rule with its field and Kubernetes' words."""

from __future__ import annotations

from typing import Any

import pytest
from samples import faults, pod

LABEL = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "
    "an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
KEY = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    "character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
NEGATIVE = "must be greater than or equal to 0"

CONTAINER_RULES: dict[str, tuple[dict[str, Any], list[tuple[str, str]]]] = {
    "has a name": ({"name": ""}, [("name", "Required value")]),
    "has a DNS label as name": ({"name": "C_1"}, [("name", f'Invalid value: "C_1": {LABEL}')]),
    "has no dots in its name": ({"name": "a.b"}, [("name", 'Invalid value: "a.b": must not contain dots')]),
    "has an image": ({"image": ""}, [("image", "Required value")]),
    "has an image without space around": (
        {"image": " x"},
        [("image", 'Invalid value: " x": must not have leading or trailing whitespace')],
    ),
    "leaves its last message in a known way": (
        {"terminationMessagePolicy": "Shout"},
        [
            (
                "terminationMessagePolicy",
                'Unsupported value: "Shout": supported values: "File", "FallbackToLogsOnError"',
            )
        ],
    ),
    "pulls by a known policy": (
        {"imagePullPolicy": "Often"},
        [("imagePullPolicy", 'Unsupported value: "Often": supported values: "Always", "IfNotPresent", "Never"')],
    ),
    "listens on a port": ({"ports": [{"protocol": "TCP"}]}, [("ports[0].containerPort", "Required value")]),
    "listens on a port that exists": (
        {"ports": [{"containerPort": 99999}]},
        [("ports[0].containerPort", "Invalid value: 99999: must be between 1 and 65535, inclusive")],
    ),
    "speaks a known protocol": (
        {"ports": [{"containerPort": 1, "protocol": "HTTP"}]},
        [("ports[0].protocol", 'Unsupported value: "HTTP": supported values: "SCTP", "TCP", "UDP"')],
    ),
    "names each port once": (
        {"ports": [{"name": "a", "containerPort": 1}, {"name": "a", "containerPort": 2}]},
        [("ports[1].name", 'Duplicate value: "a"')],
    ),
    "gives ports short names": (
        {"ports": [{"name": "a-name-that-is-long", "containerPort": 1}]},
        [("ports[0].name", 'Invalid value: "a-name-that-is-long": must be no more than 15 characters')],
    ),
    "takes each port of the host once": (
        {"ports": [{"containerPort": 1, "hostPort": 9}, {"containerPort": 2, "hostPort": 9}]},
        [("ports[1].hostPort", 'Duplicate value: "TCP//9"')],
    ),
    "names its variables": ({"env": [{"value": "a"}]}, [("env[0].name", "Required value")]),
    "has no equals sign in a variable's name": (
        {"env": [{"name": "A=B"}]},
        [
            (
                "env[0].name",
                'Invalid value: "A=B": a valid environment variable name must consist only of printable ASCII '
                "characters other than '='",
            )
        ],
    ),
    "takes a variable's value from one place": (
        {"env": [{"name": "A", "value": "a", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]},
        [("env[0].valueFrom", 'Invalid value: "": may not be specified when `value` is not empty')],
    ),
    "says where a variable's value comes from": (
        {"env": [{"name": "A", "valueFrom": {}}]},
        [
            (
                "env[0].valueFrom",
                'Invalid value: "": must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, '
                "`secretKeyRef` or `fileKeyRef`",
            )
        ],
    ),
    "names the key of a secret": (
        {"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s"}}}]},
        [("env[0].valueFrom.secretKeyRef.key", "Required value")],
    ),
    "refers to a field that there is": (
        {"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "spec.colour"}}}]},
        [
            (
                "env[0].valueFrom.fieldRef.fieldPath",
                'Invalid value: "spec.colour": error converting fieldPath: field label not supported: spec.colour',
            )
        ],
    ),
    "refers to a field that a variable can hold": (
        {"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels"}}}]},
        [
            (
                "env[0].valueFrom.fieldRef.fieldPath",
                'Unsupported value: "metadata.labels": supported values: "metadata.name", "metadata.namespace", '
                '"metadata.uid", "spec.nodeName", "spec.serviceAccountName", "status.hostIP", "status.hostIPs", '
                '"status.podIP", "status.podIPs"',
            )
        ],
    ),
    "refers to a resource by a divisor of its kind": (
        {"env": [{"name": "A", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "1Gi"}}}]},
        [
            (
                "env[0].valueFrom.resourceFieldRef.divisor",
                'Invalid value: "limits.cpu": only divisor\'s values 1m and 1 are supported with the cpu resource',
            )
        ],
    ),
    "takes variables from something": (
        {"envFrom": [{"prefix": "A_"}]},
        [("envFrom", 'Invalid value: "": must specify one of: `configMapRef` or `secretRef`')],
    ),
    "mounts a volume of the pod": (
        {"volumeMounts": [{"name": "v", "mountPath": "/v"}]},
        [("volumeMounts[0].name", 'Not found: "v"')],
    ),
    "asks for no more than its limit": (
        {"resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}},
        [("resources.requests", 'Invalid value: "2": must be less than or equal to cpu limit of 1')],
    ),
    "asks for nothing negative": (
        {"resources": {"requests": {"cpu": "-1"}}},
        [("resources.requests[cpu]", f'Invalid value: "-1": {NEGATIVE}')],
    ),
    "asks for resources that containers have": (
        {"resources": {"requests": {"pods": "1"}}},
        [("resources.requests[pods]", 'Invalid value: "pods": must be a standard resource for containers')],
    ),
    "asks for whole devices": (
        {"resources": {"limits": {"example.com/gpu": "500m"}, "requests": {"example.com/gpu": "500m"}}},
        [
            ("resources.limits[example.com/gpu]", 'Invalid value: "500m": must be an integer'),
            ("resources.requests[example.com/gpu]", 'Invalid value: "500m": must be an integer'),
        ],
    ),
    "asks for devices up to their limit exactly": (
        {"resources": {"limits": {"example.com/gpu": "2"}, "requests": {"example.com/gpu": "1"}}},
        [("resources.requests", 'Invalid value: "1": must be equal to example.com/gpu limit of 2')],
    ),
    "limits devices that it asks for": (
        {"resources": {"requests": {"example.com/gpu": "1"}}},
        [("resources.limits", "Required value: Limit must be set for non overcommitable resources")],
    ),
    "uses huge pages beside ordinary ones": (
        {"resources": {"limits": {"hugepages-2Mi": "4Mi"}}},
        [("resources", "Forbidden: HugePages require cpu or memory")],
    ),
    "probes in one way": (
        {"livenessProbe": {"tcpSocket": {"port": 1}, "exec": {"command": ["a"]}}},
        [("livenessProbe.tcpSocket", "Forbidden: may not specify more than 1 handler type")],
    ),
    "probes in some way": (
        {"readinessProbe": {"periodSeconds": 1}},
        [("readinessProbe", "Required value: must specify a handler type")],
    ),
    "runs something when it probes by command": (
        {"livenessProbe": {"exec": {}}},
        [("livenessProbe.exec.command", "Required value")],
    ),
    "probes a port by number or name": (
        {"livenessProbe": {"httpGet": {"port": "NOT A PORT"}}},
        [
            (
                "livenessProbe.httpGet.port",
                'Invalid value: "NOT A PORT": must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)',
            ),
            ("livenessProbe.httpGet.port", 'Invalid value: "NOT A PORT": must contain at least one letter (a-z)'),
        ],
    ),
    "waits no negative time before it probes": (
        {"readinessProbe": {"tcpSocket": {"port": 1}, "initialDelaySeconds": -1}},
        [("readinessProbe.initialDelaySeconds", f"Invalid value: -1: {NEGATIVE}")],
    ),
    "is alive after one success": (
        {"livenessProbe": {"tcpSocket": {"port": 1}, "successThreshold": 2}},
        [("livenessProbe.successThreshold", "Invalid value: 2: must be 1")],
    ),
    "has no grace for what is merely unready": (
        {"readinessProbe": {"tcpSocket": {"port": 1}, "terminationGracePeriodSeconds": 1}},
        [("readinessProbe.terminationGracePeriodSeconds", "Invalid value: 1: must not be set for readinessProbes")],
    ),
    "sleeps within the grace period": (
        {"lifecycle": {"preStop": {"sleep": {"seconds": 31}}}},
        [
            (
                "lifecycle.preStop.sleep",
                "Invalid value: 31: must be non-negative and less than terminationGracePeriodSeconds (30)",
            )
        ],
    ),
    "runs as a user that there can be": (
        {"securityContext": {"runAsUser": -1}},
        [("securityContext.runAsUser", "Invalid value: -1: must be between 0 and 2147483647, inclusive")],
    ),
    "restarts by a known policy": (
        {"restartPolicy": "Sometimes"},
        [("restartPolicy", 'Unsupported value: "Sometimes": supported values: "Always", "Never", "OnFailure"')],
    ),
}


@pytest.mark.parametrize("rule", CONTAINER_RULES)
def test_a_container(rule: str) -> None:
    container, causes = CONTAINER_RULES[rule]
    told = faults("Pod", pod(container))
    assert told == [(f"spec.containers[0].{field}", message) for field, message in causes]


NODE_TERMS = "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms"


def node_affinity(*terms: dict[str, Any]) -> dict[str, Any]:
    needed = {"nodeSelectorTerms": list(terms)}
    return {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": needed}}}


def anti_affinity(term: dict[str, Any]) -> dict[str, Any]:
    return {"affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}}


ANTI = "spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[0]"
EMPTY_KEY = [
    ("topologyKey", "Required value: can not be empty"),
    ("topologyKey", 'Invalid value: "": name part must be non-empty'),
    ("topologyKey", f'Invalid value: "": {KEY}'),
]

SPEC_RULES: dict[str, tuple[dict[str, Any], list[tuple[str, str]]]] = {
    "has containers": ({"containers": []}, [("spec.containers", "Required value")]),
    "names each container once": (
        {"containers": [{"name": "c", "image": "x"}, {"name": "c", "image": "y"}]},
        [("spec.containers[1].name", 'Duplicate value: "c"')],
    ),
    "names no init container as a container": (
        {"initContainers": [{"name": "c", "image": "x"}]},
        [("spec.initContainers[0].name", 'Duplicate value: "c"')],
    ),
    "probes no init container": (
        {"initContainers": [{"name": "i", "image": "x", "livenessProbe": {"tcpSocket": {"port": 1}}}]},
        [
            (
                "spec.initContainers[0].livenessProbe",
                "Forbidden: may not be set for init containers without restartPolicy=Always",
            )
        ],
    ),
    "restarts by a known policy": (
        {"restartPolicy": "Sometimes"},
        [
            (
                "spec.restartPolicy",
                'Unsupported value: "Sometimes": supported values: "Always", "OnFailure", "Never"',
            )
        ],
    ),
    "resolves names by a known policy": (
        {"dnsPolicy": "Guess"},
        [
            (
                "spec.dnsPolicy",
                'Unsupported value: "Guess": supported values: "ClusterFirstWithHostNet", "ClusterFirst", "Default", '
                '"None"',
            )
        ],
    ),
    "says how to resolve names when no policy does": (
        {"dnsPolicy": "None"},
        [("spec.dnsConfig", "Required value: must provide `dnsConfig` when `dnsPolicy` is None")],
    ),
    "asks at most three name servers": (
        {"dnsConfig": {"nameservers": ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"]}},
        [
            (
                "spec.dnsConfig.nameservers",
                'Invalid value: ["10.0.0.1","10.0.0.2","10.0.0.3","10.0.0.4"]: must not have more than 3 nameservers',
            )
        ],
    ),
    "selects nodes by labels": (
        {"nodeSelector": {"a b": "c"}},
        [("spec.nodeSelector", f'Invalid value: "a b": {KEY}')],
    ),
    "ends after some time": (
        {"activeDeadlineSeconds": 0},
        [("spec.activeDeadlineSeconds", "Invalid value: 0: must be between 1 and 2147483647, inclusive")],
    ),
    "names each volume once": (
        {"volumes": [{"name": "v", "emptyDir": {}}, {"name": "v", "emptyDir": {}}]},
        [("spec.volumes[1].name", 'Duplicate value: "v"')],
    ),
    "has one source for a volume": (
        {"volumes": [{"name": "v", "emptyDir": {}, "hostPath": {"path": "/"}}]},
        [("spec.volumes[0].hostPath", "Forbidden: may not specify more than 1 volume type")],
    ),
    "names the secret of a volume": (
        {"volumes": [{"name": "v", "secret": {}}]},
        [("spec.volumes[0].secret.secretName", "Required value")],
    ),
    "puts no file outside of its volume": (
        {"volumes": [{"name": "v", "configMap": {"name": "m", "items": [{"key": "k", "path": "../x"}]}}]},
        [("spec.volumes[0].configMap.items[0].path", "Invalid value: \"../x\": must not contain '..'")],
    ),
    "gives files a mode": (
        {"volumes": [{"name": "v", "configMap": {"name": "m", "defaultMode": 4096}}]},
        [
            (
                "spec.volumes[0].configMap.defaultMode",
                "Invalid value: 4096: must be a number between 0 and 0777 (octal), both inclusive",
            )
        ],
    ),
    "projects no token without an account": (
        {"volumes": [{"name": "v", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}}]},
        [
            (
                "spec.volumes[0].projected.sources[0].serviceAccountToken",
                "Forbidden: must not be specified when serviceAccountName is not set",
            )
        ],
    ),
    "tolerates any value without naming one": (
        {"tolerations": [{"key": "a", "operator": "Exists", "value": "b"}]},
        [("spec.tolerations[0].operator", "Invalid value: \"b\": value must be empty when `operator` is 'Exists'")],
    ),
    "tolerates all keys by existence": (
        {"tolerations": [{"operator": "Equal"}]},
        [
            (
                "spec.tolerations[0].operator",
                'Invalid value: "Equal": operator must be Exists when `key` is empty, which means "match all values '
                'and all keys"',
            )
        ],
    ),
    "tolerates for a time what would evict it": (
        {"tolerations": [{"key": "a", "operator": "Exists", "effect": "NoSchedule", "tolerationSeconds": 1}]},
        [
            (
                "spec.tolerations[0].effect",
                "Invalid value: \"NoSchedule\": effect must be 'NoExecute' when `tolerationSeconds` is set",
            )
        ],
    ),
    "wants a node of some term": (
        node_affinity(),
        [(NODE_TERMS, "Required value: must have at least one node selector term")],
    ),
    "names values of a node's label": (
        node_affinity({"matchExpressions": [{"key": "a", "operator": "In"}]}),
        [
            (
                f"{NODE_TERMS}[0].matchExpressions[0].values",
                "Required value: must be specified when `operator` is 'In' or 'NotIn'",
            )
        ],
    ),
    "compares a node's label by a known operator": (
        node_affinity({"matchExpressions": [{"key": "a", "operator": "Like"}]}),
        [(f"{NODE_TERMS}[0].matchExpressions[0].operator", 'Invalid value: "Like": not a valid selector operator')],
    ),
    "is apart from others by a topology": (anti_affinity({}), [(f"{ANTI}.{field}", text) for field, text in EMPTY_KEY]),
    "spreads evenly over something in a known way": (
        {"topologySpreadConstraints": [{"maxSkew": 0, "topologyKey": "", "whenUnsatisfiable": "Maybe"}]},
        [
            ("spec.topologySpreadConstraints[0].maxSkew", "Invalid value: 0: must be greater than zero"),
            ("spec.topologySpreadConstraints[0].topologyKey", "Required value: can not be empty"),
            (
                "spec.topologySpreadConstraints[0].whenUnsatisfiable",
                'Unsupported value: "Maybe": supported values: "DoNotSchedule", "ScheduleAnyway"',
            ),
        ],
    ),
    "spreads over each topology once": (
        {"topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "z", "whenUnsatisfiable": "ScheduleAnyway"}] * 2},
        [
            (
                "spec.topologySpreadConstraints[0].{topologyKey, whenUnsatisfiable}",
                'Duplicate value: "{z, ScheduleAnyway}"',
            )
        ],
    ),
    "waits for each gate once": (
        {"schedulingGates": [{"name": "example.com/a"}, {"name": "example.com/a"}]},
        [("spec.schedulingGates[1]", 'Duplicate value: "example.com/a"')],
    ),
    "has no node while it waits": (
        {"schedulingGates": [{"name": "example.com/a"}], "nodeName": "n"},
        [("spec.nodeName", "Forbidden: cannot be set until all schedulingGates have been cleared")],
    ),
    "has no ephemeral container from the start": (
        {"ephemeralContainers": [{"name": "e", "image": "x"}]},
        [("spec.ephemeralContainers", "Forbidden: cannot be set on create")],
    ),
    "has a DNS label as host name": ({"hostname": "A"}, [("spec.hostname", f'Invalid value: "A": {LABEL}')]),
}


@pytest.mark.parametrize("rule", SPEC_RULES)
def test_a_pod(rule: str) -> None:
    spec, causes = SPEC_RULES[rule]
    assert faults("Pod", {"spec": {**pod()["spec"], **spec}}) == causes


def test_a_rich_pod_is_without_fault() -> None:
    container = {
        "ports": [{"name": "http", "containerPort": 80}],
        "env": [
            {"name": "A", "value": "b"},
            {"name": "L", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}},
            {"name": "M", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}}},
        ],
        "envFrom": [{"configMapRef": {"name": "m"}}],
        "resources": {"requests": {"cpu": "500m"}, "limits": {"cpu": "1", "memory": "1Gi", "example.com/gpu": "2"}},
        "livenessProbe": {"httpGet": {"path": "/", "port": "http"}},
        "lifecycle": {"preStop": {"exec": {"command": ["true"]}}},
        "volumeMounts": [{"name": "v", "mountPath": "/v", "subPath": "a/b", "readOnly": True}],
    }
    spec = {
        "volumes": [
            {"name": "v", "configMap": {"name": "m"}},
            {"name": "d", "downwardAPI": {"items": [{"path": "l", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
        ],
        "initContainers": [
            {"name": "i", "image": "x"},
            {"name": "s", "image": "x", "restartPolicy": "Always", "livenessProbe": {"tcpSocket": {"port": 1}}},
        ],
        "nodeSelector": {"kubernetes.io/os": "linux"},
        **anti_affinity({"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": "x"}}}),
    }
    assert faults("Pod", pod(container, **spec)) == []


def test_a_deletion_cost_is_a_number() -> None:
    cost = "controller.kubernetes.io/pod-deletion-cost"
    told = faults("Pod", pod(metadata={"annotations": {cost: "dear"}}))
    assert told == [(f"metadata.annotations[{cost}]", 'Invalid value: "dear": must be a 32bit integer')]


def test_all_faults_are_told_at_once_in_order() -> None:
    told = faults("Pod", pod({"name": "", "image": ""}, restartPolicy="x", volumes=[{"name": ""}]))
    assert [field for field, _ in told] == [
        "spec.volumes[0].name",
        "spec.containers[0].name",
        "spec.containers[0].image",
        "spec.restartPolicy",
    ]
