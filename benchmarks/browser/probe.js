// What the benchmark asks a page of JupyterLab: to run the cell and say when it is painted, where a cell lies, when it changed.
(() => {
  const panel = () => jupyterapp.shell.currentWidget;
  const output = () => panel().content.widgets[1].node;
  const wall = (at) => performance.timeOrigin + at;
  /** Resolves after the next frame's rendering is done, so that what a look then finds was in that frame. */
  const framed = () =>
    new Promise((resolve) =>
      requestAnimationFrame(() => {
        const { port1, port2 } = new MessageChannel();
        port1.onmessage = () => resolve();
        port2.postMessage(0);
      }),
    );
  const next = () => new Promise((resolve) => requestAnimationFrame(resolve));
  const center = (box, x = 0.5, y = 0.5) => ({ x: box.x + box.width * x, y: box.y + box.height * y });
  const pixels = (canvas, x, y, width, height) => {
    const box = canvas.getBoundingClientRect();
    const ratio = canvas.width / box.width;
    const at = [(x - box.x) * ratio, (y - box.y) * ratio].map(Math.round);
    return canvas.getContext("2d").getImageData(...at, width, height).data;
  };

  /**
   * Of each contestant: `found`, whether the last of its cells is there, or, where it draws only what is in view, the last
   * of those; and `place`, the middle of a cell on the page.
   */
  const kinds = {
    headgrid: {
      found() {
        const canvas = output().querySelector(".headgrid canvas");
        if (!canvas?.width) return false;
        const { width, height } = canvas;
        // one canvas is drawn at once; what its lower right quarter shows was drawn last
        const corner = canvas.getContext("2d").getImageData(width >> 1, height >> 1, width >> 1, height >> 1).data;
        return corner.some((value) => value > 0);
      },
      place(row, column) {
        const word = (l, h) => output().querySelector(`[role=gridcell][data-word="l${l}h${h}"]`);
        const box = (l, h) => word(l, h)?.getBoundingClientRect();
        const exact = box(row, column);
        if (exact) return center(exact);
        // only the cells about the cursor are elements; the others follow from their distances
        const [a, b] = [box(0, 0), box(1, 0)];
        const here = box(0, column);
        return { x: here.x + here.width / 2, y: a.y + a.height / 2 + row * (b.y - a.y) };
      },
      state: (x, y) => String(pixels(output().querySelector(".headgrid canvas"), x - 1, y - 1, 3, 3)),
    },
    togglebuttons: {
      found({ layers, heads }) {
        const buttons = output().getElementsByClassName("widget-toggle-button");
        return buttons.length === layers * heads && buttons[buttons.length - 1].offsetHeight > 0;
      },
      place(row, column, { heads }) {
        return center(output().getElementsByClassName("widget-toggle-button")[row * heads + column].getBoundingClientRect());
      },
    },
    plotlyfigure: {
      found() {
        const image = output().querySelector(".js-plotly-plot .heatmaplayer image");
        return Boolean(image?.getAttribute("xlink:href") ?? image?.getAttribute("href"));
      },
      place(row, column, { layers, heads }) {
        const box = output().querySelector(".js-plotly-plot .nsewdrag").getBoundingClientRect();
        return center(box, (column + 0.5) / heads, (row + 0.5) / layers);
      },
    },
    bqplotgrid: {
      found({ layers, heads }) {
        const cells = output().getElementsByClassName("heatmapcell");
        return cells.length === layers * heads && cells[cells.length - 1].getBoundingClientRect().width > 0;
      },
      place(row, column, { heads }) {
        return center(output().getElementsByClassName("heatmapcell")[row * heads + column].getBoundingClientRect());
      },
    },
    datagrid: {
      found({ layers, heads }) {
        const canvas = output().querySelector(".lm-DataGrid-viewport canvas");
        if (!canvas?.width) return false;
        const view = canvas.parentElement.getBoundingClientRect();
        const last = this.place(layers - 1, heads - 1);
        const x = Math.min(last.x, view.right - 22);
        const y = Math.min(last.y, view.bottom - 22);
        // the last cell in view has its lines and its number, which are not the color of the ground
        const seen = pixels(canvas, x - 11, y - 11, 23, 23);
        return new Set(new Uint32Array(seen.buffer)).size > 1;
      },
      place(row, column) {
        const canvas = output().querySelector(".lm-DataGrid-viewport canvas");
        const box = canvas.parentElement.getBoundingClientRect();
        return { x: box.x + 44 + 22 * column + 11, y: box.y + 22 + 22 * row + 11 };
      },
    },
  };

  kinds.headgridlive = kinds.headgrid;

  const happened = {};
  for (const type of ["pointerdown", "pointerup", "keydown"])
    window.addEventListener(type, (event) => event.isTrusted && (happened[type] = wall(event.timeStamp)), true);

  window.bench = {
    wall: () => wall(performance.now()),
    events: () => happened,

    /** Runs the second cell; milliseconds from then until its data came and until its last cell was painted. */
    async show(kind, shape, limit) {
      panel().content.activeCellIndex = 1;
      const { kernel } = panel().sessionContext.session;
      const at = {};
      let failed = "";
      const listen = (_, { msg, direction }) => {
        if (direction !== "recv") return;
        const type = msg.header.msg_type;
        if (type === "comm_open") {
          at.opened ??= performance.now();
          at.known = performance.now();
        }
        if (type === "execute_result" || type === "display_data") at.displayed ??= performance.now();
        if (type === "error") failed = msg.content.traceback.join("\n");
      };
      kernel.anyMessage.connect(listen);
      const start = performance.now();
      jupyterapp.commands.execute("notebook:run-cell");
      let found = false;
      while (!found && !failed && performance.now() - start < limit) {
        await framed();
        found = at.displayed !== undefined && kinds[kind].found(shape);
      }
      const seen = performance.now();
      await next();
      const painted = performance.now();
      kernel.anyMessage.disconnect(listen);
      const since = (time) => (time === undefined ? null : time - start);
      return {
        found,
        failed,
        opened: since(at.opened),
        known: since(at.known),
        displayed: since(at.displayed),
        seen: since(seen),
        painted: since(painted),
      };
    },

    top: () => output().scrollIntoView({ block: "start", behavior: "instant" }),

    /** Whether cells can be found, which is a moment after they are painted where elements come later. */
    ready: (kind) => !kind.startsWith("headgrid") || output().querySelector("[role=gridcell]") !== null,

    place: (kind, row, column, shape) => kinds[kind].place(row, column, shape),

    /** The next press on a head: milliseconds until the Live tab shows its pattern, painted; null where it never does. */
    pattern(word, limit) {
      // the heading of a pattern is empty where it is that of the head which the inspector names above; before a head is
      // looked at there is no such tab
      const isShown = () => {
        const inspector = output().querySelector(".hg-inspector");
        const live = inspector.querySelector(".hg-live-tab");
        return (
          live !== null &&
          live.offsetParent !== null &&
          inspector.querySelector(".hg-word")?.textContent === word &&
          !live.querySelector("section.hg-pattern").hidden &&
          live.querySelector(".hg-pattern-head .hg-word").textContent === ""
        );
      };
      const until = async ({ timeStamp }) => {
        while (!isShown()) {
          if (performance.now() - timeStamp > limit) return null;
          await framed();
        }
        await next();
        return performance.now() - timeStamp;
      };
      // what is thrown within is thrown where the promise is awaited: it would be waited for without end otherwise
      return new Promise((resolve) => {
        const begin = (event) => resolve(until(event));
        window.addEventListener("pointerdown", begin, { capture: true, once: true });
      });
    },

    /** Milliseconds from the choice of patterns until the last cell has one, and until it is said that they will come. */
    async thumbnails(last, limit) {
      const menu = [...output().querySelectorAll("select")].find((one) => one.querySelector("[value=patterns]"));
      const note = output().querySelector(".hg-patterns-note");
      const isDrawn = () => {
        // a cell has several colors where a border runs through its middle, too, while cells change their size
        if (!note.textContent.includes("tokens:")) return false;
        const cell = output().querySelector(`[role=gridcell][data-word="${last}"]`)?.getBoundingClientRect();
        if (!cell) return false;
        const [x, y] = [cell.x + cell.width / 4, cell.y + cell.height / 4];
        const canvas = output().querySelector(".hg-viewport canvas");
        const ratio = canvas.width / canvas.getBoundingClientRect().width;
        const size = [cell.width / 2, cell.height / 2].map((side) => Math.round(side * ratio));
        return new Set(new Uint32Array(pixels(canvas, x, y, ...size).buffer)).size > 1;
      };
      if (isDrawn()) throw new Error("there are patterns already");
      menu.value = "patterns";
      const start = performance.now();
      let told = null;
      menu.dispatchEvent(new Event("change", { bubbles: true }));
      while (!isDrawn()) {
        if (performance.now() - start > limit) return null;
        if (note.textContent) told ??= performance.now() - start;
        await framed();
      }
      await next();
      return { drawn: performance.now() - start, told };
    },

    /** Keeps what moved on the page from now on, however it came to move. */
    watchShifts() {
      window.shifts = [];
      const keep = (list) =>
        shifts.push(
          ...list.getEntries().map(({ value, sources, hadRecentInput }) => ({
            value,
            hadRecentInput,
            isOurs: sources.some(({ node }) => output().contains(node)),
          })),
        );
      new PerformanceObserver(keep).observe({ type: "layout-shift" });
    },

    /** After the next event of a type: how many frames, and milliseconds, until the pixels about a point are others. */
    changed(kind, type, x, y) {
      const { state } = kinds[kind];
      const before = state(x, y);
      return new Promise((resolve) => {
        const begin = async (event) => {
          if (!event.isTrusted) return;
          window.removeEventListener(type, begin, true);
          let frames = 0;
          while (state(x, y) === before && frames < 600) {
            await framed();
            frames++;
          }
          const seen = performance.now();
          await next();
          resolve({ frames, seen: seen - event.timeStamp, painted: performance.now() - event.timeStamp });
        };
        window.addEventListener(type, begin, true);
      });
    },
  };
})();
