"""How long `import headgrid` takes beyond torch and anywidget, which it needs whatever it does.

Fresh interpreters, the two commands in turn; the median of the differences is printed. Run it as a script.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

RUNS = 9
BASE = "import torch, anywidget"


def seconds(code: str) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - start


def main() -> None:
    seconds(f"{BASE}, headgrid")  # fill the disk cache and write the bytecode
    pairs = [(seconds(BASE), seconds(f"{BASE}, headgrid")) for _ in range(RUNS)]
    base, beyond = statistics.median(a for a, _ in pairs), statistics.median(b - a for a, b in pairs)
    print(f"torch and anywidget: {base:.2f} s; headgrid beyond them: {beyond:.3f} s (medians of {RUNS})")


if __name__ == "__main__":
    main()
