// What scrolls sideways by itself is reached by keys too, and the two columns beside the text have names.
for (const node of document.querySelectorAll(".table-wrapper, .highlight pre, .output, .cell_output pre")) {
  if (node.scrollWidth > node.clientWidth && !node.hasAttribute("tabindex")) node.tabIndex = 0;
}
document.querySelector(".sidebar-drawer")?.setAttribute("aria-label", "Pages");
document.querySelector(".toc-drawer")?.setAttribute("aria-label", "On this page");

// Grids are in frames, which follow the system's colors; a reader who chose others for the site has them there too.
// (A browser lets no page into a frame of another file: of a site on a disk, frames stay as the system says.)
const SYSTEM = "(prefers-color-scheme: dark)";
const darkRules = new WeakMap();

function follow(frame) {
  const page = frame.contentDocument;
  if (!page?.body) return;
  if (!darkRules.has(page)) {
    const rules = [...page.styleSheets].flatMap((sheet) => [...sheet.cssRules]);
    darkRules.set(page, rules.filter((rule) => rule.media?.mediaText === SYSTEM));
  }
  const theme = document.body.dataset.theme;
  const [query, scheme] = { dark: ["all", "dark"], light: ["not all", "light"] }[theme] ?? [SYSTEM, "light dark"];
  for (const rule of darkRules.get(page)) rule.media.mediaText = query;
  page.documentElement.style.colorScheme = scheme;
}

const frames = [...document.querySelectorAll(".grid-frame")];
for (const frame of frames) {
  frame.addEventListener("load", () => follow(frame));
  follow(frame);
}
new MutationObserver(() => frames.forEach(follow)).observe(document.body, { attributes: true, attributeFilter: ["data-theme"] });
