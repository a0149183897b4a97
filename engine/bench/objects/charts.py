"""Charts: the shapes that workloads' pods have. A chart says which containers, probes, variables and volumes there are;
a workload (`workloads.py`) fills in names, images and values; a pod (`pods.py`) its identity, places and times."""

from __future__ import annotations

from random import Random
from typing import Any

import orjson

from engine.bench.objects import fields
from engine.bench.objects.template import CHART_MARK, Template, chart_slot, pod_slot

Document = dict[str, Any]

# Variables of programs: name, and where the value comes from ("=": the same for all workloads of a chart).
VARIABLES = (
    ("LOG_LEVEL", "=info|warn|debug|error"), ("LOG_FORMAT", "=json|text"), ("PORT", "=8080|8000|3000|9000"),
    ("ENVIRONMENT", "stage"), ("REGION", "=eu-central-1|eu-west-1|us-east-1"), ("SERVICE_NAME", "app"),
    ("DATABASE_URL", "secret"), ("DATABASE_HOST", "host"), ("DATABASE_PASSWORD", "secret"), ("DATABASE_NAME", "app"),
    ("REDIS_URL", "url"), ("REDIS_PASSWORD", "secret"), ("KAFKA_BROKERS", "hosts"), ("KAFKA_TOPIC", "topic"),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "=http://otel-collector.observability:4317"), ("OTEL_SERVICE_NAME", "app"),
    ("OTEL_RESOURCE_ATTRIBUTES", "attributes"), ("JAVA_OPTS", "=-XX:MaxRAMPercentage=75.0 -XX:+UseG1GC"),
    ("GOMAXPROCS", "=1|2|4"), ("NODE_ENV", "=production"), ("WORKERS", "=2|4|8"), ("FEATURE_FLAGS_URL", "url"),
    ("AUTH_ISSUER", "=https://login.example.com/realms/main"), ("AUTH_CLIENT_ID", "app"),
    ("AUTH_CLIENT_SECRET", "secret"), ("SENTRY_DSN", "secret"), ("S3_BUCKET", "bucket"),
    ("AWS_REGION", "=eu-central-1"),
    ("CACHE_TTL_SECONDS", "=60|300|3600"), ("MAX_CONNECTIONS", "=10|20|50|100"), ("UPSTREAM_URL", "url"),
    ("CONFIG_FILE", "=/etc/app/config.yaml"), ("BUILD_REVISION", "revision"), ("TIMEZONE", "=UTC|Europe/Berlin"),
    ("POD_NAME", "@metadata.name"), ("POD_NAMESPACE", "@metadata.namespace"), ("POD_IP", "@status.podIP"),
    ("NODE_NAME", "@spec.nodeName"), ("API_KEY", "secret"), ("SMTP_HOST", "config"), ("LIMITS_JSON", "config"),
)  # fmt: skip

# Sidecars as meshes and log shippers inject them: container, repository, port, variables.
SIDECARS: tuple[tuple[str, str, int, tuple[tuple[str, str], ...]], ...] = (
    ("istio-proxy", "docker.io/istio/proxyv2", 15090, (("PILOT_CERT_PROVIDER", "=istiod"),
     ("POD_NAME", "@metadata.name"), ("INSTANCE_IP", "@status.podIP"), ("ISTIO_META_MESH_ID", "=cluster.local"))),
    ("fluent-bit", "cr.fluentbit.io/fluent/fluent-bit", 2020, (("FLUENT_HOST", "=logs.observability"),)),
    ("otel-agent", "docker.io/otel/opentelemetry-collector-contrib", 4317, (("NODE_NAME", "@spec.nodeName"),)),
    ("cloud-sql-proxy", "gcr.io/cloud-sql-connectors/cloud-sql-proxy", 9801, ()),
    ("vault-agent", "docker.io/hashicorp/vault", 8200, (("VAULT_ADDR", "=https://vault.security:8200"),)),
    ("config-reloader", "ghcr.io/jimmidyson/configmap-reload", 9533, ()),
)  # fmt: skip
CPUS = ("10m", "50m", "100m", "100m", "200m", "250m", "500m", "1", "2")
MEMORIES = ("32Mi", "64Mi", "128Mi", "256Mi", "256Mi", "512Mi", "1Gi", "2Gi", "4Gi")
SCRAPING = (("path", "/metrics"), ("port", "9090"), ("scrape", "true"))
TOKENS = "/var/run/secrets/kubernetes.io/serviceaccount"


