"""A real JupyterLab server, and notebooks in it: opened in Chromium, run by their own kernels."""

from __future__ import annotations

import ast
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.error import URLError

import nbformat
import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from playwright.sync_api import BrowserContext, Locator, Page

ARTIFACTS = Path(__file__).parent / "artifacts"
TIMEOUT = 90.0  # seconds; ten times what a quiet machine needs
KERNEL = "headgrid-tests"
TOKEN = "headgrid"
SETTINGS = {
    "@jupyterlab/apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
}

SERVE = """
import os, signal, sys, threading, time
from jupyterlab.labapp import main

def end_with_the_tests():
    sys.stdin.read()  # it ends when the tests' process does, killed or not
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(20)
    os._exit(1)  # a server that is ended while it starts a kernel can hang

threading.Thread(target=end_with_the_tests, daemon=True).start()
main()
"""


def chromium() -> str:
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    pytest.fail(
        "Chromium is missing: install it with 'apt-get install chromium' or put google-chrome on PATH.", pytrace=False
    )


def wait_for(what: str, poll: Callable[[], Any], timeout: float = TIMEOUT) -> Any:
    """The first true answer of `poll`; fails with the last answer when none comes in time."""
    end = time.monotonic() + timeout
    while not (answer := poll()):
        if time.monotonic() > end:
            pytest.fail(f"{what} did not come true within {timeout:.0f} s; the last answer was {answer!r}")
        time.sleep(0.05)
    return answer


class Server:
    """JupyterLab with nothing of the user's: every folder that it reads or writes is under `home`."""

    def __init__(self, home: Path) -> None:
        self.root = home / "root"
        self.runtime = home / "runtime"
        self._log = home / "server.log"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        config, data = home / "config", home / "data"
        for folder in (self.root, self.runtime, config, data, home / "ipython"):
            folder.mkdir(parents=True)
        for name, values in SETTINGS.items():
            file = config / "lab" / "user-settings" / f"{name}.jupyterlab-settings"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(values))
        spec = {
            "argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
            "display_name": KERNEL,
            "language": "python",
        }
        (data / "kernels" / KERNEL).mkdir(parents=True)
        (data / "kernels" / KERNEL / "kernel.json").write_text(json.dumps(spec))
        self._env = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("JUPYTER", "JPY_"))},
            "JUPYTER_CONFIG_DIR": str(config),
            "JUPYTER_DATA_DIR": str(data),
            "JUPYTER_RUNTIME_DIR": str(self.runtime),
            "IPYTHONDIR": str(home / "ipython"),
            "JUPYTERLAB_SETTINGS_DIR": str(config / "lab" / "user-settings"),
            "JUPYTERLAB_WORKSPACES_DIR": str(config / "lab" / "workspaces"),
            "OMP_NUM_THREADS": "1",
        }

    def __enter__(self) -> Server:
        command = [sys.executable, "-c", SERVE, "--no-browser", "--expose-app-in-browser", "--ip=127.0.0.1"]
        command += [f"--port={self.port}", "--ServerApp.port_retries=0", f"--IdentityProvider.token={TOKEN}"]
        command += [f"--ServerApp.root_dir={self.root}"] + ["--allow-root"] * (os.getuid() == 0)
        with self._log.open("wb") as log:
            # A session of its own: Ctrl-C reaches the tests only, and they end the server in order.
            self._process = subprocess.Popen(
                command, env=self._env, stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True
            )
        try:
            wait_for("JupyterLab's server", self._answers)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()  # it shuts its kernels down itself; kernels also end when it is gone
        assert self._process.stdin
        self._process.stdin.close()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}/{path}{'&' if '?' in path else '?'}token={TOKEN}"

    def _answers(self) -> bool:
        if self._process.poll() is not None:
            pytest.fail(f"JupyterLab's server ended with {self._process.returncode}:\n{self._log.read_text()[-3000:]}")
        try:
            with urllib.request.urlopen(self.url("api/status"), timeout=5):
                return True
        except (URLError, OSError):
            return False


