"""The thread beside the message loop. No test waits for time to pass: jobs stand still until they are let go."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator

import pytest
import torch

from headgrid.circuits.progress import Cancelled
from headgrid.widget.compute import worker as module
from headgrid.widget.compute.worker import Turn, Worker

SOON = 30.0


@pytest.fixture
def worker() -> Iterator[Worker]:
    worker = Worker()
    yield worker
    worker.close()


class Gate:
    """A job that says that it has begun, and goes on when it is let."""

    def __init__(self, then: Callable[[Turn], None] = lambda turn: None) -> None:
        self.begun, self.go, self.then = threading.Event(), threading.Event(), then

    def __call__(self, turn: Turn) -> None:
        self.begun.set()
        assert self.go.wait(SOON)
        self.then(turn)


def unexpected(error: Exception) -> None:
    raise AssertionError(f"the job failed: {error!r}")


def test_what_a_job_finds_is_delivered(worker: Worker) -> None:
    shown: list[int] = []
    worker.submit("focus", lambda turn: turn.show(lambda: shown.append(1)), unexpected)
    assert worker.join_idle(SOON)
    assert shown == [1]


def test_a_stale_answer_never_shows(worker: Worker) -> None:
    shown: list[str] = []
    slow = Gate(lambda turn: turn.show(lambda: shown.append("slow")))
    worker.submit("focus", slow, unexpected)
    assert slow.begun.wait(SOON)
    worker.submit("focus", lambda turn: turn.show(lambda: shown.append("quick")), unexpected)
    slow.go.set()
    assert worker.join_idle(SOON)
    assert shown == ["quick"]


def test_an_answer_that_waits_for_its_delivery_is_dropped_by_the_next_question(worker: Worker) -> None:
    shown: list[str] = []
    begun = threading.Event()

    def first(turn: Turn) -> None:
        begun.set()
        turn.show(lambda: shown.append("first"))

    with worker.lock:  # the delivery has to wait
        worker.submit("focus", first, unexpected)
        assert begun.wait(SOON)
        worker.submit("focus", lambda turn: turn.show(lambda: shown.append("second")), unexpected)
    assert worker.join_idle(SOON)
    assert shown == ["second"]


def test_a_job_that_waits_is_replaced_and_other_lanes_keep_theirs(worker: Worker) -> None:
    ran: list[str] = []
    gate = Gate()
    worker.submit("focus", gate, unexpected)
    assert gate.begun.wait(SOON)
    for name in ("first", "second"):
        worker.submit("colors", lambda turn, name=name: ran.append(name), unexpected)
    worker.submit("arrows", lambda turn: ran.append("arrows"), unexpected)
    gate.go.set()
    assert worker.join_idle(SOON)
    assert ran == ["arrows", "second"], "the more urgent lane goes first"


def test_a_running_job_is_told_that_nobody_waits_for_it(worker: Worker) -> None:
    ended: list[str] = []

    def scan(turn: Turn) -> None:
        for _ in iter(turn.cancelled, True):
            time.sleep(0)
        ended.append("scan")
        turn.check()
        ended.append("never")

    begun = Gate(scan)
    begun.go.set()
    worker.submit("colors", begun, unexpected)
    assert begun.begun.wait(SOON)
    worker.cancel("colors")
    assert worker.join_idle(SOON)
    assert ended == ["scan"]


def test_a_click_is_answered_in_the_middle_of_a_scan(worker: Worker) -> None:
    shown: list[str] = []
    answered = threading.Event()

    def scan(turn: Turn) -> None:
        while not answered.is_set():
            turn.check()
        turn.show(lambda: shown.append("scan"))

    def click(turn: Turn) -> None:
        turn.show(lambda: shown.append("click"))
        answered.set()

    gate = Gate(scan)
    worker.submit("colors", gate, unexpected)
    gate.go.set()
    assert gate.begun.wait(SOON)
    worker.submit("focus", click, unexpected)
    assert worker.join_idle(SOON)
    assert shown == ["click", "scan"]


def test_what_is_less_urgent_waits_for_what_runs(worker: Worker) -> None:
    order: list[str] = []

    def focus(turn: Turn) -> None:
        turn.check()
        order.append("focus")

    gate = Gate(focus)
    worker.submit("focus", gate, unexpected)
    assert gate.begun.wait(SOON)
    worker.submit("details", lambda turn: order.append("details"), unexpected)
    gate.go.set()
    assert worker.join_idle(SOON)
    assert order == ["focus", "details"]


def test_a_fault_is_handed_over_and_the_next_job_runs(worker: Worker) -> None:
    faults: list[str] = []

    def bad(turn: Turn) -> None:
        raise ValueError("NaN in W_Q")

    worker.submit("focus", bad, lambda error: faults.append(str(error)))
    assert worker.join_idle(SOON)
    worker.submit("focus", lambda turn: faults.append("next"), unexpected)
    assert worker.join_idle(SOON)
    assert faults == ["NaN in W_Q", "next"]


def test_a_job_that_stops_because_it_was_told_to_is_no_fault(worker: Worker) -> None:
    def stopped(turn: Turn) -> None:
        raise Cancelled

    worker.submit("focus", stopped, unexpected)
    assert worker.join_idle(SOON)


def test_a_delivery_that_fails_is_logged_and_ends_nothing(worker: Worker, caplog: pytest.LogCaptureFixture) -> None:
    shown: list[int] = []

    def job(turn: Turn) -> None:
        turn.show(lambda: [][0])
        turn.show(lambda: shown.append(1))

    worker.submit("focus", job, unexpected)
    assert worker.join_idle(SOON)
    assert shown == [1]
    assert "IndexError" in caplog.text


def test_on_a_loop_answers_arrive_on_its_thread(worker: Worker) -> None:
    async def question() -> tuple[threading.Thread, bool]:
        answered: asyncio.Future[tuple[threading.Thread, bool]] = asyncio.get_running_loop().create_future()

        def job(turn: Turn) -> None:
            grad = torch.is_grad_enabled()
            turn.show(lambda: answered.set_result((threading.current_thread(), grad)))

        worker.submit("focus", job, unexpected)
        return await asyncio.wait_for(answered, SOON)

    assert asyncio.run(question()) == (threading.current_thread(), False)


def test_what_a_job_found_before_it_was_cancelled_is_not_shown_after(worker: Worker) -> None:
    shown: list[str] = []

    async def cell() -> None:
        ended = threading.Event()
        worker.submit("colors", lambda turn: turn.show(lambda: shown.append("colors")), unexpected)
        worker.submit("details", lambda turn: ended.set(), unexpected)
        assert ended.wait(SOON)  # the loop is busy with this cell, so nothing is delivered yet
        worker.cancel("colors")
        assert worker.join_idle(SOON)

    asyncio.run(cell())
    assert shown == []


def test_waiting_on_the_loops_own_thread_delivers_as_well(worker: Worker) -> None:
    shown: list[threading.Thread] = []

    async def cell() -> None:
        worker.submit("focus", lambda turn: turn.show(lambda: shown.append(threading.current_thread())), unexpected)
        assert worker.join_idle(SOON)

    asyncio.run(cell())
    assert shown == [threading.current_thread()]


def test_an_answer_outlives_the_loop_in_which_it_was_asked_for(worker: Worker) -> None:
    shown: list[int] = []
    gate = Gate(lambda turn: turn.show(lambda: shown.append(1)))

    async def question() -> None:
        worker.submit("focus", gate, unexpected)

    asyncio.run(question())
    gate.go.set()
    assert worker.join_idle(SOON)
    assert shown == [1]


def test_waiting_in_vain_says_so(worker: Worker) -> None:
    gate = Gate()
    worker.submit("focus", gate, unexpected)
    assert not worker.join_idle(0.0)
    gate.go.set()
    assert worker.join_idle(SOON)


def test_a_closed_worker_shows_nothing_and_takes_nothing_on(worker: Worker) -> None:
    shown: list[str] = []
    gate = Gate(lambda turn: turn.show(lambda: shown.append("late")))
    worker.submit("focus", gate, unexpected)
    assert gate.begun.wait(SOON)
    thread = worker._thread
    worker.close()
    gate.go.set()
    assert thread is not None
    thread.join(SOON)
    assert not thread.is_alive()
    worker.submit("focus", lambda turn: shown.append("never"), unexpected)
    assert worker.join_idle(SOON)
    assert shown == []


def test_an_idle_thread_ends_and_the_next_job_starts_another(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "IDLE", 0.0)
    threads: list[threading.Thread] = []
    for _ in range(2):
        worker.submit("focus", lambda turn: threads.append(threading.current_thread()), unexpected)
        assert worker.join_idle(SOON)
        threads[-1].join(SOON)
        assert not threads[-1].is_alive()
    assert len(threads) == 2


def test_a_job_that_has_ended_is_not_kept_in_memory(worker: Worker) -> None:
    class Large:
        def job(self, turn: Turn) -> None:
            turn.show(lambda: None)

    large = Large()
    gone = threading.Event()
    weakref.finalize(large, gone.set)
    worker.submit("focus", large.job, unexpected)
    assert worker.join_idle(SOON)
    del large
    assert gone.wait(SOON)


@pytest.mark.slow
def test_the_interpreter_ends_in_the_middle_of_a_job() -> None:
    script = """
