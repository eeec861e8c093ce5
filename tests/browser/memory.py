"""What a page and a kernel hold, once what nobody needs any more is collected."""

from __future__ import annotations

from dataclasses import dataclass

from .jupyterlab import Notebook

WATCH = """
import gc, threading, tracemalloc


def watch():
    gc.collect()
    gc.freeze()  # what is there now, such as all that torch imports, is not looked through again
    tracemalloc.start()


def held():
    shell = get_ipython()
    shell.kernel.session.digest_history.clear()  # a kernel keeps signatures of the last 65,536 messages
    shell.history_manager.outputs.clear()  # and IPython what each cell has shown, the picture of a grid too
    for _ in range(3):
        gc.collect()
    return tracemalloc.get_traced_memory()[0], threading.active_count()
"""
"""A cell that lets `measure` ask its kernel, which is several times slower once it watches what Python allocates."""


@dataclass(frozen=True)
class Held:
    """What is held: bytes of JavaScript, DOM nodes, event listeners; bytes of Python and its threads."""

    heap: int
    nodes: int
    listeners: int
    python: int
    threads: int

    def __sub__(self, other: Held) -> Held:
        return Held(*(getattr(self, name) - getattr(other, name) for name in self.__dataclass_fields__))


def measure(notebook: Notebook) -> Held:
    """What the page and the kernel of a notebook hold. Its cells have to include `WATCH`, and to call `watch`."""
    notebook.wait_until_idle()
    notebook.devtools("Performance.enable")
    for _ in range(3):  # what a finalizer lets go of is collected the next time
        notebook.devtools("HeapProfiler.collectGarbage")
    found = {one["name"]: int(one["value"]) for one in notebook.devtools("Performance.getMetrics")["metrics"]}
    python, threads = notebook.run("held()")
    return Held(found["JSHeapUsedSize"], found["Nodes"], found["JSEventListeners"], python, threads)
