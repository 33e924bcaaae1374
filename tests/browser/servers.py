"""Servers on loopback for the browser tests: any command, and a JupyterLab that keeps quiet."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def server(command: list[str], address: str, log: Path, env: dict[str, str] | None = None) -> Iterator[str]:
    """Run a server until the block ends; yield its address once it answers there."""
    with log.open("w") as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT,
                                   env=os.environ | (env or {}))
    try:
        deadline = time.monotonic() + 90
        while True:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(address, timeout=2).read()
                break
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        yield address
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()


@contextlib.contextmanager
def lab_server(folder: Path, home: Path, *, dark: bool = False) -> Iterator[str]:
    """Serve `folder` in a JupyterLab with settings in `home`: no news, no autosave, all cells in the page."""
    settings = {("apputils-extension", "notification"): {"fetchNews": "false", "checkForUpdates": False},
                ("apputils-extension", "themes"): {"theme": f"JupyterLab {'Dark' if dark else 'Light'}"},
                ("notebook-extension", "tracker"): {"windowingMode": "none"},
                ("docmanager-extension", "plugin"): {"autosave": False}}
    for (plugin, name), values in settings.items():
        file = home / "settings" / "@jupyterlab" / plugin / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(values))
    places = {"JUPYTERLAB_SETTINGS_DIR": "settings", "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
              "JUPYTER_CONFIG_DIR": "config", "JUPYTER_RUNTIME_DIR": "runtime", "IPYTHONDIR": "ipython"}
    port = free_port()
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root",
               "--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0",
               "--IdentityProvider.token=", "--ServerApp.disable_check_xsrf=True",
               "--LabApp.extension_manager=readonly", "--LabApp.news_url=None",
               f"--ServerApp.root_dir={folder}"]
    with server(command, f"http://127.0.0.1:{port}/api/status", home / "lab.log",
                {name: str(home / place) for name, place in places.items()}):
        yield f"http://127.0.0.1:{port}"
