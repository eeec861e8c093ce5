import { describe, expect, it } from "vitest";

declare global {
  interface ImportMeta {
    glob(pattern: string, options: object): Record<string, string>;
  }
}

/** From the lowest to the highest: a folder imports what is in it or below it, and never what is above it. */
const ORDER = ["dom", "model", "grid", "inspector", "live", "chrome", "export", "app"];

const sources = import.meta.glob("../src/**/*.ts", { query: "?raw", import: "default", eager: true });

/** "grid/paint" of "../src/grid/paint.ts". */
const moduleOf = (path: string) => path.replace("../src/", "").replace(/\.ts$/, "");

/** app.ts and widget.ts stand alone, above all folders. */
const folderOf = (module: string) => (module.includes("/") ? module.split("/")[0]! : "app");

/** The modules that a source imports, types included. */
function importsOf(module: string, source: string): string[] {
  const from = /^(?:import|export)\b[^;]*?\bfrom "(\.[^"]+)";|\bimport\("(\.[^"]+)"\)/gm;
  const base = `file:///${module}`;
  return [...source.matchAll(from)].map(([, one, other]) => new URL(one ?? other!, base).pathname.slice(1));
}

const imports = new Map(
  Object.entries(sources).map(([path, source]) => [moduleOf(path), importsOf(moduleOf(path), source)]),
);

/** A chain of imports from a module back to itself; null where there is none. */
function circleFrom(start: string): string[] | null {
  const seen = new Set<string>();
  const visit = (module: string, chain: string[]): string[] | null => {
    for (const next of imports.get(module) ?? []) {
      if (next === start) return [...chain, next];
      if (seen.has(next)) continue;
      seen.add(next);
      const found = visit(next, [...chain, next]);
      if (found) return found;
    }
    return null;
  };
  return visit(start, [start]);
}

describe("the modules", () => {
  it("are all read, and import only modules that exist", () => {
    expect(imports.size).toBeGreaterThan(50);
    expect([...imports.values()].flat().filter((module) => !imports.has(module))).toEqual([]);
    expect(imports.get("widget")).toEqual(["app", "model/sync"]);
  });

  it("stand in folders whose order is known", () => {
    expect([...new Set([...imports.keys()].map(folderOf))].sort()).toEqual([...ORDER].sort());
  });

  it("import nothing from a folder above their own", () => {
    const level = (module: string) => ORDER.indexOf(folderOf(module));
    const upward = [...imports].flatMap(([module, all]) =>
      all.filter((other) => level(other) > level(module)).map((other) => `${module} imports ${other}`),
    );
    expect(upward).toEqual([]);
  });

  it("import each other in no circle", () => {
    const circles = [...imports.keys()].flatMap((module) => circleFrom(module)?.join(" > ") ?? []);
    expect(circles).toEqual([]);
  });

  it("give each name of a type to one thing", () => {
    const where = new Map<string, string[]>();
    for (const [path, source] of Object.entries(sources))
      for (const [, name] of source.matchAll(/^(?:export )?(?:class|interface|type) (\w+)/gm))
        where.set(name!, [...(where.get(name!) ?? []), moduleOf(path)]);
    expect(where.size).toBeGreaterThan(80);
    expect([...where].filter(([, modules]) => modules.length > 1)).toEqual([]);
  });
});
