import { describe, expect, test } from "vitest";
import { escaped, SvgContext, SvgPath } from "../../src/export/svg";

const contextOf = () =>
  new SvgContext('11px "A B", sans-serif', { width: (text) => 6 * text.length, baseline: () => 3.5 });
const parsed = (svg: SvgContext) =>
  new DOMParser().parseFromString(svg.toString(30, 20, "<t>", 'a & "b"'), "image/svg+xml");

describe("the SVG context", () => {
  test("writes each fill and stroke as one path with the paint of that moment", () => {
    const svg = contextOf();
    const path = new SvgPath();
    path.moveTo(1, 2.004);
    path.lineTo(3.456, 4);
    path.closePath();
    svg.fillStyle = "#123456";
    svg.fill(path);
    svg.strokeStyle = "rgb(1,2,3)";
    svg.lineWidth = 2.5;
    svg.globalAlpha = 0.55;
    svg.setLineDash([7, 3]);
    svg.stroke(path);
    const [fill, stroke] = parsed(svg).querySelectorAll("path");
    expect(fill!.getAttribute("d")).toBe("M1 2L3.46 4z");
    expect(fill!.getAttribute("fill")).toBe("#123456");
    expect(stroke!.getAttribute("fill")).toBe("none");
    expect(stroke!.getAttribute("stroke")).toBe("rgb(1,2,3)");
    expect(stroke!.getAttribute("stroke-width")).toBe("2.5");
    expect(stroke!.getAttribute("stroke-dasharray")).toBe("7 3");
    expect(stroke!.getAttribute("opacity")).toBe("0.55");
  });

  test("leaves out a path with nothing in it", () => {
    const svg = contextOf();
    svg.fill(new SvgPath());
    svg.stroke(new SvgPath());
    expect(parsed(svg).querySelectorAll("path")).toHaveLength(0);
  });

  test("writes texts as texts, whatever is in them", () => {
    const svg = contextOf();
    const said = `</text><script>alert("1")</script>&amp; \u2028 ${String.fromCharCode(0, 0xd800)}\u{1F600}`;
    svg.textAlign = "right";
    svg.textBaseline = "middle";
    svg.fillText(said, 5, 6);
    const page = parsed(svg);
    expect(page.querySelectorAll("script")).toHaveLength(0);
    expect(page.querySelector("text")!.textContent).toBe(
      said.replace("\0", "\ufffd").replace("\ud800", "\ufffd"),
    );
    expect(page.querySelector("text")!.getAttribute("text-anchor")).toBe("end");
    expect(page.querySelector("text")!.getAttribute("y")).toBe("9.5");
    expect(page.querySelector("text")!.getAttribute("style")).toBe('font:11px "A B", sans-serif');
    expect(page.querySelector("title")!.textContent).toBe("<t>");
    expect(page.querySelector("desc")!.textContent).toBe('a & "b"');
  });

  test("keeps what was saved, and starts again from there", () => {
    const svg = contextOf();
    svg.translate(10, 20);
    svg.save();
    svg.fillStyle = "red";
    svg.save();
    svg.translate(1, 2);
    svg.rotate(-Math.PI / 2);
    svg.fillText("up", 0, 0);
    svg.restore();
    svg.fillRect(1, 1, 2, 3);
    svg.setTransform();
    svg.fillRect(4, 4, 1, 1);
    const page = parsed(svg);
    expect(page.querySelector("text")!.getAttribute("transform")).toBe(
      "translate(10 20)translate(1 2)rotate(-90)",
    );
    const [first, second] = page.querySelectorAll("path");
    expect(first!.getAttribute("transform")).toBe("translate(10 20)");
    expect(first!.getAttribute("d")).toBe("M1 1h2v3h-2z");
    expect(second!.getAttribute("transform")).toBe("translate(10 20)");
  });

  test("draws circles and rounded corners that stay inside of their box", () => {
    const path = new SvgPath();
    path.arc(5, 6, 2);
    expect(path.d).toBe("M3 6a2 2 0 1 0 4 0a2 2 0 1 0 -4 0z");
    const round = new SvgPath();
    round.roundRect(0, 0, 4, 10, 5);
    expect(round.d).toBe("M2 0h0a2 2 0 0 1 2 2v6a2 2 0 0 1 -2 2h0a2 2 0 0 1 -2 -2v-6a2 2 0 0 1 2 -2z");
    const half = new SvgPath();
    half.roundRect(1, 2, 8, 10, [0, 0, 3, 3]);
    expect(half.d).toBe("M1 2h8v7a3 3 0 0 1 -3 3h-2a3 3 0 0 1 -3 -3v-7z");
  });

  test("escapes what would end an attribute", () => {
    expect(escaped('a"b<c')).toBe("a&#34;b&#60;c");
  });
});
