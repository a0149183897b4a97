"""Deployment, ReplicaSet and Job: defaults, rules, and what may change."""

from __future__ import annotations

from typing import Any

import pytest
from samples import UID, created, faults, job, kind, template, update_faults, updated, workload

Document = dict[str, Any]
NEGATIVE = "must be greater than or equal to 0"
MISMATCH = 'Invalid value: {"app":"w"}: `selector` does not match template `labels`'


def test_a_deployment_rolls_a_quarter_at_a_time() -> None:
    spec = created("Deployment", workload())["spec"]
    del spec["template"], spec["selector"]
    assert spec == {
        "replicas": 1,
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"}},
        "revisionHistoryLimit": 10,
        "progressDeadlineSeconds": 600,
    }


def test_no_replicas_are_not_one() -> None:
    assert created("Deployment", workload(replicas=0))["spec"]["replicas"] == 0


def test_recreation_has_no_budget() -> None:
    assert created("Deployment", workload(strategy={"type": "Recreate"}))["spec"]["strategy"] == {"type": "Recreate"}


def test_a_replica_set_counts_from_none() -> None:
    assert created("ReplicaSet", {**workload(), "status": {"replicas": 7}})["status"] == {"replicas": 0}


def test_generations_count_annotations_of_deployments_only() -> None:
    assert kind("Deployment").generation_counts_annotations
    assert not kind("ReplicaSet").generation_counts_annotations


DEPLOYMENT_RULES: dict[str, tuple[Document, list[tuple[str, str]]]] = {
    "has no negative size": ({"replicas": -1}, [("spec.replicas", f"Invalid value: -1: {NEGATIVE}")]),
    "selects pods": (
        {"selector": None},
        [("spec.selector", "Required value"), ("spec.template.metadata.labels", MISMATCH)],
    ),
    "selects its own pods": (
        {"selector": {"matchLabels": {"app": "other"}}},
        [("spec.template.metadata.labels", MISMATCH)],
    ),
    "does not select everything": (
        {"selector": {}},
        [("spec.selector", "Invalid value: {}: empty selector is invalid for deployment")],
    ),
    "selects by known operators": (
        {"selector": {"matchExpressions": [{"key": "a", "operator": "Like"}]}},
        [
            (
                "spec.selector.matchExpressions[0].operator",
                'Invalid value: "Like": not a valid selector operator',
            ),
            (
                "spec.selector",
                'Invalid value: {"matchExpressions":[{"key":"a","operator":"Like"}]}: invalid label selector',
            ),
        ],
    ),
    "moves at least one pod at a time": (
        {"strategy": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 0}}},
        [("spec.strategy.rollingUpdate.maxUnavailable", "Invalid value: 0: may not be 0 when `maxSurge` is 0")],
    ),
    "moves at least some percent at a time": (
        {"strategy": {"rollingUpdate": {"maxSurge": "0%", "maxUnavailable": 0}}},
        [("spec.strategy.rollingUpdate.maxUnavailable", "Invalid value: 0: may not be 0 when `maxSurge` is 0")],
    ),
    "loses no more than all": (
        {"strategy": {"rollingUpdate": {"maxUnavailable": "101%"}}},
        [("spec.strategy.rollingUpdate.maxUnavailable", 'Invalid value: "101%": must not be greater than 100%')],
    ),
    "has a budget in numbers or percent": (
        {"strategy": {"rollingUpdate": {"maxSurge": "150x"}}},
        [
            (
                "spec.strategy.rollingUpdate.maxSurge",
                "Invalid value: \"150x\": a valid percent string must be a numeric string followed by an ending '%' "
                "(e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')",
            )
        ],
    ),
    "has no budget when it recreates": (
        {"strategy": {"type": "Recreate", "rollingUpdate": {"maxSurge": 1}}},
        [("spec.strategy.rollingUpdate", "Forbidden: may not be specified when strategy `type` is 'Recreate'")],
    ),
    "is replaced in a known way": (
        {"strategy": {"type": "Magic"}},
        [
            (
                "spec.strategy",
                'Unsupported value: {"Type":"Magic","RollingUpdate":null}: supported values: "Recreate", '
                '"RollingUpdate"',
            )
        ],
    ),
    "waits longer for progress than for readiness": (
        {"progressDeadlineSeconds": 0, "minReadySeconds": 5},
        [("spec.progressDeadlineSeconds", "Invalid value: 0: must be greater than minReadySeconds")],
    ),
    "restarts its containers always": (
        {"template": template(restartPolicy="Never")},
        [("spec.template.spec.restartPolicy", 'Unsupported value: "Never": supported values: "Always"')],
    ),
    "has no deadline for its pods": (
        {"template": template(activeDeadlineSeconds=1)},
        [
            (
                "spec.template.spec.activeDeadlineSeconds",
                "Forbidden: activeDeadlineSeconds in ReplicaSet is not Supported",
            )
        ],
    ),
    "has a template that makes pods": (
        {"template": template(containers=[{"name": "c"}])},
        [("spec.template.spec.containers[0].image", "Required value")],
    ),
}


