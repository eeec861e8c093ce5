/** A style sheet as text, as build.mjs and serve.mjs bundle it. */
declare module "*.css" {
  const css: string;
  export default css;
}
