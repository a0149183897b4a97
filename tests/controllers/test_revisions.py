"""Revisions: names, numbers, inheritance and forgetting."""

from __future__ import annotations

import copy

from engine._object import Object
from engine.controllers import revisions
from engine.controllers.revisions import ReplicaSet

TEMPLATE = {
    "metadata": {"labels": {"app": "web"}},
    "spec": {"containers": [{"name": "c", "image": "nginx", "env": [{"name": "A", "value": "1"}]}]},
}


def deployment(**spec: object) -> Object:
    metadata = {"name": "web", "namespace": "default", "uid": "u", "annotations": {"team": "a"}}
    selector = {"matchLabels": {"app": "web"}}
    return Object({"metadata": metadata, "spec": {"selector": selector, "template": TEMPLATE, **spec}})


def owned(revision: int, replicas: int = 0, image: str = "nginx", second: int = 0, **annotations: str) -> ReplicaSet:
    template = copy.deepcopy(TEMPLATE)
    template["metadata"]["labels"][revisions.HASH_LABEL] = f"h{revision}"  # type: ignore[index]
    template["spec"]["containers"][0]["image"] = image  # type: ignore[index]
    metadata = {
        "name": f"web-h{revision}",
        "namespace": "default",
        "creationTimestamp": f"2026-01-01T00:00:{second:02}Z",
        "annotations": {revisions.REVISION: str(revision), **annotations},
    }
    return ReplicaSet.of(Object({"metadata": metadata, "spec": {"replicas": replicas, "template": template}}))


def test_the_hash_is_the_same_in_every_process_and_for_every_order_of_fields():
    assert revisions.template_hash(TEMPLATE) == "95988c4cc"
    assert revisions.template_hash(dict(reversed(TEMPLATE.items()))) == revisions.template_hash(TEMPLATE)


def test_the_hash_changes_with_the_template_and_with_each_collision():
    other = copy.deepcopy(TEMPLATE)
    other["spec"]["containers"][0]["image"] = "nginx:2"  # type: ignore[index]
    hashes = {revisions.template_hash(TEMPLATE), revisions.template_hash(other)}
    assert len(hashes | {revisions.template_hash(TEMPLATE, n) for n in range(5)}) == 6


def test_the_hash_is_safe_in_names():
    for collisions in range(50):
        assert set(revisions.template_hash(TEMPLATE, collisions)) <= set("bcdfghjklmnpqrstvwxz2456789")


def test_templates_are_compared_without_the_hash_label():
    assert revisions.same_template(owned(1).object.peek()["spec"]["template"], TEMPLATE)
    assert not revisions.same_template(owned(1, image="other").object.peek()["spec"]["template"], TEMPLATE)


def test_the_oldest_of_equal_replica_sets_is_the_current_one():
    younger, older, other = owned(1, second=2), owned(2, second=1), owned(3, image="other")
    assert revisions.current(deployment(), [younger, older, other]) is older
    assert revisions.current(deployment(), [other]) is None


def test_a_new_replica_set_carries_the_hash_in_name_labels_selector_and_template():
    body = revisions.new_replica_set(deployment(minReadySeconds=3), 4, {"x": "y"})
    digest = revisions.template_hash(TEMPLATE)
    labels = {"app": "web", revisions.HASH_LABEL: digest}
    assert body["metadata"]["name"] == f"web-{digest}"
    assert body["metadata"]["labels"] == labels
    assert body["spec"]["selector"] == {"matchLabels": labels}
    assert body["spec"]["template"]["metadata"]["labels"] == labels
    assert (body["spec"]["replicas"], body["spec"]["minReadySeconds"]) == (4, 3)
    assert body["metadata"]["ownerReferences"][0]["controller"] is True


def test_a_new_replica_set_inherits_annotations_but_not_what_tools_keep_there():
    noted = deployment().to_dict()
    noted["metadata"]["annotations"] |= {"kubectl.kubernetes.io/last-applied-configuration": "{}", revisions.REVISION: "7"}
    lacking = revisions.inherited_annotations(Object(noted), None, 3)
    assert lacking == {"team": "a", revisions.REVISION: "3"}


def test_going_back_numbers_the_old_replica_set_anew_and_keeps_its_history():
    rs = owned(1, team="a")
    lacking = revisions.inherited_annotations(deployment(), rs, 3)
    assert lacking == {revisions.REVISION: "3", revisions.REVISION_HISTORY: "1"}
    again = owned(3, team="a", **{revisions.REVISION_HISTORY: "1"})
    assert revisions.inherited_annotations(deployment(), again, 5)[revisions.REVISION_HISTORY] == "1,3"
    assert revisions.inherited_annotations(deployment(), again, 3) == {}


def test_the_next_revision_is_above_all_old_ones():
    assert revisions.next_revision([]) == 1
    assert revisions.next_revision([owned(4), owned(2)]) == 5


def test_beyond_the_history_limit_the_lowest_revisions_are_forgotten():
    old = [owned(n) for n in (4, 1, 3, 2)]
    assert [rs.revision for rs in revisions.forgotten(deployment(revisionHistoryLimit=2), old)] == [1, 2]
    assert revisions.forgotten(deployment(), old) == []


def test_a_replica_set_that_still_has_pods_is_not_forgotten():
    old = [owned(1, replicas=1), owned(2)]
    assert [rs.revision for rs in revisions.forgotten(deployment(revisionHistoryLimit=0), old)] == [2]


def test_annotations_that_are_no_numbers_count_as_missing():
    odd = owned(1, **{revisions.DESIRED_REPLICAS: "many"})
    assert odd.desired is None
