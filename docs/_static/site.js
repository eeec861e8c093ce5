// What scrolls sideways by itself is reached by keys too.
for (const node of document.querySelectorAll(".table-wrapper, .highlight pre, .output, .cell_output pre, .math")) {
  if (node.scrollWidth > node.clientWidth && !node.hasAttribute("tabindex")) {
    node.tabIndex = 0;
    if (!node.hasAttribute("role")) node.setAttribute("role", "region");
    if (!node.hasAttribute("aria-label")) node.setAttribute("aria-label", "wide content");
  }
}
