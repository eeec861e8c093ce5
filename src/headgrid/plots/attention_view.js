// biome-ignore lint/correctness/noUnusedVariables: the page calls it
function view(id, style, content) {
  const CELL = 56,
    SIDE = 360,
    GAMMA = 0.5;
  const make = (tag, attributes = {}, ...children) => {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    node.append(...children);
    return node;
  };
  const rgb = (hex) => [1, 3, 5].map((i) => Number.parseInt(hex.slice(i, i + 2), 16));
  const luminance = (channels) => {
    const [r, g, b] = channels.map((v) =>
      v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4,
    );
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };

  /* The luminance of the first opaque background behind an element; shadow hosts are crossed. */
  const isDark = (host) => {
    for (let node = host.parentNode; node; node = node.parentNode || node.host) {
      if (!(node instanceof Element)) continue;
      const [r, g, b, a = 1] = (getComputedStyle(node).backgroundColor.match(/[\d.]+/g) || []).map(Number);
      if (a > 0.5 && b !== undefined) return luminance([r, g, b]) < 0.18;
    }
    const said = `${document.documentElement.className} ${document.body.className}`;
    if (/\b(dark|vscode-high-contrast)\b/i.test(said)) return true;
    return (
      getComputedStyle(document.documentElement).colorScheme.includes("dark") &&
      matchMedia("(prefers-color-scheme: dark)").matches
    );
  };

  /* The bytes of one pattern, [query, key], 255 times the root of the attention. */
  const unpacked = ({ bytes, triangle }, nQueries, nKeys) => {
    const text = atob(bytes);
    const found = new Uint8Array(nQueries * nKeys);
    for (let i = 0, at = 0; i < nQueries; i++) {
      const n = triangle ? i + 1 : nKeys;
      for (let j = 0; j < n; j++) found[i * nKeys + j] = text.charCodeAt(at++);
    }
    return found;
  };

  for (const host of document.querySelectorAll(`[id="${id}"]`)) if (!host.shadowRoot) start(host);

  function start(host) {
    const shadow = host.attachShadow({ mode: "open" });
    host.replaceChildren();
    const root = make("div", { class: "root", role: "group", "aria-label": content.title });
    shadow.append(make("style", {}, style), root);
    for (const name of ["keydown", "keypress", "keyup"])
      root.addEventListener(name, (event) => event.stopPropagation());

    const names = Object.keys(content.rows[0].patterns);
    const now = { row: 0, head: names[0], to: true, token: -1, other: -1, inKeys: false, locked: false };
    let ramp = [];
    const cache = new Map();

    const stackOf = (head) => content.stacks[head] ?? content.stacks[names[0]];
    const row = () => content.rows[now.row];
    const queriesOf = (head) => row().tokens[stackOf(head)];
    const keysOf = (head) => (stackOf(head) === "cross" ? row().tokens.encoder : queriesOf(head));
    const isCross = () => stackOf(now.head) === "cross";
    const patternOf = (head) => {
      const key = `${now.row} ${head}`;
      if (!cache.has(key)) {
        if (cache.size > 400) cache.clear();
        cache.set(key, unpacked(row().patterns[head], queriesOf(head).length, keysOf(head).length));
      }
      return cache.get(key);
    };
    const causal = (head) => row().patterns[head].triangle;

    /* ---- what stands there */

    const rowChoice = make("select", { "aria-label": "Row of the task" });
    for (const [i, one] of content.rows.entries())
      rowChoice.append(make("option", { value: i }, `row ${one.row}`));
    const sides = ["attends to", "is attended by"].map((text, i) =>
      make(
        "button",
        { type: "button", role: "radio", "aria-checked": i === 0, tabindex: i === 0 ? 0 : -1 },
        text,
      ),
    );
    const side = make(
      "div",
      { class: "switch", role: "radiogroup", "aria-label": "What the colors show" },
      ...sides,
    );
    const header = make(
      "header",
      {},
      make(`h${content.level}`, { class: "title" }, content.title),
      make("span", { class: "fill" }),
    );
    if (content.rows.length > 1) header.append(rowChoice);
    header.append(make("span", { class: "choice" }, "the token", side));
    const tabs = make("div", { class: "heads", role: "tablist", "aria-label": "Heads" });
    const thumbs = names.map((name, i) => {
      const button = make(
        "button",
        { type: "button", role: "tab", id: `tab${i}`, "aria-controls": "panel" },
        make("canvas", { "aria-hidden": "true" }),
        name,
      );
      tabs.append(button);
      return button;
    });
    const canvas = make("canvas", { role: "img" });
    const bars = [make("i"), make("i")];
    const matrix = make(
      "figure",
      { class: "matrix" },
      make("div", {}, canvas, ...bars),
      make("figcaption", {}, "down: queries; across: keys"),
    );
    const lists = [
      make("div", { class: "tokens", role: "listbox" }),
      make("div", { class: "tokens", role: "listbox" }),
    ];
    const titles = [make("h4"), make("h4")];
    const status = make("p", { class: "status", role: "status" });
    const texts = make("div", { class: "texts" }, titles[0], lists[0], titles[1], lists[1], status);
    const panel = make("div", { class: "main", role: "tabpanel", id: "panel" }, matrix, texts);
    const bar = make("canvas", { "aria-hidden": "true" });
    const scale = make(
      "div",
      { class: "scale", role: "img", "aria-label": "The scale of colors, from attention 0 to 1" },
      bar,
    );
    for (const at of [0, 0.1, 0.25, 0.5, 1])
      scale.append(make("span", { style: `left:${100 * at ** GAMMA}%`, "aria-hidden": "true" }, String(at)));
    root.append(header);
    if (names.length > 1) root.append(tabs);
    root.append(
      panel,
      make(
        "footer",
        {},
        scale,
        make(
          "span",
          {},
          "Point at a token, or move with the arrow keys. Click or Enter locks it, Escape unlocks.",
        ),
      ),
    );
    for (const note of content.notes) root.append(make("p", { class: "notes" }, note));

    /* ---- drawing */

    /* A picture of at most so many pixels: each is the largest value of what it stands for, so that no line fades. */
    function picture(node, head, most) {
      const [n, m, values] = [queriesOf(head).length, keysOf(head).length, patternOf(head)];
      const [h, w] = [Math.min(n, most), Math.min(m, most)];
      const largest = new Int16Array(h * w).fill(-1);
      const columns = Uint16Array.from({ length: m }, (_, j) => Math.floor((j * w) / m));
      for (let i = 0; i < n; i++) {
        const at = Math.floor((i * h) / n) * w;
        const end = causal(head) ? i + 1 : m;
        for (let j = 0; j < end; j++) {
          const to = at + columns[j];
          if (values[i * m + j] > largest[to]) largest[to] = values[i * m + j];
        }
      }
      const pixels = new ImageData(w, h);
      largest.forEach((v, i) => {
        if (v >= 0) pixels.data.set([...ramp[v], 255], 4 * i);
      });
      [node.width, node.height] = [w, h];
      node.getContext("2d").putImageData(pixels, 0, 0);
    }

    function drawMatrix() {
      const [n, m] = [queriesOf(now.head).length, keysOf(now.head).length];
      picture(canvas, now.head, SIDE);
      const cell = Math.min(16, SIDE / Math.max(n, m));
      canvas.style.width = `${Math.round(cell * m)}px`;
      canvas.style.height = "auto";
      canvas.style.aspectRatio = `${m} / ${n}`;
      canvas.setAttribute(
        "aria-label",
        `Attention pattern of ${now.head}: ${n} queries down, ${m} keys across`,
      );
    }

    function drawThumbs() {
      thumbs.forEach((button, i) => {
        picture(button.firstChild, names[i], CELL);
        const chosen = names[i] === now.head;
        button.setAttribute("aria-selected", chosen);
        button.tabIndex = chosen ? 0 : -1;
      });
      panel.setAttribute("aria-labelledby", `tab${names.indexOf(now.head)}`);
    }

    function listTokens() {
      const words = isCross() ? [queriesOf(now.head), keysOf(now.head)] : [queriesOf(now.head), []];
      lists.forEach((list, i) => {
        list.replaceChildren(
          ...words[i].map((word, j) => {
            const node = make("span", { role: "option", "data-at": j, tabindex: -1 });
            const shown = word.replace(/^ +| +$/g, (blanks) => "\u2423".repeat(blanks.length));
            if (shown === word) node.append(word);
            else
              node.append(
                ...shown
                  .split(/(\u2423+)/)
                  .map((part) =>
                    part[0] === "\u2423"
                      ? make(
                          "b",
                          {},
                          word.startsWith(" ") && shown.length > 1 && part === "\u2423" ? "" : part,
                        )
                      : part,
                  ),
              );
            return node;
          }),
        );
        list.hidden = titles[i].hidden = !words[i].length;
        titles[i].hidden ||= !isCross();
        list.setAttribute("aria-label", isCross() ? ["Queries", "Keys"][i] : "Tokens");
        titles[i].textContent = ["Queries: tokens of the decoder", "Keys: tokens of the encoder"][i];
      });
      side.parentNode.hidden = isCross();
    }

    /* ---- the token that is looked at */

    const asQuery = () => (isCross() ? !now.inKeys : now.to);
    function values() {
      const [n, m, found] = [queriesOf(now.head).length, keysOf(now.head).length, patternOf(now.head)];
      if (asQuery()) return Array.from(found.subarray(now.token * m, (now.token + 1) * m));
      return Array.from({ length: n }, (_, i) => found[i * m + now.token]);
    }

    const attention = (v) => (v / 255) ** 2;
    const written = (v, digits) =>
      attention(v) < 0.01 ? String(Number(attention(v).toPrecision(1))) : attention(v).toFixed(digits);
    const inks = [];
    const shown = new WeakMap();
    const color = (node, v) => {
      if (shown.get(node) === v) return;
      shown.set(node, v);
      node.style.backgroundColor = v ? `rgb(${ramp[v]})` : "";
      node.style.color = v ? inks[v] : "";
    };
    let marked = [];
    function paint() {
      const own = lists[isCross() && now.inKeys ? 1 : 0];
      const painted = isCross() ? lists[now.inKeys ? 0 : 1] : own;
      const level = values();
      if (painted !== own) for (const node of own.children) color(node, 0);
      for (const [j, node] of [...painted.children].entries()) color(node, level[j]);
      for (const node of marked) {
        node.className = "";
        node.tabIndex = -1;
        node.setAttribute("aria-selected", "false");
      }
      const here = own.children[now.token];
      marked = [here];
      for (const list of lists) {
        if (list === own || !list.firstChild) continue;
        list.firstChild.tabIndex = 0;
        marked.push(list.firstChild);
      }
      here.className = now.locked ? "at locked" : "at";
      here.tabIndex = 0;
      here.setAttribute("aria-selected", "true");
      say(level);
      mark();
    }

    const wordsOf = (query) => (query ? queriesOf(now.head) : keysOf(now.head));
    function say(level) {
      const best = level
        .map((v, j) => [v, j])
        .filter(([v]) => v > 0)
        .sort((a, b) => b[0] - a[0] || a[1] - b[1])
        .slice(0, 5);
      const others = wordsOf(!asQuery());
      const listed =
        best.map(([v, j]) => `${others[j].trim() || "\u2423"} (${j}) ${written(v, 2)}`).join(",  ") ||
        "nothing";
      const own = wordsOf(asQuery())[now.token].trim() || "\u2423";
      const pair =
        now.other >= 0
          ? `  \u2022  ${others[now.other].trim() || "\u2423"} (${now.other}): ${written(level[now.other], 3)}`
          : "";
      status.replaceChildren(
        make("strong", {}, `${own} (${now.token})`),
        make("span", { class: "how" }, asQuery() ? " attends to " : " is attended by "),
        listed,
        pair,
        make("span", { class: "how" }, now.locked ? "  \u2022  locked" : ""),
      );
    }

    function mark() {
      const [n, m] = [queriesOf(now.head).length, keysOf(now.head).length];
      const line = (node, top, left, height, width) => {
        Object.assign(node.style, {
          top: `${100 * top}%`,
          left: `${100 * left}%`,
          height: `${100 * height}%`,
          width: `${100 * width}%`,
        });
      };
      if (asQuery()) line(bars[0], now.token / n, 0, 1 / n, 1);
      else line(bars[0], 0, now.token / m, 1, 1 / m);
      bars[1].hidden = now.other < 0;
      bars[1].style.display = now.other < 0 ? "none" : "";
      if (asQuery()) line(bars[1], 0, now.other / m, 1, 1 / m);
      else line(bars[1], now.other / n, 0, 1 / n, 1);
    }

    /* Scrolls the list, and nothing around it, to the token that is looked at. */
    function reveal() {
      const list = lists[isCross() && now.inKeys ? 1 : 0];
      const [box, token] = [list.getBoundingClientRect(), list.children[now.token].getBoundingClientRect()];
      if (token.top < box.top) list.scrollTop -= box.top - token.top + 4;
      else if (token.bottom > box.bottom) list.scrollTop += token.bottom - box.bottom + 4;
    }

    // biome-ignore lint/correctness/noUnusedVariables: it is read where it is assigned
    let frame = 0;
    function look(token, inKeys = false, other = -1) {
      if (token === now.token && inKeys === now.inKeys && other === now.other) return;
      Object.assign(now, { token, inKeys, other });
      frame ||= requestAnimationFrame(() => {
        frame = 0;
        paint();
        if (other >= 0) reveal();
      });
    }
    const lock = (locked) => {
      now.locked = locked;
      paint();
    };

    function all() {
      listTokens();
      now.inKeys = now.inKeys && isCross();
      const n = wordsOf(asQuery()).length;
      if (now.token < 0 || now.token >= n) Object.assign(now, { token: n - 1, other: -1 });
      if (now.other >= wordsOf(!asQuery()).length) now.other = -1;
      drawThumbs();
      drawMatrix();
      paint();
      reveal();
    }

    function choose(head) {
      const [before, stack] = [stackOf(now.head), stackOf(head)];
      now.head = head;
      if (before !== stack) return all();
      drawThumbs();
      drawMatrix();
      paint();
    }

    /* ---- what people do */

    lists.forEach((list, i) => {
      const at = (event) => event.target.closest?.("[data-at]");
      list.addEventListener("pointermove", (event) => {
        const node = at(event);
        if (node && !now.locked) look(Number(node.dataset.at), i === 1);
      });
      list.addEventListener("click", (event) => {
        const node = at(event);
        if (!node) return;
        const token = Number(node.dataset.at);
        const same = now.locked && token === now.token && (i === 1) === now.inKeys;
        Object.assign(now, { token, inKeys: i === 1, other: -1 });
        lock(!same);
        node.focus({ preventScroll: true });
      });
      list.addEventListener("keydown", (event) => {
        const n = list.children.length;
        const from = (i === 1) === now.inKeys || !isCross() ? now.token : 0;
        const to = {
          ArrowRight: from + 1,
          ArrowDown: from + 1,
          ArrowLeft: from - 1,
          ArrowUp: from - 1,
          Home: 0,
          End: n - 1,
          PageDown: from + 10,
          PageUp: from - 10,
        }[event.key];
        if (event.ctrlKey || event.metaKey || event.altKey) return;
        if (to !== undefined) {
          Object.assign(now, { token: Math.max(0, Math.min(n - 1, to)), inKeys: i === 1, other: -1 });
          paint();
          list.children[now.token].focus();
        } else if (event.key === "Enter" || event.key === " ") {
          Object.assign(now, { token: from, inKeys: i === 1 });
          lock(!now.locked);
        } else if (event.key === "Escape") lock(false);
        else return;
        event.preventDefault();
      });
    });
    const inMatrix = (event) => {
      const box = canvas.getBoundingClientRect();
      const place = (v, start, length, n) =>
        Math.max(0, Math.min(n - 1, Math.floor(((v - start) / length) * n)));
      const query = place(event.clientY, box.top, box.height, queriesOf(now.head).length);
      const key = place(event.clientX, box.left, box.width, keysOf(now.head).length);
      return isCross() || now.to ? [query, false, key] : [key, false, query];
    };
    canvas.addEventListener("pointermove", (event) => now.locked || look(...inMatrix(event)));
    canvas.addEventListener("click", (event) => {
      const [token, inKeys, other] = inMatrix(event);
      const same = now.locked && token === now.token;
      Object.assign(now, { token, inKeys, other });
      lock(!same);
    });
    canvas.addEventListener("pointerleave", () => now.locked || look(now.token, now.inKeys));

    /* Arrow keys among tabs or radios: the next one is chosen. */
    function arrows(nodes, pick) {
      nodes.forEach((node, i) => {
        node.addEventListener("click", () => pick(i));
        node.addEventListener("keydown", (event) => {
          const n = nodes.length;
          const to = {
            ArrowRight: i + 1,
            ArrowDown: i + 1,
            ArrowLeft: i - 1,
            ArrowUp: i - 1,
            Home: 0,
            End: n - 1,
          }[event.key];
          if (to === undefined) return;
          event.preventDefault();
          const next = (to + n) % n;
          pick(next);
          nodes[next].focus();
        });
      });
    }
    arrows(thumbs, (i) => choose(names[i]));
    arrows(sides, (i) => {
      now.to = i === 0;
      now.other = -1;
      sides.forEach((node, j) => {
        node.setAttribute("aria-checked", i === j);
        node.tabIndex = i === j ? 0 : -1;
      });
      paint();
    });
    rowChoice.addEventListener("change", () => {
      Object.assign(now, { row: Number(rowChoice.value), token: -1, other: -1, locked: false });
      all();
    });

    /* ---- the theme */

    function follow() {
      const theme = isDark(host) ? "dark" : "light";
      if (host.dataset.theme === theme && ramp.length) return;
      host.dataset.theme = theme;
      const [low, high] = content.colors[theme].map(rgb);
      ramp = Array.from({ length: 256 }, (_, v) =>
        low.map((from, i) => Math.round(from + ((high[i] - from) * v) / 255)),
      );
      ramp.forEach((mixed, v) => {
        inks[v] = luminance(mixed) > 0.179 ? "#000" : "#fff";
      });
      [bar.width, bar.height] = [256, 1];
      const pixels = new ImageData(256, 1);
      for (const [v, mixed] of ramp.entries()) pixels.data.set([...mixed, 255], 4 * v);
      bar.getContext("2d").putImageData(pixels, 0, 0);
      all();
    }
    follow();
    const observer = new MutationObserver(follow);
    for (const node of [document.documentElement, document.body])
      observer.observe(node, { attributes: true });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", follow);
    requestAnimationFrame(follow);
  }
}
