// Hands in a page: what `test_soak.py` asks for, done to the grid by events, and seen to by both sides.
// A function of a view's root, and of JupyterLab's connection to the kernel.
(root, kernel) => {
  const grid = root.querySelector("[role=grid]");
  const node = (word) =>
    grid.querySelector(word.startsWith("#") ? `[${word.slice(1)}]` : `[role=gridcell][data-word="${word}"]`);
  const middle = (word) => {
    const box = node(word).getBoundingClientRect();
    return { clientX: box.x + box.width / 2, clientY: box.y + box.height / 2 };
  };
  const point = (type, word, more) => {
    const pointer = { pointerId: 1, pointerType: "mouse", isPrimary: true, button: 0, buttons: 1, bubbles: true };
    grid.dispatchEvent(new PointerEvent(type, { ...pointer, cancelable: true, ...middle(word), ...more }));
  };
  const drag = (from, to, more = {}) => {
    point("pointermove", from, { ...more, buttons: 0 });
    point("pointerdown", from, more);
    if (to !== from) point("pointermove", to, more);
    point("pointerup", to, { ...more, buttons: 0 });
    point("pointerleave", to, { bubbles: false }); // Escape is to clear the selection, and not the card of a hover
  };
  const press = (key, more = {}) =>
    grid.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true, ...more }));
  const python = async (expression) => {
    const asked = { code: "", silent: true, store_history: false, user_expressions: { value: expression } };
    const { content } = await kernel.requestExecute(asked).done;
    const { value } = content.user_expressions;
    if (value.status !== "ok") throw new Error(`${expression}: ${value.evalue}`);
    return JSON.parse(value.data["text/plain"].slice(1, -1).replaceAll("\\'", "'"));
  };
  const shown = () => [...grid.querySelectorAll("[role=gridcell][aria-selected=true]")].map((one) => one.dataset.word);
  const same = (one, other) => JSON.stringify([...one].sort()) === JSON.stringify([...other].sort());

  /** The messages of widgets that the kernel has not done. */
  const underway = new Set();
  kernel.anyMessage.connect((_, { msg, direction }) => {
    if (direction === "send" && msg.header.msg_type === "comm_msg") underway.add(msg.header.msg_id);
    else if (msg.header.msg_type === "status" && msg.content.execution_state === "idle")
      underway.delete(msg.parent_header.msg_id);
  });

  const act = async ({ what, words, key, control, shift, alt }) => {
    if (what === "drag") drag(words[0], words.at(-1), { altKey: Boolean(alt) });
    else if (what === "key") press(key, { ctrlKey: Boolean(control), shiftKey: Boolean(shift) });
    else await python(words);
    await new Promise((done) => setTimeout(done, 0)); // an event each, as those of real hands are
  };
  /** Waits until both sides have these words, or, without words, the same, and nothing is under way. */
  const agreed = async (words) => {
    const end = performance.now() + 30000;
    for (;;) {
      while ((underway.size || (words && !same(shown(), words))) && performance.now() < end)
        await new Promise((done) => setTimeout(done, 1));
      const { held, busy } = await python("state()");
      const seen = shown();
      if (!busy && !underway.size && same(seen, words ?? held) && same(seen, held)) return held;
      if (performance.now() > end) throw new Error(JSON.stringify({ words, seen, held, busy, underway: underway.size }));
      await new Promise((done) => setTimeout(done, 1));
    }
  };
  return { act, agreed };
}