class Chart:
    """One shape: a template of templates. `values_wanted` are the kinds of values that its variables take, by slot."""

    __slots__ = ("containers", "sidecars", "template", "values_wanted")

    def __init__(self, random: Random) -> None:
        self.values_wanted: dict[str, str] = {}
        self.sidecars = random.sample(SIDECARS, random.choices((0, 1, 2), (74, 21, 5))[0])
        self.containers = 1 + len(self.sidecars)
        text = orjson.dumps(self._document(random))
        for inserted in ("more_env", "more_fields"):  # slots that hold items with their commas
            slot = chart_slot(inserted)
            for quoted in (f',"{slot}":{{}}', f',"{slot}"'):
                text = text.replace(quoted.encode(), slot.encode())
        self.template = Template(text, CHART_MARK)

    def _document(self, random: Random) -> Document:
        volumes = self._volumes(random)
        mounts = [
            {"name": volume["name"]}
            | ({"readOnly": True} if "emptyDir" not in volume else {})
            | {"mountPath": f"/etc/{volume['name']}" if "emptyDir" not in volume else f"/var/{volume['name']}"}
            for volume in volumes
        ]
        token = f"kube-api-access-{pod_slot('token')}"
        token_mount = {"name": token, "readOnly": True, "mountPath": TOKENS}
        volumes.append(_token_volume(token))
        containers = [self._main(random, [*mounts, token_mount])]
        containers += [self._sidecar(random, place, token_mount) for place in range(len(self.sidecars))]
        metadata = self._metadata(random)
        spec = self._spec(random, volumes, containers)
        by_controller = fields.template_fields(metadata, spec, chart_slot("owner_uid"))
        main_fields = by_controller["f:spec"]["f:containers"][fields.item("name", containers[0]["name"])]
        if "f:env" in main_fields:
            main_fields["f:env"][chart_slot("more_fields")] = {}
            containers[0]["env"].append(chart_slot("more_env"))
        metadata["managedFields"] = [
            fields.entry("kube-controller-manager", pod_slot("created"), by_controller),
            fields.entry("kubelet", pod_slot("reported"), fields.status_fields(pod_slot("pod_ip")), "status"),
        ]
        return {
            "kind": "Pod",
            "apiVersion": "v1",
            "metadata": metadata,
            "spec": spec,
            "status": _status(containers),
        }

    def _metadata(self, random: Random) -> Document:
        labels = {"app": chart_slot("app"), "pod-template-hash": chart_slot("hash")}
        if random.random() < 0.6:
            labels["app.kubernetes.io/name"] = labels.pop("app") if random.random() < 0.5 else chart_slot("app")
            labels["app.kubernetes.io/instance"] = chart_slot("instance")
        for key, share in (("team", 0.7), ("tier", 0.5), ("version", 0.5), ("environment", 0.4), ("cost-center", 0.2)):
            if random.random() < share:
                labels[key] = chart_slot({"environment": "stage", "cost-center": "cost"}.get(key, key))
        if len(labels) < 4:
            labels |= {"team": chart_slot("team"), "tier": chart_slot("tier")}
        annotations: dict[str, str] = {}
        if random.random() < 0.45:
            annotations |= {f"prometheus.io/{key}": value for key, value in SCRAPING}
        if random.random() < 0.15:
            annotations["checksum/config"] = chart_slot("checksum")
        if random.random() < 0.25:
            annotations["kubectl.kubernetes.io/restartedAt"] = chart_slot("restarted")
        if random.random() < 0.5:
            annotations["kubectl.kubernetes.io/default-container"] = chart_slot("app")
        metadata: Document = {
            "name": f"{chart_slot('replicaset')}-{pod_slot('suffix')}",
            "generateName": f"{chart_slot('replicaset')}-",
            "namespace": chart_slot("namespace"),
            "uid": pod_slot("uid"),
            "resourceVersion": pod_slot("version"),
            "creationTimestamp": pod_slot("created"),
            "labels": dict(sorted(labels.items())),
        }
        if annotations:
            metadata["annotations"] = dict(sorted(annotations.items()))
        metadata["ownerReferences"] = [
            {
                "apiVersion": "apps/v1",
                "kind": "ReplicaSet",
                "name": chart_slot("replicaset"),
                "uid": chart_slot("owner_uid"),
                "controller": True,
                "blockOwnerDeletion": True,
            }
        ]
        return metadata

    def _volumes(self, random: Random) -> list[Document]:
        kinds = (
            {"name": "config", "configMap": {"name": f"{chart_slot('app')}-config", "defaultMode": 420}},
            {"name": "tls", "secret": {"secretName": f"{chart_slot('app')}-tls", "defaultMode": 420}},
            {"name": "tmp", "emptyDir": {}},
            {"name": "cache", "emptyDir": {"sizeLimit": random.choice(MEMORIES)}},
        )
        return random.sample(kinds, random.choices((0, 1, 2, 3), (60, 28, 9, 3))[0])

    def _main(self, random: Random, mounts: list[Document]) -> Document:
        name = chart_slot("app") if random.random() < 0.7 else random.choice(("app", "server", "main"))
        container: Document = {"name": name, "image": chart_slot("image0")}
        if random.random() < 0.3:
            container["args"] = ["--config=/etc/config/config.yaml", f"--name={chart_slot('app')}"]
        ports = [{"name": "http", "containerPort": random.choice((8080, 8000, 3000)), "protocol": "TCP"}]
        if random.random() < 0.5:
            ports.append({"name": "metrics", "containerPort": random.choice((9090, 9100, 2112)), "protocol": "TCP"})
        container["ports"] = ports
        wanted = random.choices(range(13), (22, 9, 10, 11, 10, 9, 7, 6, 5, 4, 3, 2, 2))[0]
        if wanted:
            container["env"] = [self._variable(random, *entry) for entry in random.sample(VARIABLES, wanted)]
        container["resources"] = _resources(random)
        container["volumeMounts"] = mounts
        if random.random() < 0.6:
            container["livenessProbe"] = _probe(random, "/healthz")
        if random.random() < 0.75:
            container["readinessProbe"] = _probe(random, "/readyz")
        if random.random() < 0.15:
            container["startupProbe"] = _probe(random, "/startupz")
        container |= _container_end(random)
        if random.random() < 0.5:
            container["securityContext"] = {
                "runAsUser": random.choice((1000, 1001, 65532)),
                "runAsNonRoot": True,
                "readOnlyRootFilesystem": random.random() < 0.6,
                "allowPrivilegeEscalation": False,
            }
        return container

    def _sidecar(self, random: Random, place: int, token_mount: Document) -> Document:
        name, _, port, variables = self.sidecars[place]
        container: Document = {"name": name, "image": chart_slot(f"image{place + 1}")}
        container["ports"] = [{"name": name[:15], "containerPort": port, "protocol": "TCP"}]
        if variables:
            container["env"] = [self._variable(random, *entry) for entry in variables]
        container["resources"] = _resources(random)
        container["volumeMounts"] = [token_mount]
        if random.random() < 0.5:
            container["readinessProbe"] = _probe(random, "/healthz/ready")
        return container | _container_end(random)

    def _variable(self, random: Random, name: str, source: str) -> Document:
        if source[0] == "=":
            return {"name": name, "value": random.choice(source[1:].split("|"))}
        if source[0] == "@":
            return {"name": name, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": source[1:]}}}
        key = name.lower().replace("_", "-")
        if source == "secret":
            return {"name": name, "valueFrom": {"secretKeyRef": {"name": f"{chart_slot('app')}-secrets", "key": key}}}
        if source == "config":
            return {"name": name, "valueFrom": {"configMapKeyRef": {"name": f"{chart_slot('app')}-config", "key": key}}}
        slot = f"value{len(self.values_wanted)}"
        self.values_wanted[slot] = source
        return {"name": name, "value": chart_slot(slot)}

    def _spec(self, random: Random, volumes: list[Document], containers: list[Document]) -> Document:
        account = chart_slot("app") if random.random() < 0.5 else "default"
        spec: Document = {
            "volumes": volumes,
            "containers": containers,
            "restartPolicy": "Always",
            "terminationGracePeriodSeconds": random.choice((30, 30, 30, 60, 120)),
            "dnsPolicy": "ClusterFirst",
        }
        if random.random() < 0.25:
            spec["nodeSelector"] = {"kubernetes.io/os": "linux", "node-pool": random.choice(("general", "memory"))}
        spec |= {"serviceAccountName": account, "serviceAccount": account, "nodeName": pod_slot("node")}
        spec["securityContext"] = {"fsGroup": 2000} if random.random() < 0.4 else {}
        if random.random() < 0.4:
            spec["imagePullSecrets"] = [{"name": "registry-credentials"}]
        if random.random() < 0.25:
            spec["affinity"] = _spread_out()
        spec["schedulerName"] = "default-scheduler"
        spec["tolerations"] = [
            {
                "key": f"node.kubernetes.io/{taint}",
                "operator": "Exists",
                "effect": "NoExecute",
                "tolerationSeconds": 300,
            }
            for taint in ("not-ready", "unreachable")
        ]
        if random.random() < 0.2:
            spec["priorityClassName"] = random.choice(("business-critical", "batch-low"))
        spec |= {"priority": 0, "enableServiceLinks": True, "preemptionPolicy": "PreemptLowerPriority"}
        return spec


def _token_volume(name: str) -> Document:
    namespace = {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}
    sources = [
        {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [namespace]}},
    ]
    return {"name": name, "projected": {"sources": sources, "defaultMode": 420}}


