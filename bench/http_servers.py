"""Which HTTP server fronts the API: GET of a 2 KB body over TLS with kept-alive connections, one client process.

    python bench/http_servers.py [--seconds 3] [--connections 8]

Prints requests per second and the server's CPU time per request. uvicorn is compared when it and `httptools` are there.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import multiprocessing
import os
import platform
import socket
import ssl
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

from engine.server.certificates import Certificates

BODY = b"x" * 2048


def serve_aiohttp(sock: socket.socket, certificate: Path, key: Path) -> None:
    import uvloop
    from aiohttp import web

    async def handler(request: web.BaseRequest) -> web.Response:
        return web.Response(body=BODY, content_type="application/json")

    async def main() -> None:
        runner = web.ServerRunner(web.Server(handler, access_log=None))
        await runner.setup()
        await web.SockSite(runner, sock, ssl_context=server_context(certificate, key)).start()
        await asyncio.Event().wait()

    uvloop.run(main())


def serve_uvicorn(sock: socket.socket, certificate: Path, key: Path) -> None:
    import uvicorn

    async def app(scope, receive, send):  # type: ignore[no-untyped-def]
        if scope["type"] != "http":
            return
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(BODY))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": BODY})

    config = uvicorn.Config(
        app, http="httptools", loop="uvloop", lifespan="off", access_log=False, log_level="error",
        ssl_certfile=str(certificate), ssl_keyfile=str(key),
    )  # fmt: skip
    uvicorn.Server(config).run(sockets=[sock])


def server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


async def load(port: int, seconds: float, connections: int) -> int:
    """Requests answered in `seconds`: a plain socket client, so that the client is not what is measured."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    request = (
        b"GET /api/v1/namespaces/default/configmaps/c HTTP/1.1\r\nhost: localhost\r\naccept: application/json\r\n\r\n"
    )
    until = time.perf_counter() + seconds

    async def connection() -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        count = 0
        while time.perf_counter() < until:
            writer.write(request)
            await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(len(BODY))
            count += 1
        writer.close()
        return count

    return sum(await asyncio.gather(*(connection() for _ in range(connections))))


def client(port: int, seconds: float, connections: int, out: Connection) -> None:
    import uvloop

    uvloop.run(load(port, 0.3, connections))
    started = time.perf_counter()
    answered = uvloop.run(load(port, seconds, connections))
    out.send(answered / (time.perf_counter() - started))


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--seconds", type=float, default=3.0)
    arguments.add_argument("--connections", type=int, default=8)
    chosen = arguments.parse_args()
    servers = [("aiohttp.web", serve_aiohttp)]
    if importlib.util.find_spec("uvicorn") and importlib.util.find_spec("httptools"):
        servers.append(("uvicorn+httptools", serve_uvicorn))
    else:
        print("uvicorn is left out: it is not installed (pip install uvicorn httptools)")
    print(f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}")
    with tempfile.TemporaryDirectory() as directory:
        certificates = Certificates.open(Path(directory), names=("localhost", "127.0.0.1"))
        for name, serve in servers:
            sock = socket.socket()
            sock.bind(("127.0.0.1", 0))
            sock.listen(128)
            server = multiprocessing.Process(
                target=serve, args=(sock, certificates.server_certificate, certificates.server_key), daemon=True
            )
            server.start()
            assert server.pid is not None
            theirs, ours = multiprocessing.Pipe()
            port = sock.getsockname()[1]
            asker = multiprocessing.Process(target=client, args=(port, chosen.seconds, chosen.connections, ours))
            before = cpu_seconds(server.pid)
            asker.start()
            if not theirs.poll(chosen.seconds + 30):
                raise SystemExit(f"{name} did not answer")
            rate = theirs.recv()
            used = cpu_seconds(server.pid) - before
            asker.join()
            requests = rate * (chosen.seconds + 0.3)
            print(f"{name:20} {rate:8.0f} requests/s  {used / requests * 1e6:6.0f} us server CPU per request")
            server.terminate()
            server.join()
            sock.close()


if __name__ == "__main__":
    main()
