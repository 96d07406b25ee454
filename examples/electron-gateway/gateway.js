// The gateway as the app sees it: state, progress and log, and an event when one of them changes. It runs in Electron's main
// process and in plain Node.js; windows only show it.
const { EventEmitter } = require("node:events");
const { join } = require("node:path");
const { connect } = require("./longwire-node.js"); // require("longwire/node") where it is installed with npm
const { Log } = require("./log.js");

/** Allowed by `longwire install --app longwire.electron-gateway`. */
const APP = "longwire.electron-gateway";
const OF = 10;

class Gateway extends EventEmitter {
  state = "opening";
  progress = { done: 0, of: OF, label: "nothing is running" };
  #bridge;
  #log;
  #opening;

  /** `folder` is the app's own: positions and log are files in it. */
  constructor(folder, url = "ws://127.0.0.1:8790/ws") {
    super();
    this.#log = new Log(join(folder, "log.jsonl"));
    this.#bridge = connect({ app: APP, storage: join(folder, "longwire.json") });
    this.#bridge.on("error", (error) => this.#show({ state: error.message }));
    this.#opening = this.#bridge.open("gateway", url, {
      format: "json",
      maxMessage: 512 * 1024,
      // Sent on every connection; the answer identifies the server process.
      greeting: [{ json: { type: "hello", payload: "app" } }],
      ready: { "/type": "welcome" },
    });
    this.#opening.then((session) => this.#listen(session)).catch((error) => this.#show({ state: error.message }));
  }

  /** What a window shows. */
  async view() {
    return { state: this.state, progress: this.progress, lines: await this.#log.lines() };
  }

  /** Asks the gateway for ten ticks. */
  async go() {
    const session = await this.#opening;
    await session.send({ type: "flood", payload: { count: OF } });
  }

  /** Acknowledges what was processed and ends the host process. The broker keeps the connection. */
  close() {
    return this.#bridge.disconnect();
  }

  #listen(session) {
    this.#show({ state: session.state });
    session.onState(({ state }) => this.#show({ state }));
    session.onGap(({ count, reason }) => this.#note(`${count ?? "some"} messages were lost: ${reason}`));
    // Acknowledged when the line is in the file. One that is delivered again has the same id.
    session.on("message", async ({ json: { type, payload }, epoch, seq }) => {
      if (type === "tick") this.progress = { done: ((payload.n - 1) % OF) + 1, of: OF, label: "ticks" };
      await this.#note(type === "tick" ? `tick ${payload.n}` : `${type} ${JSON.stringify(payload)}`, `${epoch}/${seq}`);
    });
  }

  async #note(line, id) {
    await this.#log.add(line, id);
    this.emit("changed");
  }

  #show(change) {
    Object.assign(this, change);
    this.emit("changed");
  }
}

module.exports = { Gateway };