@pytest.mark.parametrize("rule", DEPLOYMENT_RULES)
def test_a_deployment(rule: str) -> None:
    change, causes = DEPLOYMENT_RULES[rule]
    document = workload(**change)
    if change.get("selector", "") is None:
        del document["spec"]["selector"]
    assert faults("Deployment", document) == causes


def test_a_replica_set_selects_its_own_pods() -> None:
    told = faults("ReplicaSet", workload(selector={"matchLabels": {"app": "other"}}, replicas=-1))
    assert told == [("spec.replicas", f"Invalid value: -1: {NEGATIVE}"), ("spec.template.metadata.labels", MISMATCH)]


@pytest.mark.parametrize("name", ["Deployment", "ReplicaSet"])
def test_a_selector_stays(name: str) -> None:
    change = {"spec": {"selector": {"matchLabels": {"app": "z"}}}}
    assert update_faults(name, created(name, workload()), change) == [
        ("spec.template.metadata.labels", MISMATCH),
        ("spec.selector", 'Invalid value: {"matchLabels":{"app":"z"}}: field is immutable'),
    ]


@pytest.mark.parametrize("name", ["Deployment", "ReplicaSet"])
def test_size_and_template_may_change(name: str) -> None:
    change = {"spec": {"replicas": 5, "template": {"spec": {"containers": [{"name": "c", "image": "other"}]}}}}
    assert update_faults(name, created(name, workload()), change) == []


def test_a_status_update_leaves_spec_and_labels_of_a_deployment_alone() -> None:
    old = created("Deployment", workload())
    change = {"spec": {"replicas": 9}, "metadata": {"labels": {"a": "b"}}, "status": {"replicas": 1}}
    new = updated("Deployment", old, change, "status")
    assert (new["spec"], new["metadata"], new["status"]) == (old["spec"], old["metadata"], {"replicas": 1})


@pytest.mark.parametrize(
    ("name", "status", "cause"),
    [
        ("Deployment", {"replicas": -1}, ("status.replicas", f"Invalid value: -1: {NEGATIVE}")),
        (
            "Deployment",
            {"replicas": 1, "readyReplicas": 2},
            ("status.readyReplicas", "Invalid value: 2: cannot be greater than status.replicas"),
        ),
        (
            "ReplicaSet",
            {"replicas": 2, "readyReplicas": 1, "availableReplicas": 2},
            ("status.availableReplicas", "Invalid value: 2: cannot be greater than readyReplicas"),
        ),
    ],
)
def test_counters_fit_together(name: str, status: Document, cause: tuple[str, str]) -> None:
    assert cause in update_faults(name, created(name, workload()), {"status": status}, "status")


def test_collisions_are_not_uncounted() -> None:
    old = created("Deployment", workload())
    old["status"] = {"collisionCount": 2}
    assert update_faults("Deployment", old, {"status": {"collisionCount": 1}}, "status") == [
        ("status.collisionCount", "Invalid value: 1: cannot be decremented")
    ]


# Jobs

GENERATED = {
    "batch.kubernetes.io/controller-uid": UID,
    "batch.kubernetes.io/job-name": "x",
    "controller-uid": UID,
    "job-name": "x",
}


