"""Workloads: ReplicaSets with their names, images and values. Each turns its chart into the template of its pods."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from engine.bench.objects.charts import VARIABLES, Chart
from engine.bench.objects.template import POD_MARK, Template
from engine.bench.objects.values import (
    DOMAINS,
    REGISTRIES,
    ROLES,
    STAGES,
    TEAMS,
    TIERS,
    digest,
    hex_digits,
    safe_name,
    timestamp,
    uid,
)

RELEASE_SECONDS = 150 * 86_400  # workloads were rolled out at some moment of so many seconds
OWN_VARIABLES = (0, 0, 0, 0, 0, 1, 1, 2)  # of a workload, beyond its chart's


@dataclass(frozen=True, slots=True)
class Workload:
    """One ReplicaSet: what its pods share. Times are seconds after `values.EPOCH`."""

    namespace: str
    replicaset: str
    containers: int
    released: int
    pod: Template


@dataclass(frozen=True, slots=True)
class Namespace:
    name: str
    team: str
    stage: str


def namespaces(count: int, random: Random) -> list[Namespace]:
    """Sorted as keys are: by name and the slash that follows it."""
    found: dict[str, Namespace] = {}
    while len(found) < count:
        team, stage = random.choice(TEAMS), random.choice(STAGES)
        name = random.choice(
            (f"{team}-{stage}", f"{random.choice(DOMAINS)}-{stage}", f"{team}-{random.choice(DOMAINS)}")
        )
        if name in found:
            name += f"-{random.randrange(10 * count)}"
        found.setdefault(name, Namespace(name, team, stage))
    return sorted(found.values(), key=lambda namespace: namespace.name + "/")


class Catalog:
    """The charts and the image repositories of a cluster, as many as its workloads suggest. Charts and repositories are
    made when they are first used; some are used far more than others."""

    def __init__(self, workloads: int, seed: int) -> None:
        self._seed = seed
        self._charts: dict[int, Chart] = {}
        self._chart_count = min(6 + workloads // 1_000, 16)
        self._repository_count = 10 + workloads // 10

    def chart(self, random: Random) -> Chart:
        number = int(self._chart_count * random.random() ** 3)
        chart = self._charts.get(number)
        if chart is None:
            chart = self._charts[number] = Chart(Random(f"chart {self._seed} {number}"))
        return chart

    def image(self, random: Random) -> tuple[str, str]:
        """One of the cluster's own images: reference and ID."""
        number = int(self._repository_count * random.random() ** 2)
        registry = REGISTRIES[number % len(REGISTRIES)]
        words = (TEAMS[number % len(TEAMS)], DOMAINS[number // 7 % len(DOMAINS)], ROLES[number // 3 % len(ROLES)])
        repository = f"{registry}/{words[0]}/{words[1]}-{words[2]}" + (f"-{number}" if number > 2_000 else "")
        return _tagged(repository, f"{number % 4}.{number % 12}.{random.randrange(3)}")


def _tagged(repository: str, tag: str) -> tuple[str, str]:
    return f"{repository}:{tag}", f"{repository}@sha256:{digest(repository, tag)}"


def workload(namespace: Namespace, catalog: Catalog, random: Random) -> Workload:
    chart = catalog.chart(random)
    domain, role = random.choice(DOMAINS), random.choice(ROLES)
    app = f"{domain}-{role}" if random.random() < 0.8 else f"{domain}-{role}-{random.choice(DOMAINS)}"
    hash_ = safe_name(random, random.choice((8, 9, 9, 10, 10, 10)))
    released = random.randrange(RELEASE_SECONDS)
    values = {
        "app": app,
        "hash": hash_,
        "replicaset": f"{app}-{hash_}",
        "namespace": namespace.name,
        "instance": f"{app}-{namespace.stage}",
        "team": namespace.team,
        "stage": namespace.stage,
        "tier": random.choice(TIERS),
        "cost": f"cc-{random.randrange(400):04}",
        "checksum": hex_digits(random, 64).decode(),
        "restarted": timestamp(released).decode(),
        "owner_uid": uid(hex_digits(random, 32)).decode(),
    }
    values["image0"], values["image_id0"] = image = catalog.image(random)
    values["version"] = image[0].rpartition(":")[2]
    for place, (_, repository, _, _) in enumerate(chart.sidecars, 1):
        values[f"image{place}"], values[f"image_id{place}"] = _tagged(repository, f"1.{random.randrange(3) + 20}.0")
    for slot, source in chart.values_wanted.items():
        values[slot] = _value(source, app, namespace, random)
    values["more_env"], values["more_fields"] = _own_variables(app, namespace, random)
    text = chart.template.fill({slot: value.encode() for slot, value in values.items()})
    return Workload(namespace.name, values["replicaset"], chart.containers, released, Template(text, POD_MARK))


def _own_variables(app: str, namespace: Namespace, random: Random) -> tuple[str, str]:
    """Items for `env`, and for the field set that names them, each with a comma before it."""
    env = paths = ""
    names = [f"{random.choice(ROLES)}_{random.choice(VARIABLES)[0]}" for _ in range(random.choice(OWN_VARIABLES))]
    for name in dict.fromkeys(map(str.upper, names)):
        value = _value(random.choice(("url", "host", "revision", "topic", "number")), app, namespace, random)
        env += f',{{"name":"{name}","value":"{value}"}}'
        paths += f',"k:{{\\"name\\":\\"{name}\\"}}":{{".":{{}},"f:name":{{}},"f:value":{{}}}}'
    return env, paths


def _value(source: str, app: str, namespace: Namespace, random: Random) -> str:
    match source:
        case "app":
            return app
        case "stage":
            return namespace.stage
        case "host":
            return f"{random.choice(DOMAINS)}-db.{namespace.name}.svc.cluster.local"
        case "hosts":
            return ",".join(f"kafka-{number}.{namespace.stage}-kafka:9092" for number in range(3))
        case "url":
            return f"http://{random.choice(DOMAINS)}-{random.choice(ROLES)}.{namespace.name}.svc:8080"
        case "topic":
            return f"{namespace.stage}.{random.choice(DOMAINS)}.{random.choice(ROLES)}-events.v{random.randrange(1, 4)}"
        case "attributes":
            return f"deployment.environment={namespace.stage},service.namespace={namespace.name}"
        case "bucket":
            return f"example-{namespace.stage}-{app}-{random.randrange(1_000)}"
        case "revision":
            return hex_digits(random, 40).decode()
        case _:
            return str(random.randrange(100_000))
