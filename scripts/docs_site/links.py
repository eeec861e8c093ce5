"""Reads every page of a built site, and follows its links: to pages, to files, to anchors. No other host may be asked.

What a browser would load from another host is a fault, whatever asks for it: scripts, style sheets, pictures, frames.
Links that a reader may click lead where they lead, and are not followed.
"""

from __future__ import annotations

import functools
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADED = {
    "script": "src",
    "img": "src",
    "iframe": "src",
    "link": "href",
    "source": "src",
    "video": "src",
    "audio": "src",
}
"""What a browser loads without being asked, and the attribute that says from where."""
NOT_LOADED = ("canonical", "next", "prev", "index", "search", "author", "copyright", "license")
"""Relations of `<link>` that a browser does not load."""
FROM_STYLE = re.compile(r"""(?:url\(|@import)\s*["']?((?:https?:)?//[^"')\s]+)""")


class Links(HTMLParser):
    """What one page links to and loads, and the anchors that it has."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.anchors, self.links, self.loaded = set[str](), list[str](), list[str]()
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """Keeps what one element says."""
        said = {name: value or "" for name, value in attributes}
        self.anchors |= {said[name] for name in ("id", "name") if name in said}
        if tag == "a" and "href" in said:
            self.links.append(said["href"])
        elif tag in LOADED and LOADED[tag] in said and said.get("rel", "") not in NOT_LOADED:
            self.loaded.append(said[LOADED[tag]])


def faults(site: Path) -> list[str]:
    """What is wrong with the links of a site, a line each."""
    site, read, found = site.resolve(), functools.cache(Links), []
    for page in sorted(site.rglob("*.html")):
        name = page.relative_to(site).as_posix()
        for link in read(page).loaded:
            if urlsplit(link).netloc:
                found.append(f"{name} loads {link} from another host")
        for link in (*read(page).links, *read(page).loaded):
            if fault := _fault(site, page, link, read):
                found.append(f"{name} links to {link}: {fault}")
    for sheet in sorted(site.rglob("*.css")):
        elsewhere = FROM_STYLE.findall(sheet.read_text(encoding="utf-8"))
        found += [f"{sheet.relative_to(site).as_posix()} loads {link} from another host" for link in elsewhere]
    return found


def _fault(site: Path, page: Path, link: str, read: functools._lru_cache_wrapper[Links]) -> str | None:
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return None
    target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
    if target.is_dir():
        target /= "index.html"
    if not target.is_relative_to(site):
        return "it leads out of the site"
    if not target.is_file():
        return "there is no such file"
    if parts.fragment and unquote(parts.fragment) not in read(target).anchors:
        return "the page has no such anchor"
    return None
