"""A thread beside the kernel's message loop, for what takes longer than a click may.

Jobs come by lane. A new job replaces its lane's waiting one and stops its running one: only the last question of each
lane matters. Where a long job asks whether it was stopped, it first lets more urgent lanes run, so that a click is
answered in the middle of a scan.

What a job found is delivered where its question came in: on the event loop of a kernel, otherwise on the thread itself.
Either way it is dropped if the job was stopped in the meantime, and `Worker.lock` is held: hold it too where you change
what a delivery looks at.
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from functools import partial

from headgrid.circuits.progress import Cancelled
from headgrid.torch_state import shielded

LANES = (
    "exercise", "prompt", "live", "focus", "code", "heads_table", "selected_heads", "arrows", "thumbnails", "colors",
    "effect", "edges", "details", "metrics", "recheck",
)  # fmt: skip
"""The kinds of jobs, the most urgent first: `details` are what nobody waits for, such as token pairs, and
`recheck` sees whether what is shown is still true.
"""

IDLE = 20.0
"""Seconds after which a thread without work ends; the next job starts a new one."""

AT_EXIT = 3.0
"""Seconds that the interpreter waits at its end for jobs that were told to stop."""

_log = logging.getLogger(__name__)
_alive: weakref.WeakSet[Worker] = weakref.WeakSet()


class Turn:
    """One job and what it may do while it runs."""

    def __init__(
        self,
        worker: Worker,
        lane: str,
        job: Callable[[Turn], None],
        failed: Callable[[Exception], None],
        loop: asyncio.AbstractEventLoop | None,
    ) -> None:
        self.lane, self.job, self.failed, self.loop = lane, job, failed, loop
        self.stopped = threading.Event()
        self._worker = worker

    def cancelled(self) -> bool:
        """Whether nobody waits for this job any more; what is more urgent runs first. To be asked often."""
        self._worker._give_way(self)
        return self.stopped.is_set()

    def check(self) -> None:
        """Raise `Cancelled` when nobody waits for this job any more."""
        if self.cancelled():
            raise Cancelled

    def show(self, deliver: Callable[[], None]) -> None:
        """Have something called where the question came in, with `Worker.lock` held, unless the job is stopped."""
        self._worker._deliver(self, deliver)


class Worker:
    """The thread, started with the first job. It holds nothing of a job that has ended.

    Args:
        lock: held while something is delivered; a reentrant one. One of its own by default.
    """

    def __init__(self, lock: threading.RLock | None = None) -> None:
        self.lock = threading.RLock() if lock is None else lock
        self._state = threading.Condition()
        self._waiting: dict[str, Turn] = {}
        self._running: list[Turn] = []  # several, where one has given way to a more urgent one
        # the last of each lane: it may have ended, and what it found still wait for its delivery
        self._last: weakref.WeakValueDictionary[str, Turn] = weakref.WeakValueDictionary()
        self._outbox: deque[tuple[Turn, Callable[[], None]]] = deque()
        self._thread: threading.Thread | None = None
        self._closed = self._resting = False
        _alive.add(self)

    def submit(self, lane: str, job: Callable[[Turn], None], failed: Callable[[Exception], None]) -> None:
        """Have a job done, and the lane's other one dropped.

        Args:
            lane: one of `LANES`.
            job: called on the thread with its `Turn`, `shielded`. It may raise `Cancelled`.
            failed: delivered with what else it raised.
        """
        turn = Turn(self, lane, job, failed, _loop())
        with self._state:
            if self._closed:
                return
            self._stop(lane)
            self._resting = False
            self._waiting[lane] = self._last[lane] = turn
            if self._thread is None or not self._thread.is_alive():  # an interrupt may have come before its start
                self._thread = threading.Thread(target=self._serve, name="headgrid", daemon=True)
                self._thread.start()
            self._state.notify_all()

    def cancel(self, *lanes: str) -> None:
        """Drop what these lanes do or wait for."""
        with self._state:
            for lane in lanes:
                self._stop(lane)
            self._state.notify_all()

    def join_idle(self, timeout: float | None = None) -> bool:
        """Wait until nothing is left to do, and deliver what was found: for scripts and tests.

        Args:
            timeout: in seconds; None waits for as long as it takes.

        Returns:
            Whether everything was done in time.
        """
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            with self._state:
                left = None if end is None else max(0.0, end - time.monotonic())
                idle = self._state.wait_for(lambda: not self._waiting and not self._running, left)
            self._drain()  # this may well be the thread of the loop that would do it otherwise
            with self._state:
                if not idle or not (self._waiting or self._running or self._outbox):
                    return idle

    def rest(self) -> None:
        """Stop everything, and end the thread; the next job starts it again."""
        with self._state:
            self._resting = True
            for lane in LANES:
                self._stop(lane)
            self._state.notify_all()

    def close(self) -> None:
        """Stop everything; nothing is delivered and nothing is taken on any more."""
        with self._state:
            self._closed = True
            for lane in LANES:
                self._stop(lane)
            self._state.notify_all()

    # ---- on the thread

    def _serve(self) -> None:
        while (turn := self._next(LANES, IDLE)) is not None:
            self._take(turn)
            del turn  # it may hold large tensors while the thread waits

    def _next(self, lanes: tuple[str, ...], timeout: float) -> Turn | None:
        """The most urgent job of these lanes; None after a time without any, which ends an idle thread."""
        with self._state:
            self._state.wait_for(
                lambda: self._closed or self._resting or not self._waiting.keys().isdisjoint(lanes), timeout
            )
            turn = next((self._waiting.pop(lane) for lane in lanes if lane in self._waiting), None)
            if turn is not None:
                self._running.append(turn)
            elif not self._running:
                self._thread = None
            return turn

    def _take(self, turn: Turn) -> None:
        try:
            with shielded():  # for each job: a default may have been set since the last one
                turn.job(turn)
        except Cancelled:
            pass
        except Exception as error:
            turn.show(partial(turn.failed, error))
        finally:
            with self._state:
                self._running.remove(turn)
                self._state.notify_all()

    def _give_way(self, turn: Turn) -> None:
        if threading.current_thread() is self._thread:
            while (urgent := self._next(LANES[: LANES.index(turn.lane)], 0.0)) is not None:
                self._take(urgent)

    # ---- where the question came in

    def _deliver(self, turn: Turn, deliver: Callable[[], None]) -> None:
        self._outbox.append((turn, deliver))
        if turn.loop is not None and turn.loop.is_running():
            try:
                turn.loop.call_soon_threadsafe(self._drain)
                return
            except RuntimeError:  # it was closed just now
                pass
        self._drain()

    def _drain(self) -> None:
        with self.lock:
            while self._outbox:
                turn, deliver = self._outbox.popleft()
                if not turn.stopped.is_set():
                    try:
                        deliver()
                    except Exception:  # it would end the thread, or be lost in the loop
                        _log.exception("headgrid could not show what it found")
                    except BaseException:  # an interrupt; it is to be shown all the same
                        self._outbox.appendleft((turn, deliver))
                        if turn.loop is not None and turn.loop.is_running():
                            turn.loop.call_soon_threadsafe(self._drain)
                        raise

    def _stop(self, lane: str) -> None:
        self._waiting.pop(lane, None)
        if (last := self._last.pop(lane, None)) is not None:
            last.stopped.set()


def _loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


@atexit.register
def _end() -> None:
    """Stop all threads: one that is inside torch while the interpreter goes down can crash it."""
    threads = [worker._thread for worker in _alive]
    for worker in list(_alive):
        worker.close()
    end = time.monotonic() + AT_EXIT
    for thread in threads:
        if thread is not None:
            thread.join(max(0.0, end - time.monotonic()))
