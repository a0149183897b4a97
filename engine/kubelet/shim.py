"""The keeper of one container attempt: a small process of its own that outlives the control plane.

Run as `python -I -S shim.py DIR`, with descriptor 3 a pipe on which it says one line once the container runs, or why it
does not. It leaves the process tree and the session of who started it, holds a lock on DIR/lock for its life, is the
parent (and the subreaper) of the container's processes, copies their output to DIR/log, and writes DIR/exit when the
container has ended. Whoever holds the lock decides about the attempt: a shim that finds the lock taken, or the attempt
begun or ended before, leaves without starting anything.

Files of DIR: `spec` (read; NUL-separated `name=value`), `stop` (read on SIGTERM: `grace=SECONDS`, `reason=WORD`),
`state` (begun; with `pid` once it runs) and `exit` (ended; durable), both written as lines `name=value`, `log`, `log.1`
(the container runtime interface's form: time, stream, F or P, text; P marks a line that goes on in the next record).
Nothing here imports the engine: it must stay small, and readable by an engine of another version.
"""

import ctypes
import fcntl
import os
import select
import sys
import time
from _signal import (  # type: ignore[import-not-found]  # the package `signal` builds enums: a megabyte per container
    SIG_DFL,
    SIG_IGN,
    SIGCHLD,
    SIGHUP,
    SIGINT,
    SIGKILL,
    SIGPIPE,
    SIGTERM,
    SIGXFSZ,
    set_wakeup_fd,
    signal,
)

READY_FD = 3
PR_SET_CHILD_SUBREAPER = 36
READ_BYTES = 1 << 16
LINE_BYTES = 1 << 14  # a longer line is written in parts
START_FAILED = 128  # the exit code of a container whose command could not be executed


class Spec:
    """What to run, from DIR/spec."""

    def __init__(self, data: bytes) -> None:
        self.args: list[bytes] = []
        self.env: dict[bytes, bytes] = {}
        self.cwd = b"/"
        self.log_bytes = 10 << 20
        self.log_files = 5
        for entry in data.split(b"\0"):
            name, _, value = entry.partition(b"=")
            if name == b"arg":
                self.args.append(value)
            elif name == b"env":
                key, _, text = value.partition(b"=")
                self.env[key] = text
            elif name == b"cwd":
                self.cwd = value
            elif name == b"log_bytes":
                self.log_bytes = int(value)
            elif name == b"log_files":
                self.log_files = int(value)


