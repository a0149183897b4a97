"""Options that several commands share, and the forms of their values."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


class Address(click.ParamType[tuple[str, int]]):
    """HOST:PORT; port 0 takes a free one."""

    name = "host:port"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, int]:
        if isinstance(value, tuple):
            return value
        host, separator, port = str(value).rpartition(":")
        if not separator or not host or not port.isdecimal() or int(port) > 65535:
            self.fail(f"{value!r} is not HOST:PORT, such as 127.0.0.1:6443", param, ctx)
        return host.strip("[]"), int(port)


class ImageCommand(click.ParamType[tuple[str, tuple[str, ...]]]):
    """NAME=COMMAND: the command is split as a shell would."""

    name = "image=command"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, tuple[str, ...]]:
        if isinstance(value, tuple):
            return value
        image, _, command = str(value).partition("=")
        try:
            words = tuple(shlex.split(command))
        except ValueError as error:
            self.fail(f"{value!r}: {error}", param, ctx)
        if not image or not words:
            self.fail(f"{value!r} is not IMAGE=COMMAND, such as nginx='python3 -m http.server'", param, ctx)
        return image, words


def _apply(command: Command, *options: Callable[[Command], Command]) -> Command:
    for option in reversed(options):
        command = option(command)
    return command


def storage_options(command: Command) -> Command:
    return _apply(
        command,
        click.option(
            "--data-dir",
            type=click.Path(file_okay=False, path_type=Path),
            default=Path("engine-data"),
            show_default=True,
            help="Where the store, the certificates and the containers' state live.",
        ),
        click.option(
            "--storage",
            type=click.Choice(["sqlite", "memory", "etcd"]),
            default="sqlite",
            show_default=True,
            help="sqlite: durable, in DATA_DIR. memory: gone with the process. etcd: an etcd v3 cluster.",
        ),
        click.option(
            "--etcd-endpoints",
            metavar="URLS",
            default="",
            help="With --storage etcd: its client URLs, separated by commas, such as http://127.0.0.1:2379.",
        ),
    )


def listen_option(command: Command) -> Command:
    return _apply(
        command,
        click.option(
            "--listen",
            type=Address(),
            default="127.0.0.1:6443",
            show_default=True,
            help="Where HTTPS is served; port 0 takes a free one.",
        ),
    )


def node_options(command: Command) -> Command:
    return _apply(
        command,
        click.option(
            "--nodes", type=click.IntRange(0, 1_000_000), default=1, show_default=True, help="How many nodes."
        ),
        click.option(
            "--runtime",
            type=click.Choice(["process", "simulated"]),
            default="process",
            show_default=True,
            help="process: a container is a local process. simulated: pods run in name only.",
        ),
        click.option(
            "--image",
            "images",
            type=ImageCommand(),
            multiple=True,
            help="What a container of this image runs when it has no command of its own (runtime process); repeatable.",
        ),
    )


def log_options(command: Command) -> Command:
    return _apply(
        command,
        click.option(
            "--log-level",
            type=click.Choice(["debug", "info", "warning", "error"]),
            default="info",
            show_default=True,
            help="What goes to standard error.",
        ),
        click.option("--log-format", type=click.Choice(["text", "json"]), default="text", show_default=True),
    )


def kubeconfig_option(command: Command) -> Command:
    return _apply(
        command,
        click.option(
            "--kubeconfig",
            type=click.Path(exists=True, dir_okay=False, path_type=Path),
            required=True,
            help="The API server to work for.",
        ),
    )