def _resources(random: Random) -> Document:
    if random.random() < 0.1:
        return {}
    requests = {"cpu": random.choice(CPUS), "memory": random.choice(MEMORIES)}
    limits = {"cpu": random.choice(CPUS), "memory": requests["memory"]}
    return {"limits": limits if random.random() < 0.5 else {"memory": requests["memory"]}, "requests": requests}


def _probe(random: Random, path: str) -> Document:
    probe: Document
    if random.random() < 0.9:
        probe = {"httpGet": {"path": path, "port": "http", "scheme": "HTTP"}}
    else:
        probe = {"tcpSocket": {"port": "http"}}
    if random.random() < 0.6:
        probe["initialDelaySeconds"] = random.choice((5, 10, 15, 30))
    return probe | {
        "timeoutSeconds": random.choice((1, 1, 2, 5)),
        "periodSeconds": random.choice((5, 10, 10, 20)),
        "successThreshold": 1,
        "failureThreshold": random.choice((3, 3, 5)),
    }


def _container_end(random: Random) -> Document:
    return {
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": random.choice(("File", "File", "FallbackToLogsOnError")),
        "imagePullPolicy": random.choice(("IfNotPresent", "IfNotPresent", "Always")),
    }


def _spread_out() -> Document:
    term = {
        "labelSelector": {"matchLabels": {"pod-template-hash": chart_slot("hash")}},
        "topologyKey": "kubernetes.io/hostname",
    }
    preferred = [{"weight": 100, "podAffinityTerm": term}]
    return {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred}}


