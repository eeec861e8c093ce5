/** The traits of the selection as code for a library: the question, and Python's answer to it. */
import type { ReadTrait, WriteTrait } from "./live_sync";
import type { Code, CodeQuery } from "./wire";

export type CodeLibrary = CodeQuery["library"];

export class CodeSync {
  readonly #read: ReadTrait;
  readonly #write: WriteTrait;

  constructor(read: ReadTrait, write: WriteTrait) {
    this.#read = read;
    this.#write = write;
  }

  /** The last question of any view. */
  get query(): CodeQuery {
    return { n: 0, library: "torch", ...this.#read("code_query") };
  }

  /** The last answer that came, to whichever question. */
  get answer(): Code | null {
    const code = this.#read("code");
    return code?.query
      ? { library: "torch", selection: "none", text: "", error: "", query: 0, ...code }
      : null;
  }

  /** Asks for the selection as code. Returns the number that the answer will carry. */
  ask(library: CodeLibrary): number {
    const n = this.query.n + 1;
    this.#write("code_query", { n, library });
    return n;
  }
}
