"""Kernels that begin with torch and transformers imported: copies (`fork`) of one process that has done so.

Each notebook has a process of its own, a real ipykernel that imports headgrid itself. What JupyterLab starts for it is
`start`: it asks the process of `serve` for a copy, passes signals on to it, and ends when it does; the copy ends when
`start` is gone. So a notebook opens two to three seconds sooner.
"""

from __future__ import annotations

import array
import contextlib
import json
import os
import signal
import socket
import sys
import threading
from pathlib import Path

HERE = Path(__file__)


def serve(address: str) -> None:
    """Imports once, and forks for whoever asks; it ends with its standard input, as the tests' other servers do."""
    import ipykernel.kernelapp  # noqa: F401
    import torch  # noqa: F401
    import transformers.models.gpt2.modeling_gpt2
    import transformers.models.llama.modeling_llama  # noqa: F401

    listening = socket.socket(socket.AF_UNIX)
    listening.bind(f"{address}.new")
    listening.listen()
    os.rename(f"{address}.new", address)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the copies: `start` sees their socket close
    os.set_blocking(0, False)
    import selectors

    ready = selectors.DefaultSelector()
    ready.register(listening, selectors.EVENT_READ)
    ready.register(0, selectors.EVENT_READ)
    while True:
        for key, _ in ready.select():
            if key.fileobj == 0:
                return
            asked, _ = listening.accept()
            if os.fork() == 0:
                ready.close()
                listening.close()
                become(asked)
            asked.close()


def become(asked: socket.socket) -> None:
    """In a copy: be the kernel that was asked for."""
    said, files, _, _ = socket.recv_fds(asked, 2**20, 2)
    given = json.loads(said)
    for number, file in enumerate(files, start=1):
        os.dup2(file, number)
    os.setsid()
    os.environ.clear()
    os.environ.update(given["env"])
    os.chdir(given["cwd"])
    sys.path[:] = given["path"]
    sys.argv = ["ipykernel_launcher", "-f", given["file"]]
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    asked.sendall(f"{os.getpid()}\n".encode())

    def end_with_whoever_asked() -> None:
        asked.recv(1)
        os._exit(1)

    threading.Thread(target=end_with_whoever_asked, daemon=True, name="end with whoever asked").start()
    from ipykernel import kernelapp

    try:
        kernelapp.launch_new_instance()
    finally:
        os._exit(0)


def start(address: str, file: str) -> None:
    """What JupyterLab starts: nothing is imported here that takes time."""
    asking = socket.socket(socket.AF_UNIX)
    asking.connect(address)
    given = {"file": file, "cwd": os.getcwd(), "env": dict(os.environ), "path": ["", *sys.path[1:]]}
    socket.send_fds(asking, [json.dumps(given).encode()], array.array("i", [1, 2]))
    with asking.makefile("r") as answers:
        kernel = int(answers.readline())

        def pass_on(number: int, _: object) -> None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(kernel, number)

        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, pass_on)
        answers.read()  # until the kernel has ended


if __name__ == "__main__":
    {"serve": serve, "start": start}[sys.argv[1]](*sys.argv[2:])
