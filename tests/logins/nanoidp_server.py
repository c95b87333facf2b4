"""nanoidp, an identity provider with forms, in a process of its own."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.logins.waiting import wait_for
from tests.support.ports import free_port

USER, PASSWORD = "testuser", "test123"
CLIENT = {"client_id": "demo-client", "client_secret": "demo-secret"}


@contextlib.contextmanager
def nanoidp(folder: Path) -> Iterator[str]:
    """Serve, with its files in *folder*; return its address."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    program = [sys.executable, "-m", "nanoidp"]
    subprocess.run([*program, "init", folder], check=True, stdout=subprocess.DEVNULL)
    settings = folder / "settings.yaml"
    settings.write_text(
        settings.read_text()
        .replace("http://localhost:8000", url)
        .replace("port: 8000", f"port: {port}")
    )
    server = subprocess.Popen(
        [*program, "--config", folder, "--port", str(port)],
        cwd=folder,  # it writes its keys where it is
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(f"{url}/.well-known/openid-configuration")
        yield url
    finally:
        server.terminate()
        server.wait(20)