def test_a_job_runs_one_pod_once() -> None:
    spec = created("Job", job())["spec"]
    assert {key: value for key, value in spec.items() if key not in ("template", "selector")} == {
        "parallelism": 1,
        "completions": 1,
        "backoffLimit": 6,
        "completionMode": "NonIndexed",
        "suspend": False,
        "manualSelector": False,
        "podReplacementPolicy": "TerminatingOrFailed",
    }


def test_a_job_without_completions_has_none_when_it_is_parallel() -> None:
    assert "completions" not in created("Job", job(parallelism=3))["spec"]


def test_retries_per_index_have_no_common_limit() -> None:
    assert created("Job", job(backoffLimitPerIndex=1))["spec"]["backoffLimit"] == 2147483647


def test_a_failure_policy_replaces_failed_pods_only() -> None:
    rules = [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}]
    spec = created("Job", job(podFailurePolicy={"rules": rules}))["spec"]
    assert spec["podReplacementPolicy"] == "Failed"
    assert spec["podFailurePolicy"]["rules"][0]["onPodConditions"][0]["status"] == "True"


def test_a_job_selects_pods_by_its_own_uid() -> None:
    made = created("Job", job())
    assert made["spec"]["selector"] == {"matchLabels": {"batch.kubernetes.io/controller-uid": UID}}
    assert made["spec"]["template"]["metadata"]["labels"] == GENERATED
    assert made["metadata"]["labels"] == GENERATED


def test_a_jobs_own_labels_are_not_its_pods() -> None:
    made = created("Job", {"metadata": {"name": "x", "labels": {"a": "b"}}, **job()})
    assert made["metadata"]["labels"] == {"a": "b"}


def test_a_job_selects_by_hand_when_asked() -> None:
    by_hand = job(manualSelector=True, selector={"matchLabels": {"a": "b"}})
    by_hand["spec"]["template"]["metadata"] = {"labels": {"a": "b"}}
    assert faults("Job", by_hand) == []
    assert created("Job", by_hand)["spec"]["selector"] == {"matchLabels": {"a": "b"}}


RESTART = "spec.template.spec.restartPolicy"
INDEXED = {"completionMode": "Indexed", "completions": 3, "parallelism": 2}

JOB_RULES: dict[str, tuple[Document, list[tuple[str, str]]]] = {
    "does not restart its pods for ever": (
        {"template": {"spec": template()["spec"]}},
        [(RESTART, 'Required value: valid values: "OnFailure", "Never"')],
    ),
    "counts what it runs": ({"parallelism": -1}, [("spec.parallelism", f"Invalid value: -1: {NEGATIVE}")]),
    "is indexed or not": (
        {"completionMode": "Some"},
        [("spec.completionMode", 'Unsupported value: "Some": supported values: "NonIndexed", "Indexed"')],
    ),
    "has completions to index": (
        {"completionMode": "Indexed", "parallelism": 1},
        [("spec.completions", "Required value: when completion mode is Indexed")],
    ),
    "retries indexes that there are": (
        {"backoffLimitPerIndex": 1},
        [("spec.backoffLimitPerIndex", "Invalid value: 1: requires indexed completion mode")],
    ),
    "fails on known outcomes": (
        {"podFailurePolicy": {"rules": [{"action": "FailJob"}]}},
        [
            (
                "spec.podFailurePolicy.rules[0]",
                "Invalid value: specifying one of OnExitCodes and OnPodConditions is required",
            )
        ],
    ),
    "does not fail on success": (
        {"podFailurePolicy": {"rules": [{"action": "FailJob", "onExitCodes": {"operator": "In", "values": [0]}}]}},
        [
            (
                "spec.podFailurePolicy.rules[0].onExitCodes.values[0]",
                "Invalid value: 0: must not be 0 for the In operator",
            )
        ],
    ),
    "succeeds by indexes that it has": (
        {**INDEXED, "successPolicy": {"rules": [{"succeededIndexes": "0,2-5"}]}},
        [
            (
                "spec.successPolicy.rules[0].succeededIndexes",
                'Invalid value: "0,2-5": error parsing succeededIndexes: too large index: "5"',
            )
        ],
    ),
    "succeeds by no more than it counts": (
        {**INDEXED, "successPolicy": {"rules": [{"succeededIndexes": "0-1", "succeededCount": 3}]}},
        [
            (
                "spec.successPolicy.rules[0].succeededCount",
                "Invalid value: 3: must be less than or equal to 2 (the number of indexes in the specified "
                "succeededIndexes field)",
            )
        ],
    ),
    "replaces pods by a known policy": (
        {"podReplacementPolicy": "Soon"},
        [("spec.podReplacementPolicy", 'Unsupported value: "Soon": supported values: "Failed", "TerminatingOrFailed"')],
    ),
}


