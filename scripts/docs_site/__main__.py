"""Builds the site: `python -m docs_site FOLDER`. What Sphinx warns of, and any link that leads nowhere, is an error."""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from pathlib import Path

from docs_site import gallery, links, reference, staging

ROOT = Path(__file__).parents[2]


def build(site: Path) -> list[str]:
    """Writes the site into a folder, anew, and says what is wrong with it: nothing, in the end.

    Beside the folder stands `<name>-sources`, with what Sphinx reads: pages that are as they were are not read again.
    """
    from sphinx.cmd.build import main as sphinx_build

    sources, kept = site.with_name(f"{site.name}-sources"), site.with_name(f"{site.name}-doctrees")
    shutil.rmtree(site, ignore_errors=True)  # what is no page any more must not stay
    staging.stage(ROOT, sources)
    reference.write(sources / "reference")
    gallery.write(sources / "_pages" / "grids")
    arguments = ["-b", "html", "-q", "-n", "-W", "--keep-going", "-d", str(kept), str(sources), str(site)]
    if sphinx_build(arguments):
        return ["Sphinx has warned of something: see above"]
    return links.faults(site)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="docs_site", description=__doc__)
    parser.add_argument("folder", type=Path, help="where the site is written")
    site = parser.parse_args().folder.resolve()
    start = time.monotonic()
    found = build(site)
    if found:
        print("headgrid: the site has faults:", *found, sep="\n  ", file=sys.stderr)
        return 1
    pages = len(list(site.rglob("*.html")))
    print(f"{pages} pages in {time.monotonic() - start:.0f} s: open {site / 'index.html'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
