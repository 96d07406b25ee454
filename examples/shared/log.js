// A log in a file, a line of JSON for each entry. VS Code's own `workspaceState` is written some time later, and what it has
// not written when the window reloads is lost: it must not be what an acknowledgement relies on.
const { appendFile, mkdir, readFile } = require("node:fs/promises");
const { dirname } = require("node:path");

const SHOWN = 200;

class Log {
  #path;
  #ids = new Set();
  #lines = [];
  #work;

  constructor(path) {
    this.#path = path;
    this.#work = this.#load();
  }

  /** Adds a line, once for each id. */
  add(line, id) {
    this.#work = this.#work.then(async () => {
      if (id && this.#ids.has(id)) return;
      await appendFile(this.#path, `${JSON.stringify({ id, line })}\n`);
      this.#take({ id, line });
    });
    return this.#work;
  }

  /** The newest lines, newest first. */
  async lines() {
    await this.#work;
    return this.#lines.slice(-SHOWN).reverse();
  }

  async #load() {
    await mkdir(dirname(this.#path), { recursive: true });
    const text = await readFile(this.#path, "utf8").catch(() => "");
    // The last line may be half written, if the process was killed.
    for (const line of text.split("\n").slice(0, -1)) this.#take(JSON.parse(line));
  }

  #take({ id, line }) {
    if (id) this.#ids.add(id);
    this.#lines.push(line);
  }
}

module.exports = { Log };