class Log:
    """DIR/log: one record a line, rotated at `max_bytes`, `max_files` kept in all."""

    def __init__(self, max_bytes: int, max_files: int) -> None:
        self._max_bytes = max_bytes
        self._max_files = max_files
        self._open()

    def _open(self) -> None:
        self._fd = os.open("log", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._size = os.fstat(self._fd).st_size

    def write(self, stream: bytes, lines: list[bytes], tag: bytes) -> None:
        """In as few writes as the size of a file allows."""
        head = b"%s %s %s " % (timestamp().encode(), stream, tag)
        room, batch = self._max_bytes - self._size, list[bytes]()
        for line in lines:
            record = b"%s%s\n" % (head, line)
            room -= len(record)
            if room < 0 and (batch or self._size):
                self._append(b"".join(batch))
                self._rotate()
                room, batch = self._max_bytes - len(record), []
            batch.append(record)
        self._append(b"".join(batch))

    def _append(self, data: bytes) -> None:
        try:
            while data:
                written = os.write(self._fd, data)
                self._size += written
                data = data[written:]
        except OSError:
            return  # a full disk costs lines of the log, not the container

    def _rotate(self) -> None:
        old = self._fd
        try:
            for number in range(self._max_files - 2, -1, -1):
                name = f"log.{number}" if number else "log"
                if os.path.exists(name):
                    os.rename(name, f"log.{number + 1}")
            if self._max_files == 1:
                os.unlink("log")
            self._open()
        except OSError:
            return  # no room for another file: the one that is open goes on
        os.close(old)


class Stream:
    """One output of the container: cuts what is read into lines."""

    def __init__(self, name: bytes, fd: int, log: Log) -> None:
        self._name = name
        self.fd = fd
        self._log = log
        self._rest = b""

    def copy(self) -> bool:
        """Reads once; False at the end of the stream."""
        data = os.read(self.fd, READ_BYTES)
        *lines, self._rest = (self._rest + data).split(b"\n")
        long_at = [at for at, line in enumerate(lines) if len(line) > LINE_BYTES]
        for at in long_at:
            lines[at] = self._cut(lines[at])
        if lines:
            self._log.write(self._name, lines, b"F")
        if len(self._rest) > LINE_BYTES or (self._rest and not data):
            self._rest = self._cut(self._rest)
            if not data:
                self._log.write(self._name, [self._rest], b"P")
                self._rest = b""
        return bool(data)

    def _cut(self, line: bytes) -> bytes:
        """Writes all but the last part of a long line, and returns that part."""
        last = (len(line) - 1) // LINE_BYTES * LINE_BYTES
        parts = [line[at : at + LINE_BYTES] for at in range(0, last, LINE_BYTES)]
        if parts:
            self._log.write(self._name, parts, b"P")
        return line[last:]


class Keeper:
    """Starts the container, waits for its end, records it."""

    def __init__(self, spec: Spec) -> None:
        self._spec = spec
        self._log = Log(spec.log_bytes, spec.log_files)
        self._poll = select.poll()
        self._streams: dict[int, Stream] = {}
        self._wake_fd, wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        self._terminated = False
        self._kill_at: float | None = None
        self._stopping = ""
        self._exit_code: int | None = None
        signal(SIGTERM, self._on_terminate)
        signal(SIGCHLD, lambda number, frame: None)  # only wakes the poll
        signal(SIGHUP, SIG_IGN)
        signal(SIGINT, SIG_IGN)
        self._poll.register(self._wake_fd, select.POLLIN)

    def _on_terminate(self, number: int, frame: object) -> None:
        self._terminated = True

    def start(self) -> str:
        """Forks and executes the container's command; the reason when that failed, else ""."""
        ends = {name: os.pipe2(os.O_CLOEXEC) for name in (b"stdout", b"stderr")}
        failed_read, failed_write = os.pipe2(os.O_CLOEXEC)
        self.started = timestamp()
        self.pid = os.fork()
        if self.pid == 0:
            execute(self._spec, ends[b"stdout"][1], ends[b"stderr"][1], failed_write)
        os.close(failed_write)
        for name, (read, write) in ends.items():
            os.close(write)
            self._streams[read] = Stream(name, read, self._log)
            self._poll.register(read, select.POLLIN)
        failure = b"".join(iter(lambda: os.read(failed_read, 4096), b""))
        os.close(failed_read)
        return failure.decode("utf-8", "replace")

    def keep(self) -> None:
        """Returns when the container's first process has ended, the others are killed and the output is copied."""
        while self._exit_code is None:
            for fd, _ in self._poll.poll(self._timeout_ms()):
                if fd == self._wake_fd:
                    os.read(fd, 4096)
                    self._reap()
                else:
                    self._copy(fd)
            if self._terminated:
                self._begin_stop()
            if self._kill_at is not None and time.monotonic() >= self._kill_at:
                self._kill_at = None
                kill(self.pid)
        self._kill_rest()
        while self._streams:
            for fd in list(self._streams):
                self._copy(fd)

    def _timeout_ms(self) -> int | None:
        return None if self._kill_at is None else max(0, int((self._kill_at - time.monotonic()) * 1000) + 1)

    def _copy(self, fd: int) -> None:
        if not self._streams[fd].copy():
            self._poll.unregister(fd)
            del self._streams[fd]
            os.close(fd)

    def _begin_stop(self) -> None:
        """A later order may only shorten the time that is left."""
        self._terminated = False
        order = read_fields("stop")
        kill_at = time.monotonic() + float(order.get("grace", "30"))
        if not self._stopping:
            self._stopping = order.get("reason", "Stopped")
            self._kill_at = kill_at
            if float(order.get("grace", "30")) > 0:
                kill(self.pid, SIGTERM)
        elif self._kill_at is not None:
            self._kill_at = min(self._kill_at, kill_at)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self.pid:
                code = os.waitstatus_to_exitcode(status)
                self._exit_code = code if code >= 0 else 128 - code

    def _kill_rest(self) -> None:
        """Nothing of a container lives longer than its first process, as with a pid namespace: as the subreaper this is
        the parent of every process that was left, one generation after the other."""
        while True:
            try:
                pid, _ = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    for child in children():
                        kill(child)
                    os.waitpid(-1, 0)
            except ChildProcessError:
                return

    def record(self, code: int | None = None, reason: str = "", message: str = "") -> None:
        code = self._exit_code if code is None else code
        fields = {"code": str(code), "started": self.started, "finished": timestamp(), "stopped": self._stopping}
        write_fields("exit", {**fields, "reason": reason, "message": message.replace("\n", " ")}, durable=True)


def execute(spec: Spec, out: int, err: int, failed: int) -> None:
    """In the new process: becomes the container's command, or tells why not."""
    try:
        os.setsid()
        null = os.open("/dev/null", os.O_RDONLY)
        os.dup2(null, 0)
        os.dup2(out, 1)
        os.dup2(err, 2)
        for number in (SIGTERM, SIGCHLD, SIGHUP, SIGINT, SIGPIPE, SIGXFSZ):
            signal(number, SIG_DFL)
        os.chdir(spec.cwd)
        os.execvpe(spec.args[0], spec.args, spec.env)
    except FileNotFoundError as error:
        name = spec.args[0].decode("utf-8", "replace")
        missing_cwd = error.filename == spec.cwd
        words = f'working directory "{os.fsdecode(spec.cwd)}" does not exist' if missing_cwd else not_found(name)
        os.write(failed, words.encode())
    except BaseException as error:
        os.write(failed, f'exec: "{os.fsdecode(spec.args[0])}": {error}'.encode())
    finally:
        os._exit(127)


def not_found(command: str) -> str:
    return f'exec: "{command}": ' + (
        "no such file or directory" if "/" in command else "executable file not found in $PATH"
    )


def children() -> list[int]:
    """By a look at all processes: the kernel's own list of children is a build option that many lack."""
    found = []
    for name in os.listdir("/proc"):
        try:
            if name.isdigit() and int(process_stat(int(name))[1]) == os.getpid():
                found.append(int(name))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def kill(pid: int, number: int = SIGKILL) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def timestamp() -> str:
    seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{nanoseconds:09d}Z"


def process_stat(pid: int) -> list[bytes]:
    """The fields of /proc/PID/stat after the name: state, parent, …"""
    with open(f"/proc/{pid}/stat", "rb") as file:
        return file.read().rpartition(b")")[2].split()


def start_time(pid: int) -> str:
    """In clock ticks since boot: with the pid, it names a process for good."""
    return process_stat(pid)[19].decode()


def boot_id() -> str:
    """Pids and start times mean something within one boot of the machine."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()


def read_fields(name: str) -> dict[str, str]:
    try:
        with open(name, encoding="utf-8") as file:
            return dict(line.rstrip("\n").split("=", 1) for line in file if "=" in line)
    except FileNotFoundError:
        return {}


def write_fields(name: str, fields: dict[str, str], *, durable: bool = False) -> None:
    """The whole file or none of it."""
    data = "".join(f"{key}={value}\n" for key, value in fields.items()).encode()
    fd = os.open(name + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    os.write(fd, data)
    if durable:
        os.fsync(fd)
    os.close(fd)
    os.rename(name + ".new", name)


def tell(words: str) -> None:
    """To whoever started this, if it still listens."""
    try:
        os.write(READY_FD, words.encode() + b"\n")
        os.close(READY_FD)
    except OSError:
        return


def main(directory: str) -> None:
    signal(SIGPIPE, SIG_IGN)
    if os.fork():
        os._exit(0)  # the second process is nobody's child
    os.setsid()
    os.set_inheritable(READY_FD, False)
    try:
        os.chdir(directory)
        lock = os.open("lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        tell(f"refused: {error}")
        return
    if os.path.exists("exit") or os.path.exists("state"):
        tell("refused: this attempt was begun before")
        return
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    with open("spec", "rb") as file:
        keeper = Keeper(Spec(file.read()))
    state = {"boot": boot_id(), "shim": str(os.getpid()), "shim_start": start_time(os.getpid())}
    write_fields("state", state)  # before the fork: begun, whatever comes
    failure = keeper.start()
    if not failure:
        state |= {"started": keeper.started, "pid": str(keeper.pid), "pid_start": start_time(keeper.pid)}
        write_fields("state", state)
    if failure:
        keeper.record(START_FAILED, "StartError", failure)
        tell("failed: " + failure)
        return
    tell("started")
    keeper.keep()
    keeper.record()


if __name__ == "__main__":
    main(sys.argv[1])
