"""headgrid's grid in JupyterLab beside what else a user would build: one command, one run, everybody in turn.

    .venv/bin/pip install -r benchmarks/browser/requirements.txt   # once; a copy of .venv does as well
    .venv/bin/python benchmarks/browser                            # the race, 15 to 30 minutes
    .venv/bin/python benchmarks/browser --targets                  # headgrid alone, beside what it promises
    .venv/bin/python benchmarks/browser --live                     # what heads of a live model do on a text, likewise

It starts one JupyterLab and one Chromium (`apt-get install chromium`); each contestant has its own page and kernel.
The first time at a size counts bytes and is not timed; after that all of them are shown, clicked and brushed in turn.
Numbers are medians. `(x 3)` is how many times headgrid's number that is. Frames are the processor's time of the page's
main thread, and their ratio is that of the 95th percentiles.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from dataclasses import asdict
from pathlib import Path

import live
import race
import tables
import targets
from contestants import CONTESTANTS, Contestant
from playwright.sync_api import sync_playwright
from stage import FLAGS, HERE, VIEWPORT, Server, chromium

from headgrid.utils import files


def size(text: str) -> tuple[int, int]:
    layers, _, heads = text.partition("x")
    if not (layers.isdigit() and heads.isdigit() and min(int(layers), int(heads)) >= 12):
        raise argparse.ArgumentTypeError(f"{text!r} is no size: write layers x heads, such as 80x64, both at least 12")
    return int(layers), int(heads)


def asked() -> argparse.Namespace:
    assert __doc__
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = [who.kind for who in CONTESTANTS]
    sizes = [(12, 12), (32, 32), (80, 64), (126, 128)]
    parser.add_argument("--sizes", nargs="+", type=size, default=sizes, help="layers x heads, smallest first")
    parser.add_argument("--peers", nargs="+", choices=kinds, default=kinds, help="who takes part")
    parser.add_argument("--repeats", type=int, default=5, help="how often each is shown, clicked and brushed; 5")
    parser.add_argument("--targets", action="store_true", help="headgrid alone, at 126 x 128 with experts")
    parser.add_argument("--live", action="store_true", help="headgrid alone, a live model on a text")
    parser.add_argument("--json", type=Path, help="a file for all numbers of which the table is made")
    return parser.parse_args()


def present(kinds: list[str]) -> list[Contestant]:
    contestants = [who for who in CONTESTANTS if who.kind in kinds]
    missing = [who.package for who in contestants if not who.version]
    if missing:
        raise SystemExit(
            f"{', '.join(missing)} not installed here: pip install -r {HERE / 'requirements.txt'}, "
            f"or name those that are: --peers {' '.join(who.kind for who in contestants if who.version)}"
        )
    return contestants


def load() -> str:
    return " / ".join(f"{part:.1f}" for part in os.getloadavg())


def main() -> None:
    options = asked()
    contestants = present(["headgrid"] if options.targets or options.live else options.peers)
    before, found = load(), {}
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home,
        Server(Path(home) / "lab") as server,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        context = browser.new_context(viewport=VIEWPORT, service_workers="block")
        print(f"Chromium {browser.version}, " + ", ".join(f"{who.package} {who.version}" for who in contestants))
        if options.targets:
            print(targets.table(targets.measure(server, context, options.repeats)))
        elif options.live:
            print(live.table(live.measure(server, context, options.repeats)))
        else:
            found = race.race(server, context, contestants, options.sizes, options.repeats)
            print(tables.table(found))
        browser.close()
    print(f"{os.cpu_count()} cores; load of the last 1 / 5 / 15 minutes: {before} before, {load()} after")
    if options.json and found:
        rows = {f"{a} x {b}": {kind: asdict(it) for kind, it in took.items()} for (a, b), took in found.items()}
        files.write(options.json, json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
