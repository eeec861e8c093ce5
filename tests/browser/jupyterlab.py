"""JupyterLab and Notebook 7, which one server serves, and notebooks in them: opened in Chromium, with real kernels."""

from __future__ import annotations

import ast
import json
import os
import shutil
import sys
import textwrap
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import nbformat
import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from playwright.sync_api import BrowserContext, CDPSession, Locator, Page

from .serving import ARTIFACTS, TIMEOUT, Serving, chromium, wait_for

__all__ = ["ARTIFACTS", "KERNEL", "TIMEOUT", "Notebook", "Server", "chromium", "wait_for"]

Host = Literal["lab", "notebook"]
Subshells = Literal["perCommTarget", "disabled"]

KERNEL = "headgrid-tests"
IMPORTS = "import headgrid, transformers.models.gpt2.modeling_gpt2; del headgrid, transformers"
TOKEN = "headgrid"
SETTINGS = {
    "@jupyterlab/apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
}


class Server(Serving):
    """`jupyter lab`; Notebook 7 is an extension of the same server."""

    name = "JupyterLab's server"
    forgets = ("JUPYTER", "JPY_")
    alive = "api/status"

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        self.runtime = home / "runtime"
        self._ahead: tuple[str, BlockingKernelClient] | None = None
        config, data = home / "config", home / "data"
        for folder in (self.runtime, config, data, home / "ipython"):
            folder.mkdir(parents=True)
        self.settings = config / "lab" / "user-settings"
        self.forget_settings()
        spec = {
            "argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
            "display_name": KERNEL,
            "language": "python",
        }
        (data / "kernels" / KERNEL).mkdir(parents=True)
        (data / "kernels" / KERNEL / "kernel.json").write_text(json.dumps(spec))
        self.env |= {
            "JUPYTER_CONFIG_DIR": str(config),
            "JUPYTER_DATA_DIR": str(data),
            "JUPYTER_RUNTIME_DIR": str(self.runtime),
            "IPYTHONDIR": str(home / "ipython"),
            "JUPYTERLAB_SETTINGS_DIR": str(self.settings),
            "JUPYTERLAB_WORKSPACES_DIR": str(config / "lab" / "workspaces"),
        }

    def __exit__(self, *raised: Any) -> None:
        if self._ahead:
            self._ahead[1].stop_channels()
        super().__exit__(*raised)

    def start_kernel(self) -> None:
        """Starts the kernel of the next notebook, and has it import what takes seconds, without waiting for either."""
        kernel = self.post("api/kernels", name=KERNEL)["id"]
        self._ahead = kernel, self.client(kernel)
        self._ahead[1].execute(IMPORTS, silent=True)

    def start_session(self, path: str) -> BlockingKernelClient | None:
        """Gives that kernel, if there is one, to the notebook of a path, whose page will find it running."""
        if self._ahead is None:
            return None
        (kernel, client), self._ahead = self._ahead, None
        self.post("api/sessions", path=path, name=path, type="notebook", kernel={"id": kernel})
        return client

    def client(self, kernel: str) -> BlockingKernelClient:
        """A connection to a kernel that was started."""
        client = BlockingKernelClient(connection_file=str(self.runtime / f"kernel-{kernel}.json"))
        client.load_connection_file()
        client.start_channels()
        return client

    def post(self, path: str, /, **asked: Any) -> Any:
        """What the server answers to a request of its interface for programs."""
        request = urllib.request.Request(self.url(path), json.dumps(asked).encode(), method="POST")
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
            return json.load(answer)

    def forget_settings(self) -> None:
        """Takes back what notebooks before have set for all that follow, such as a dark theme."""
        shutil.rmtree(self.settings, ignore_errors=True)
        for name, values in SETTINGS.items():
            file = self.settings / f"{name}.jupyterlab-settings"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(values))

    def script(self) -> str:
        return "from jupyterlab.labapp import main\nmain()"

    def arguments(self) -> list[str]:
        arguments = ["--no-browser", "--ip=127.0.0.1", f"--port={self.port}", "--ServerApp.port_retries=0"]
        arguments += [f"--IdentityProvider.token={TOKEN}", f"--ServerApp.root_dir={self.root}"]
        arguments += ["--expose-app-in-browser", "--JupyterNotebookApp.expose_app_in_browser=True"]
        return arguments + ["--allow-root"] * (os.getuid() == 0)

    def url(self, path: str) -> str:
        return f"{super().url(path)}{'&' if '?' in path else '?'}token={TOKEN}"


