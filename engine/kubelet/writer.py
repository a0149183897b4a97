"""Writes what runtimes report: one pending write per pod, many pods per batch."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any

from engine._object import Object
from engine.api.errors import StatusError
from engine.api.resource import PODS
from engine.client.client import Client
from engine.client.transport import Operation
from engine.kubelet.runtime import Report
from engine.logs import step

LOG = logging.getLogger(__name__)
BATCH_PODS = 500
RETRY_SECONDS = 1.0
STARTING = ("ContainerCreating", "PodInitializing")  # waits that are no trouble


class StatusWriter:
    """Sends reports to the API server, the newest of each pod, and deletes the pods that are gone.

    A pod that the server no longer has, or has under another uid, is dropped; any other refusal is logged, counted in
    `refused`, and tried again with whatever is newest by then. A server that cannot be reached is tried for ever.
    """

    def __init__(self, client: Client, newest: Callable[[str], Object | None], through: str) -> None:
        self.refused = 0
        self._client = client
        self._newest = newest
        self._through = through
        self._pending: dict[str, Report] = {}  # by uid
        self._later = 0  # refused reports that are tried again in a moment
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    def put(self, reports: Iterable[Report]) -> None:
        """Never waits. A later report of the same pod takes the place of one that was not sent yet."""
        for report in reports:
            before = self._pending.pop(report.uid, None)
            if before and report.status is None:
                report = Report(report.key, report.uid, before.status, report.gone or before.gone)
            self._pending[report.uid] = report
        if self._pending:
            self._idle.clear()
            self._wake.set()

    def forget(self, uid: str) -> None:
        self._pending.pop(uid, None)

    async def drained(self) -> None:
        """Returns when everything put so far was answered."""
        await self._idle.wait()

    async def run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._pending:
                batch = [self._pending.pop(uid) for uid in list(islice(self._pending, BATCH_PODS))]
                try:
                    await self._write(batch)
                except OSError as error:
                    LOG.warning("cannot write the status of %d pods: %s", len(batch), error)
                    self._put_back(batch)
                    await asyncio.sleep(RETRY_SECONDS)
            if not self._later:
                self._idle.set()

    def _put_back(self, reports: Iterable[Report]) -> None:
        """Unless something newer is pending by now."""
        for report in reports:
            self._pending.setdefault(report.uid, report)

    def _try_again(self, reports: list[Report]) -> None:
        self._later -= len(reports)
        self._put_back(reports)
        self._wake.set()

    async def _write(self, batch: list[Report]) -> None:
        """Statuses first, deletions of what is gone after them. What was refused holds nothing else up."""
        said = [report for report in batch if report.status is not None]
        failed = await self._send([self._status(report) for report in said], said)
        lost = {report.uid for report in failed}
        gone = [report for report in batch if report.gone and report.uid not in lost]
        failed += await self._send([self._deletion(report) for report in gone], gone)
        self._tell(said, gone)
        if failed:
            self._later += len(failed)
            asyncio.get_running_loop().call_later(RETRY_SECONDS, self._try_again, failed)

    async def _send(self, operations: list[Operation], reports: list[Report]) -> list[Report]:
        """The reports that have to be sent again."""
        if not operations:
            return []
        failed = []
        for report, answer in zip(reports, await self._client.batch(operations), strict=True):
            if not isinstance(answer, StatusError) or answer.code == 404:
                continue
            newest = self._newest(report.key)
            if answer.code == 409 and (newest is None or newest.uid != report.uid):
                continue  # another pod has the name by now
            self.refused += 1
            LOG.warning("pod %s: its status was refused: %s", report.key, answer.message)
            if answer.code in (400, 403, 413, 422):
                continue  # the same words will be refused again; the next change brings others
            failed.append(report)
        return failed

    def _status(self, report: Report) -> Operation:
        namespace, _, name = report.key.partition("/")
        status: dict[str, Any] = report.status or {}
        newest = self._newest(report.key)
        before = (newest.peek().get("status") or {}).get("podIP") if newest else None
        if before and before != status.get("podIP", before):
            status = {**status, "podIPs": [*status["podIPs"], {"$patch": "delete", "ip": before}]}
        patch = {"metadata": {"uid": report.uid}, "status": status}
        return self._client.patching(PODS, namespace, name, patch, type="strategic", subresource="status")

    def _deletion(self, report: Report) -> Operation:
        namespace, _, name = report.key.partition("/")
        return self._client.deleting(PODS, namespace, name, gracePeriodSeconds=0, preconditions={"uid": report.uid})

    def _tell(self, said: list[Report], gone: list[Report]) -> None:
        if said:
            first = said[0]
            wrote = f"status of pod {first.key}: {_summary(first.status or {})}"
            step(4, "kubelet", saw=f"pod {first.key}", through=self._through, wrote=wrote, count=len(said))
        if gone:
            first = gone[0]
            wrote = f"deletion of pod {first.key}"
            step(4, "kubelet", saw=f"deletion of pod {first.key}", through=self._through, wrote=wrote, count=len(gone))


def _summary(status: dict[str, Any]) -> str:
    """The phase, or what a container waits for: CrashLoopBackOff, ImageNotMapped, …"""
    containers = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    waiting = ((each.get("state") or {}).get("waiting") or {} for each in containers)
    reason = next((each["reason"] for each in waiting if each.get("reason") not in (None, *STARTING)), "")
    return f"waiting, {reason}" if reason else str(status.get("phase", ""))
