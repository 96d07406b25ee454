// The few commands of the DevTools protocol that the tests need: targets, pages, evaluation, stopping service workers.
// An attached debugger keeps a service worker alive: where its life is tested, nothing attaches to it.

import WebSocket from "ws";
import { eventually, soon } from "./eventually.mjs";

const TIMEOUT = 60_000;

export class Devtools {
  #socket;
  #lastId = 0;
  #waiting = new Map();
  #listeners = new Set();

  /** Connects to a browser's DevTools address. */
  static async connect(address) {
    const socket = new WebSocket(address, { maxPayload: 0, perMessageDeflate: false });
    await soon(TIMEOUT, `DevTools at ${address}`, new Promise((resolve, reject) => {
      socket.once("open", resolve);
      socket.once("error", reject);
    }));
    return Object.assign(new Devtools(socket), { address });
  }

  constructor(socket) {
    this.#socket = socket;
    socket.on("message", (data) => this.#answer(JSON.parse(data)));
    socket.on("close", () => {
      for (const { method, reject } of this.#waiting.values()) reject(new Error(`${method}: the browser has gone`));
      this.#waiting.clear();
    });
  }

  #answer({ id, result, error, method, params, sessionId }) {
    if (method) for (const listener of this.#listeners) listener(method, params, sessionId);
    const call = this.#waiting.get(id);
    if (!call) return;
    this.#waiting.delete(id);
    if (error) call.reject(new Error(`${call.method}: ${error.message}`));
    else call.resolve(result);
  }

  /** Says `method`, to the browser or to the target of `sessionId`, and returns its result. */
  send(method, params = {}, sessionId = undefined, timeout = TIMEOUT) {
    if (this.#socket.readyState !== WebSocket.OPEN) return Promise.reject(new Error(`${method}: the browser has gone`));
    const id = ++this.#lastId;
    const answer = new Promise((resolve, reject) => this.#waiting.set(id, { method, resolve, reject }));
    this.#socket.send(JSON.stringify({ id, method, params, sessionId }));
    return soon(timeout, `answer to ${method}`, answer);
  }

  /** Calls `listener(method, params, sessionId)` for every event; returns what ends that. */
  listen(listener) {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Every target the browser has: pages, workers. */
  async targets() {
    return (await this.send("Target.getTargets")).targetInfos;
  }

  /**
   * Opens `url` in a tab of its own and waits until it is loaded. An extension that is just being loaded has no pages
   * yet, and one that is being reloaded takes its tabs with it: then another tab is tried.
   */
  async open(url) {
    return eventually(TIMEOUT, `${url} loaded`, async () => {
      const { targetId } = await this.send("Target.createTarget", { url });
      try {
        const { sessionId } = await this.send("Target.attachToTarget", { targetId, flatten: true });
        const page = new Page(this, targetId, sessionId);
        await eventually(TIMEOUT / 5, `${url} loaded`, () =>
          page.evaluate((wanted) => location.href === wanted && document.readyState === "complete", url),
        );
        return page;
      } catch {
        await this.send("Target.closeTarget", { targetId }).catch(() => {});
        return undefined;
      }
    });
  }

  close() {
    this.#socket.terminate();
  }
}

/** A tab that the tests opened. */
export class Page {
  #devtools;

  constructor(devtools, targetId, sessionId) {
    this.#devtools = devtools;
    this.targetId = targetId;
    this.sessionId = sessionId;
  }

  send(method, params, timeout) {
    return this.#devtools.send(method, params, this.sessionId, timeout);
  }

  /** Runs `work(...args)` in the page and returns what it resolves to; both must survive JSON. */
  evaluate(work, ...args) {
    return this.evaluateFor(TIMEOUT, work, ...args);
  }

  /** The same for work that may take `timeout` milliseconds. */
  async evaluateFor(timeout, work, ...args) {
    const expression = `(${work})(...${JSON.stringify(args)})`;
    const { result, exceptionDetails } = await this.send(
      "Runtime.evaluate",
      { expression, awaitPromise: true, returnByValue: true },
      timeout,
    );
    if (exceptionDetails) {
      throw new Error(`in the page: ${exceptionDetails.exception?.description ?? exceptionDetails.text}`);
    }
    return result.value;
  }

  close() {
    return this.#devtools.send("Target.closeTarget", { targetId: this.targetId });
  }
}