class Notebook:
    """One notebook on a page of its own, with its kernel; `cells` are sources of code.

    By default JupyterLab hands what widgets send to a thread beside the one that runs the cells, where the kernel has
    such subshells: ipykernel has them since 7.
    """

    def __init__(
        self,
        server: Server,
        context: BrowserContext,
        name: str,
        cells: list[str],
        host: Host = "lab",
        subshells: Subshells = "perCommTarget",
    ) -> None:
        self.server, self.name, self.host, self.path = server, name, host, server.root / f"{name}.ipynb"
        written = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
        written.metadata.kernelspec = {"name": KERNEL, "display_name": KERNEL, "language": "python"}
        nbformat.write(written, self.path)
        server.forget_settings()
        self._client = server.start_session(self.path.name)
        self._devtools: CDPSession | None = None
        self.page: Page = context.new_page()
        self.page.set_default_timeout(TIMEOUT * 1000)
        self.open()
        self.wait_until_idle()
        # before there is any widget: JupyterLab goes on sending to the subshell that it has closed
        self.in_lab(f"kernel.commsOverSubshells = {subshells!r}")
        self.run_all()

    def open(self) -> None:
        """Loads the page anew; a workspace of its own keeps other pages' tabs away."""
        lab = f"lab/workspaces/{self.name}/tree/{self.name}.ipynb?reset"
        self.page.goto(self.server.url(lab if self.host == "lab" else f"notebooks/{self.name}.ipynb"))
        self.page.wait_for_function("() => window.jupyterapp?.shell.currentWidget?.context?.isReady")
        self.page.evaluate("async () => { await jupyterapp.started; await jupyterapp.restored }")
        self.page.add_style_tag(content=".jp-Notebook { scroll-behavior: auto !important }")

    def reopen(self, views: int) -> None:
        """Loads the page anew until it has found so many widgets.

        JupyterLab gives up on them when a kernel that is slow connects while they are restored: "model not found".
        """
        drawn, lost = self.page.locator(".jp-Notebook .headgrid"), self.page.get_by_text("Error displaying widget")
        for _ in range(5):
            self.open()
            self.wait_until_idle()
            wait_for(f"{views} widgets", lambda: drawn.count() + lost.count() >= views)
            if not lost.count():
                return
        pytest.fail(f"JupyterLab does not find the widgets: {lost.all_inner_texts()}", pytrace=False)

    def in_lab(self, script: str) -> Any:
        """What a script's expression gives on the page, where `panel` is the notebook and `kernel` its connection."""
        return self.page.evaluate(
            f"""async () => {{ const panel = jupyterapp.shell.currentWidget;
            const kernel = panel.sessionContext.session?.kernel; return await ({script}) }}"""
        )

    def command(self, name: str, arguments: dict[str, Any] | None = None) -> Any:
        """Runs one of JupyterLab's own commands."""
        return self.in_lab(f"jupyterapp.commands.execute({json.dumps(name)}, {json.dumps(arguments or {})})")

    def devtools(self, method: str, **parameters: Any) -> Any:
        """What Chromium answers to a message of its DevTools protocol."""
        return self._session().send(method, parameters)

    def on_devtools(self, event: str, told: Callable[[Any], None]) -> None:
        """Calls back for each event of that protocol, whose domain was enabled before."""
        self._session().on(event, told)

    def _session(self) -> CDPSession:
        self._devtools = self._devtools or self.page.context.new_cdp_session(self.page)
        return self._devtools

    def painted(self) -> None:
        """Waits until what the page was asked to draw up to now is drawn."""
        self.page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def wait_until_idle(self) -> None:
        wait_for("an idle kernel", lambda: self.in_lab("kernel?.status") == "idle")

    def run_all(self) -> None:
        self.wait_until_idle()
        if self.command("notebook:run-all-cells") is False:
            outputs = [output for cell in self.in_lab("panel.model.toJSON()")["cells"] for output in cell["outputs"]]
            errors = ["\n".join(output["traceback"]) for output in outputs if output["output_type"] == "error"]
            pytest.fail("a cell raised:\n" + "\n".join(errors), pytrace=False)

    def run(self, expression: str) -> Any:
        """The value of an expression in the kernel, as JSON; what JSON does not know comes as text."""
        asked = {"value": f"__import__('json').dumps({expression}, default=str)"}
        reply = self._kernel().execute("", silent=True, user_expressions=asked, reply=True, timeout=TIMEOUT)
        answer = reply["content"]["user_expressions"]["value"]
        assert answer["status"] == "ok", f"{expression}: {answer.get('ename')}: {answer.get('evalue')}"
        return json.loads(ast.literal_eval(answer["data"]["text/plain"]))

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Has the kernel run a code that starts before the block does, and ends after it.

        What the page sends waits for it in a notebook whose subshells are disabled.
        """
        file = self.server.root / f"{self.name}-is-busy"
        code = f"""
            import pathlib, time
            file = pathlib.Path({str(file)!r})
            file.touch()
            while file.exists(): time.sleep(0.05)
        """
        self._kernel().execute(textwrap.dedent(code), silent=True)
        wait_for("a busy kernel", file.exists)
        try:
            yield
        finally:
            file.unlink()

    def wait_until(self, expression: str, timeout: float = TIMEOUT) -> None:
        wait_for(expression, lambda: self.run(f"bool({expression})"), timeout)

    def _kernel(self) -> BlockingKernelClient:
        self._client = self._client or self.server.client(self.in_lab("kernel.id"))
        return self._client

    def restart_kernel(self) -> None:
        """Restarts it; what runs next runs in the new one."""
        self.wait_until_idle()
        self.in_lab("kernel.restart()")
        self.wait_until_idle()

    def set_theme(self, dark: bool) -> None:
        self.command("apputils:change-theme", {"theme": "JupyterLab Dark" if dark else "JupyterLab Light"})
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
