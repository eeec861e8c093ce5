"""Servers that end with the tests, the browser that asks them, and how to wait for either."""

from __future__ import annotations

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
from typing import Any, Self
from urllib.error import URLError

import pytest

ARTIFACTS = Path(__file__).parent / "artifacts"
TIMEOUT = 90.0  # seconds; ten times what a quiet machine needs

END_WITH_THE_TESTS = """
import os, signal, sys, threading, time

def end_with_the_tests():
    sys.stdin.read()  # it ends when the tests' process does, killed or not
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(20)
    os._exit(1)  # a server that is ended while it starts a kernel can hang

threading.Thread(target=end_with_the_tests, daemon=True).start()
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


class Serving:
    """A server with nothing of the user's: every folder that it reads or writes is under `home`."""

    name = "the server"
    forgets: tuple[str, ...] = ()  # beginnings of environment variables that it must not see
    alive = ""  # a path that answers once it is up

    def __init__(self, home: Path) -> None:
        self.home, self.root = home, home / "root"
        self._log = home / "server.log"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self.root.mkdir(parents=True)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(self.forgets)}
        self.env = {**kept, "OMP_NUM_THREADS": "1"}

    def script(self) -> str:
        """What starts it."""
        raise NotImplementedError

    def arguments(self) -> list[str]:
        """Its command line."""
        raise NotImplementedError

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}/{path}"

    def __enter__(self) -> Self:
        command = [sys.executable, "-c", END_WITH_THE_TESTS + self.script(), *self.arguments()]
        with self._log.open("wb") as log:
            # A session of its own: Ctrl-C reaches the tests only, and they end the server in order.
            self._process = subprocess.Popen(
                command, env=self.env, stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True
            )
        try:
            wait_for(self.name, self._answers)
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

    def _answers(self) -> bool:
        if self._process.poll() is not None:
            pytest.fail(f"{self.name} ended with {self._process.returncode}:\n{self._log.read_text()[-3000:]}")
        try:
            with urllib.request.urlopen(self.url(self.alive), timeout=5):
                return True
        except (URLError, OSError):
            return False