class Notebook:
    """One notebook on a page of its own, with its kernel; `cells` are sources of code."""

    def __init__(self, server: Server, context: BrowserContext, name: str, cells: list[str]) -> None:
        self.server, self.name, self.path = server, name, server.root / f"{name}.ipynb"
        written = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
        written.metadata.kernelspec = {"name": KERNEL, "display_name": KERNEL, "language": "python"}
        nbformat.write(written, self.path)
        self._client: BlockingKernelClient | None = None
        self.page: Page = context.new_page()
        self.page.set_default_timeout(TIMEOUT * 1000)
        self.open()
        self.run_all()

    def open(self) -> None:
        """Loads the page anew; a workspace of its own keeps other pages' tabs away."""
        self.page.goto(self.server.url(f"lab/workspaces/{self.name}/tree/{self.name}.ipynb?reset"))
        self.page.wait_for_function("() => window.jupyterapp?.shell.currentWidget?.context?.isReady")
        self.page.evaluate("async () => { await jupyterapp.started; await jupyterapp.restored }")
        self.page.add_style_tag(content=".jp-Notebook { scroll-behavior: auto !important }")

    def in_lab(self, script: str) -> Any:
        """What a script's expression gives on the page, where `panel` is the notebook and `kernel` its connection."""
        return self.page.evaluate(
            f"""async () => {{ const panel = jupyterapp.shell.currentWidget;
            const kernel = panel.sessionContext.session?.kernel; return await ({script}) }}"""
        )

    def wait_until_idle(self) -> None:
        wait_for("an idle kernel", lambda: self.in_lab("kernel?.status") == "idle")

    def run_all(self) -> None:
        self.wait_until_idle()
        if self.in_lab("jupyterapp.commands.execute('notebook:run-all-cells')") is False:
            outputs = [output for cell in self.in_lab("panel.model.toJSON()")["cells"] for output in cell["outputs"]]
            errors = ["\n".join(output["traceback"]) for output in outputs if output["output_type"] == "error"]
            pytest.fail("a cell raised:\n" + "\n".join(errors), pytrace=False)

    def run(self, expression: str) -> Any:
        """The value of an expression in the kernel, as JSON; what JSON does not know comes as text."""
        if self._client is None:
            kernel = self.in_lab("kernel.id")
            self._client = BlockingKernelClient(connection_file=str(self.server.runtime / f"kernel-{kernel}.json"))
            self._client.load_connection_file()
            self._client.start_channels()
        asked = {"value": f"__import__('json').dumps({expression}, default=str)"}
        reply = self._client.execute("", silent=True, user_expressions=asked, reply=True, timeout=TIMEOUT)
        answer = reply["content"]["user_expressions"]["value"]
        assert answer["status"] == "ok", f"{expression}: {answer.get('ename')}: {answer.get('evalue')}"
        return json.loads(ast.literal_eval(answer["data"]["text/plain"]))

    def wait_until(self, expression: str, timeout: float = TIMEOUT) -> None:
        wait_for(expression, lambda: self.run(f"bool({expression})"), timeout)

    def restart_kernel(self) -> None:
        self.in_lab("kernel.restart()")
        self.wait_until_idle()

    def set_theme(self, dark: bool) -> None:
        theme = "JupyterLab Dark" if dark else "JupyterLab Light"
        self.page.evaluate("theme => jupyterapp.commands.execute('apputils:change-theme', { theme })", theme)
        self.page.wait_for_selector(f"body[data-jp-theme-light={'false' if dark else 'true'}]", state="attached")
        self.page.wait_for_selector("#jupyterlab-splash", state="detached")

    def screenshot(self, name: str) -> Path:
        ARTIFACTS.mkdir(exist_ok=True)
        self.page.screenshot(path=ARTIFACTS / f"{name}.png")
        return ARTIFACTS / f"{name}.png"

    def view(self, number: int = 0) -> Locator:
        return self.page.locator(".jp-Notebook .headgrid").nth(number)

    def close(self) -> None:
        if self._client:
            self._client.stop_channels()
        self.in_lab("kernel && panel.sessionContext.shutdown()")
        self.page.close()
