"""Metadata stores that run here for real: MariaDB, and ML Metadata behind its own gRPC service."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

PASSWORD = "only-here"


def free_port(address: str = "127.0.0.1") -> int:
    with socket.socket() as one:
        one.bind((address, 0))
        return one.getsockname()[1]


def lacks_mariadb() -> str:
    """Why MariaDB cannot be started; nothing where it can."""
    return "" if shutil.which("mariadbd", path=f"{os.environ['PATH']}:/usr/sbin") else "mariadbd is missing"


@contextlib.contextmanager
def mariadb(folder: Path) -> Iterator[int]:
    """A server with an empty database `mlmd` for the account `mlmd`; yields its port."""
    path = f"{os.environ['PATH']}:/usr/sbin"
    data, socket_file, port = folder / "db", folder / "s", free_port()
    user = ["--user=root"] if os.geteuid() == 0 else []
    subprocess.run(
        ["mariadb-install-db", "--no-defaults", f"--datadir={data}", "--skip-test-db",
         "--auth-root-authentication-method=normal", *user],
        check=True, capture_output=True, env={**os.environ, "PATH": path},
    )  # fmt: skip
    with (folder / "mariadb.log").open("w") as log:
        server = subprocess.Popen(
            ["mariadbd", "--no-defaults", f"--datadir={data}", f"--socket={socket_file}", f"--port={port}",
             "--bind-address=127.0.0.1", "--character-set-server=utf8mb4", "--collation-server=utf8mb4_bin",
             f"--pid-file={folder}/pid", *user], stdout=log, stderr=log, env={**os.environ, "PATH": path},
        )  # fmt: skip
    try:
        sql = (
            "create database mlmd; "
            f"create user mlmd@'127.0.0.1' identified by '{PASSWORD}'; "
            "grant all on mlmd.* to mlmd@'127.0.0.1'"
        )
        for _ in range(100):
            asked = subprocess.run(
                ["mariadb", "--no-defaults", f"--socket={socket_file}", "-uroot", "-e", sql],
                capture_output=True,
            )
            if not asked.returncode:
                break
            time.sleep(0.2)
        assert not asked.returncode, asked.stderr
        yield port
    finally:
        server.terminate()
        server.wait(60)


def served(port: int, file: str) -> None:
    """ML Metadata on a file as its published gRPC service, to the end of this process."""
    import grpc
    import ml_metadata
    from ml_metadata import errors, proto
    from ml_metadata.proto import metadata_store_service_pb2 as messages
    from ml_metadata.proto import metadata_store_service_pb2_grpc as service

    config = proto.ConnectionConfig()
    config.sqlite.filename_uri = file
    config.sqlite.connection_mode = proto.SqliteMetadataSourceConfig.READWRITE_OPENCREATE
    store = ml_metadata.MetadataStore(config, enable_upgrade_migration=True)
    codes = {code.value[0]: code for code in grpc.StatusCode}

    def method(name: str) -> Any:
        def answer(_: Any, request: Any, context: Any) -> Any:
            response = getattr(messages, f"{name}Response")()
            try:
                store._call(name, request, response)
            except errors.StatusError as error:
                context.abort(codes[error.error_code], str(error))
            return response

        return answer

    base = service.MetadataStoreServiceServicer
    names = [name for name in dir(base) if name[0].isupper() and hasattr(messages, f"{name}Response")]
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=1))  # the store is one thread's
    made = type("Servicer", (base,), {name: method(name) for name in names})()
    service.add_MetadataStoreServiceServicer_to_server(made, server)
    assert server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    server.wait_for_termination()


@contextlib.contextmanager
def grpc_store(folder: Path) -> Iterator[int]:
    """That service in a process of its own; yields its port."""
    port = free_port()
    server = subprocess.Popen([sys.executable, __file__, str(port), str(folder / "store.db")])
    try:
        for _ in range(200):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            time.sleep(0.2)
        yield port
    finally:
        server.kill()
        server.wait()


if __name__ == "__main__":
    served(int(sys.argv[1]), sys.argv[2])
