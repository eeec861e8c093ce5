import { defineConfig } from "vitest/config";

export default defineConfig({
  // one window for all files: to make one for each takes six times as long as the tests themselves
  test: {
    css: true,
    environment: "happy-dom",
    pool: "threads",
    isolate: false,
    include: ["test/**/*.test.ts"],
  },
});