@pytest.mark.parametrize("rule", JOB_RULES)
def test_a_job(rule: str) -> None:
    change, causes = JOB_RULES[rule]
    assert faults("Job", job(**change)) == causes


def test_labels_that_only_the_server_gives() -> None:
    forged = job()
    forged["spec"]["template"]["metadata"] = {"labels": {"job-name": "other"}}
    fields = [field for field, _ in faults("Job", forged)]
    assert fields == ["spec.template.metadata.labels[job-name]"]


@pytest.mark.parametrize(
    ("change", "field", "value"),
    [
        ({"completions": 5}, "spec.completions", "5"),
        ({"completionMode": "Indexed"}, "spec.completionMode", '"Indexed"'),
        ({"backoffLimitPerIndex": 1}, "spec.backoffLimitPerIndex", "1"),
    ],
)
def test_what_a_job_is_stays(change: Document, field: str, value: str) -> None:
    told = update_faults("Job", created("Job", job()), {"spec": change})
    assert (field, f"Invalid value: {value}: field is immutable") in told


def test_an_indexed_job_grows_in_both_numbers() -> None:
    old = created("Job", job(**INDEXED))
    assert update_faults("Job", old, {"spec": {"completions": 4, "parallelism": 4}}) == []
    assert update_faults("Job", old, {"spec": {"completions": 4}}) == [
        ("spec.completions", "Invalid value: 4: can only be modified in tandem with spec.parallelism")
    ]


def test_the_template_of_a_job_stays() -> None:
    old = created("Job", job())
    change = {"spec": {"template": {"spec": {"nodeSelector": {"a": "b"}}}}}
    ((field, message),) = update_faults("Job", old, change)
    assert field == "spec.template"
    assert message.endswith(": field is immutable")


def test_a_suspended_job_may_choose_other_nodes() -> None:
    old = created("Job", job(suspend=True))
    old["status"] = {"conditions": [{"type": "Suspended", "status": "True"}]}
    change = {"spec": {"template": {"spec": {"nodeSelector": {"a": "b"}}}}}
    assert update_faults("Job", old, change) == []


START = {"startTime": "2026-01-01T00:00:00Z"}
COMPLETE = {"conditions": [{"type": "Complete", "status": "True"}], "completionTime": "2026-01-01T00:01:00Z", **START}

JOB_STATUS_RULES: dict[str, tuple[Document, Document, list[tuple[str, str]]]] = {
    "may complete": (START, COMPLETE, []),
    "completes at a time": (
        START,
        {**COMPLETE, "completionTime": None},
        [("status.completionTime", "Required value: completionTime is required for Complete jobs")],
    ),
    "does not complete while it runs": (
        START,
        {**COMPLETE, "active": 1},
        [("status.active", "Invalid value: 1: active>0 is invalid for finished job")],
    ),
    "stays complete": (
        COMPLETE,
        {"conditions": [], "completionTime": None},
        [("status.conditions", "Invalid value: cannot disable the terminal Complete=True condition")],
    ),
    "forgets no failure": (
        {"failed": 2},
        {"failed": 1},
        [("status.failed", "Invalid value: 1: cannot decrease the failed counter")],
    ),
}


@pytest.mark.parametrize("rule", JOB_STATUS_RULES)
def test_a_job_that_runs(rule: str) -> None:
    before, after, causes = JOB_STATUS_RULES[rule]
    old = created("Job", job())
    old["status"] = before
    assert update_faults("Job", old, {"status": after}, "status") == causes
