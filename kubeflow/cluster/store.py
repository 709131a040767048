"""The metadata store as one address: sqlite:/file.db, mysql://USER@HOST:PORT/DATABASE or grpc://HOST:PORT."""

from __future__ import annotations

import os
import re
import socket
import time
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from tuning.errors import BadInput

PASSWORD = "MLMD_PASSWORD"  # environment variable
_SCHEMES = ("sqlite", "mysql", "grpc")
_PORTS = {"mysql": 3306, "grpc": 8080}


@dataclass(frozen=True)
class Store:
    """A metadata store's address.

    Attributes:
        scheme: sqlite, mysql or grpc.
        file: Of sqlite.
        host: Of the others.
        port: Of the others.
        user: Of mysql.
        password: Of mysql; never printed.
        database: Of mysql.
    """

    scheme: str
    file: str = ""
    host: str = ""
    port: int = 0
    user: str = ""
    password: str = ""
    database: str = ""

    def __repr__(self) -> str:
        """Without the password."""
        return self.file or f"{self.scheme}://{self.host}:{self.port}/{self.database}".rstrip("/")


def parse(text: str, root: str, password: str | None = None) -> Store:
    """An address, taken apart.

    Args:
        text: Such as "mysql://mlmd@keras-cnns-mysql:3306/mlmd"; a `sqlite:` file may lie relative to `root`.
        root: Folder that the run's steps share.
        password: Of mysql; None for the environment's MLMD_PASSWORD.

    Raises:
        BadInput: It is written otherwise.
    """
    scheme, colon, rest = text.partition(":")
    if not colon or scheme not in _SCHEMES:
        raise BadInput(f"--mlmd must begin with sqlite:, mysql: or grpc:, not {hidden(text)!r}")
    if scheme == "sqlite":
        if not rest.strip("/"):
            raise BadInput(f"--mlmd {text}: name a file, such as sqlite:/mnt/keras-cnns/metadata.db")
        return Store("sqlite", file=str(PurePosixPath(root) / rest.removeprefix("//")))
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port or _PORTS[scheme]
    except ValueError:
        raise BadInput(f"--mlmd {hidden(text)}: the port is no number from 0 to 65535") from None
    if parts.query or parts.fragment:
        raise BadInput(f"--mlmd {hidden(text)}: it takes no ? and no #")
    if parts.password is not None:
        raise BadInput(f"--mlmd {hidden(text)}: a password does not belong there; set {PASSWORD}")
    database = parts.path.strip("/")
    if not host or (scheme == "mysql") != bool(database) or (scheme == "mysql") != bool(parts.username):
        form = "mysql://USER@HOST:3306/DATABASE" if scheme == "mysql" else "grpc://HOST:8080"
        raise BadInput(f"--mlmd {hidden(text)}: write {form}")
    if scheme == "grpc":
        return Store("grpc", host=host, port=port)
    secret = os.environ.get(PASSWORD, "") if password is None else password
    return Store("mysql", "", host, port, str(parts.username), secret, database)


def hidden(text: str) -> str:
    """The address without what may be a password."""
    address, *more = re.split(r"[?#]", text)
    name, at, place = address.rpartition("@")
    if "@" in "".join(more):  # a password has such a sign, and where it ends is not known
        name, at, place = address, "@", "…"
    if not at:  # what follows a second colon is a port, or may be the password of an address without its host
        shown = re.match(r"(\w+:/*)?[^:]*(:\d+(/[^:]*)?$)?", address)
        assert shown is not None  # it matches nothing at all, too
        return shown[0] + ("…" if shown[0] != address else "")
    user = re.match(r"(\w+:/+)?[^:/@]*", name)
    return f"{user[0] if user else ''}{at}{place}"


def reach(store: Store, patience: float = 60.0) -> None:
    """Wait until a server listens at the address, or make the folder of a file.

    Args:
        store: The store.
        patience: Seconds.

    Raises:
        BadInput: Nothing listens there, or the folder cannot be made.
    """
    if store.scheme == "sqlite":
        try:
            Path(store.file).parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BadInput(f"--mlmd {store!r} cannot be made: {error.strerror}") from None
        return
    end = time.monotonic() + patience
    while True:
        try:
            with socket.create_connection((store.host, store.port), timeout=5):
                return
        except OSError as error:
            if time.monotonic() >= end:
                raise BadInput(
                    f"--mlmd {store!r} cannot be reached: {error.strerror or error}; is the store running?"
                ) from None
        time.sleep(min(1.0, max(0.0, end - time.monotonic())))


def opened(store: Store) -> Any:
    """A connection that was tried, as `tfx.orchestration.metadata.Metadata` takes it.

    Raises:
        BadInput: The store does not let us in.
    """
    import ml_metadata

    made = _connection(store)
    try:
        ml_metadata.MetadataStore(made).get_context_types()
    except (ml_metadata.errors.StatusError, RuntimeError) as error:
        hint = (
            f"is the database there, and is {PASSWORD} its password?"
            if store.scheme == "mysql"
            else str(error)
        )
        raise BadInput(f"--mlmd {store!r} cannot be opened: {hint}") from None
    return made


def _connection(store: Store) -> Any:
    from ml_metadata.proto import metadata_store_pb2 as proto

    if store.scheme == "grpc":
        return proto.MetadataStoreClientConfig(host=store.host, port=store.port)
    config = proto.ConnectionConfig()
    if store.scheme == "sqlite":
        config.sqlite.filename_uri = store.file
        config.sqlite.connection_mode = proto.SqliteMetadataSourceConfig.READWRITE_OPENCREATE
        return config
    config.mysql.host, config.mysql.port, config.mysql.database = store.host, store.port, store.database
    config.mysql.user, config.mysql.password = store.user, store.password
    return config
