"""The `engine` command: what outsiders script. Every command says its defaults and units in `--help`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click

from engine import __version__
from engine.cli.bench import bench
from engine.cli.exits import DATA_WRONG, DONE, FAILED, INTERRUPTED, WRONG_USAGE, Failure
from engine.cli.parts import apiserver, controllers, kubelet, scheduler
from engine.cli.up import up
from engine.storage.store import IncompatibleData, StorageError


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
def engine() -> None:
    """Kubernetes' control loop: an API server, controllers, a scheduler and nodes, together or each alone."""


@engine.command()
@click.option("--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def version(output: str) -> None:
    """Print the version."""
    click.echo(f'{{"version": "{__version__}"}}' if output == "json" else f"engine {__version__}")


for command in (up, apiserver, controllers, scheduler, kubelet, bench):
    engine.add_command(command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs one command and leaves with its exit code; what goes wrong is one line on standard error."""
    _hold_standard_streams()
    sys.exit(run(arguments))


def _hold_standard_streams() -> None:
    """Puts /dev/null where the caller closed a standard stream: its number would go to a socket, and libuv aborts the
    process when it closes one that is below 3."""
    while (opened := os.open(os.devnull, os.O_RDWR)) < 3:
        pass
    os.close(opened)


def run(arguments: Sequence[str] | None = None) -> int:
    try:
        code = engine.main(
            args=None if arguments is None else list(arguments), prog_name="engine", standalone_mode=False
        )
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return WRONG_USAGE
    except click.ClickException as error:
        return _say(error.format_message(), WRONG_USAGE)
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except Failure as failure:
        return _say(str(failure), failure.code)
    except IncompatibleData as error:
        return _say(str(error), DATA_WRONG)
    except (StorageError, OSError) as error:
        return _say(str(error) or type(error).__name__, FAILED)
    return int(code or DONE)


def _say(message: str, code: int) -> int:
    click.echo("engine: " + " ".join(message.split()), err=True)
    return code