def _status(containers: list[Document]) -> Document:
    when = {"PodReadyToStartContainers": "sandboxed", "Initialized": "scheduled", "PodScheduled": "scheduled"}
    statuses = [
        {
            "name": container["name"],
            "state": {"running": {"startedAt": pod_slot(f"started{place}")}},
            "lastState": {},
            "ready": True,
            "restartCount": 0,
            "image": container["image"],
            "imageID": chart_slot(f"image_id{place}"),
            "containerID": f"containerd://{pod_slot(f'container{place}')}",
            "started": True,
            "volumeMounts": [_mount_status(mount) for mount in container["volumeMounts"]],
        }
        for place, container in enumerate(containers)
    ]
    return {
        "phase": "Running",
        "conditions": [
            {
                "type": name,
                "status": "True",
                "lastProbeTime": None,
                "lastTransitionTime": pod_slot(when.get(name, "ready")),
            }
            for name in ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")
        ],
        "hostIP": pod_slot("host_ip"),
        "hostIPs": [{"ip": pod_slot("host_ip")}],
        "podIP": pod_slot("pod_ip"),
        "podIPs": [{"ip": pod_slot("pod_ip")}],
        "startTime": pod_slot("scheduled"),
        "containerStatuses": sorted(statuses, key=lambda status: str(status["name"])),
        "qosClass": "Burstable" if any(container["resources"] for container in containers) else "BestEffort",
    }


def _mount_status(mount: Document) -> Document:
    """Status names the fields of a mount in another order, and says how far read-only goes."""
    reported = {"name": mount["name"], "mountPath": mount["mountPath"]}
    return reported | ({"readOnly": True, "recursiveReadOnly": "Disabled"} if mount.get("readOnly") else {})