import threading, torch
from headgrid.widget.compute.worker import Worker
begun = threading.Event()
def job(turn):
    begun.set()
    while True:
        torch.linalg.svd(torch.randn(60, 60))
        turn.check()
worker = Worker()
worker.submit("colors", job, print)
begun.wait()
print("end")
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=SOON * 4)
    assert (done.returncode, done.stdout, done.stderr) == (0, "end\n", "")


def test_a_worker_that_rests_ends_its_thread_and_takes_up_the_next_job(worker: Worker) -> None:
    shown: list[int] = []
    slow = Gate(lambda turn: turn.show(lambda: shown.append(1)))
    worker.submit("colors", slow, unexpected)
    worker.submit("details", Gate(), unexpected)
    assert slow.begun.wait(SOON)
    thread = worker._thread
    assert thread is not None
    worker.rest()
    slow.go.set()
    thread.join(SOON)
    assert (worker._thread, shown) == (None, []), "what was running shows nothing, what waited does not begin"
    worker.submit("focus", lambda turn: turn.show(lambda: shown.append(2)), unexpected)
    assert worker.join_idle(SOON)
    assert shown == [2]


def test_a_job_that_comes_before_the_thread_has_ended_is_done_by_it(worker: Worker) -> None:
    shown: list[int] = []
    slow = Gate()
    worker.submit("colors", slow, unexpected)
    assert slow.begun.wait(SOON)
    worker.rest()
    worker.submit("focus", lambda turn: turn.show(lambda: shown.append(1)), unexpected)
    slow.go.set()
    assert worker.join_idle(SOON)
    assert shown == [1]
