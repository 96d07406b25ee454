// Starts Debian's Firefox with a temporary add-on in a new profile, over WebDriver BiDi, and ends it. Needs no driver.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import WebSocket from "ws";
import { eventually, soon } from "./eventually.mjs";

const TIMEOUT = 60_000;
/** The add-on's inner address; Firefox makes a random one otherwise. */
const UUID = "0c7a1f9e-53c8-4d3e-9d0b-6b1f9a1c2e77";

export class Firefox {
  #process;
  #socket;
  #lastId = 0;
  #waiting = new Map();
  output = "";

  static async launch({ profile, extension, addon, env, headless = true, capabilities = {}, prefs: more = {} }) {
    await mkdir(profile, { recursive: true });
    const prefs = {
      "extensions.webextensions.uuids": JSON.stringify({ [addon]: UUID }),
      "browser.shell.checkDefaultBrowser": false,
      "datareporting.policy.dataSubmissionEnabled": false,
      "app.update.enabled": false,
      "devtools.console.stdout.content": true,
      // Only so that the page of an add-on may be looked into.
      "remote.active-protocols": 1,
      ...more,
    };
    const lines = Object.entries(prefs).map(([name, value]) => `user_pref(${JSON.stringify(name)}, ${JSON.stringify(value)});`);
    await writeFile(join(profile, "user.js"), lines.join("\n"));
    const browser = new Firefox();
    browser.#process = spawn(
      process.env.FIREFOX ?? "firefox-esr",
      [...(headless ? ["--headless"] : []), "--no-remote", "--profile", profile, "--remote-debugging-port", "0", "--remote-allow-system-access", "about:blank"],
      { env: { ...env, MOZ_DISABLE_CONTENT_SANDBOX: "1" }, stdio: ["ignore", "pipe", "pipe"] },
    );
    for (const stream of [browser.#process.stdout, browser.#process.stderr]) {
      stream.on("data", (data) => {
        browser.output += data;
      });
    }
    try {
      const address = await eventually(TIMEOUT, `Firefox's BiDi ready; it said:\n${browser.output}`, () =>
        /BiDi listening on (ws:\S+)/.exec(browser.output)?.[1],
      );
      await browser.#connect(`${address}/session`);
      await browser.send("session.new", { capabilities: { alwaysMatch: capabilities } });
      await browser.send("webExtension.install", { extensionData: { type: "path", path: extension } });
    } catch (error) {
      await browser.close();
      throw error;
    }
    return browser;
  }

  async #connect(address) {
    this.#socket = new WebSocket(address, { perMessageDeflate: false, maxPayload: 0 });
    await soon(TIMEOUT, `BiDi at ${address}`, once(this.#socket, "open"));
    this.#socket.on("message", (data) => {
      const { id, type, result, message } = JSON.parse(data);
      const call = this.#waiting.get(id);
      if (!call) return;
      this.#waiting.delete(id);
      if (type === "error") call.reject(new Error(`${call.method}: ${message}`));
      else call.resolve(result);
    });
  }

  send(method, params = {}, timeout = TIMEOUT) {
    const id = ++this.#lastId;
    const answer = new Promise((resolve, reject) => this.#waiting.set(id, { method, resolve, reject }));
    this.#socket.send(JSON.stringify({ id, method, params }));
    return soon(timeout, `answer to ${method}`, answer);
  }

  /** Opens a page of the add-on in a tab of its own. */
  async open(path) {
    const { context } = await this.send("browsingContext.create", { type: "tab" });
    await this.send("browsingContext.navigate", {
      context,
      url: `moz-extension://${UUID}/${path}`,
      wait: "complete",
    });
    return {
      evaluate: (work, ...args) => this.#evaluate(context, TIMEOUT, work, args),
      evaluateFor: (timeout, work, ...args) => this.#evaluate(context, timeout, work, args),
    };
  }

  /** Stops the add-on's event page, as the browser does with an idle one, even while it holds a port. */
  async stopEventPage(addon) {
    await this.chrome(async (id) => {
      const { extension } = WebExtensionPolicy.getByID(id);
      await extension.terminateBackground({ ignoreDevToolsAttached: true, disableResetIdleForTest: true });
    }, addon);
  }

  /** Everything that pages, add-ons' too, have written on their consoles, as lines that begin with the level. */
  console() {
    return [...this.output.matchAll(/^console\.(.*)$/gm)].map(([, line]) => line);
  }

  /** Runs `work(...args)` with the browser's own rights. */
  async chrome(work, ...args) {
    const { contexts } = await this.send("browsingContext.getTree", { "moz:scope": "chrome" });
    return this.#evaluate(contexts[0].context, TIMEOUT, work, args);
  }

  /** Runs `work(...args)` in the page and returns what it resolves to; both must survive JSON. */
  async #evaluate(context, timeout, work, args) {
    const expression = `(async () => JSON.stringify(await (${work})(...${JSON.stringify(args)})))()`;
    const { type, result, exceptionDetails } = await this.send(
      "script.evaluate",
      { expression, target: { context }, awaitPromise: true },
      timeout,
    );
    if (type === "exception") throw new Error(`in the page: ${exceptionDetails.text}`);
    return result.value === undefined ? undefined : JSON.parse(result.value);
  }

  async close() {
    if (!this.#process || this.#process.exitCode !== null || this.#process.signalCode) return;
    const gone = once(this.#process, "exit");
    if (this.#socket) await this.send("browser.close").catch(() => this.#process.kill("SIGTERM"));
    else this.#process.kill("SIGTERM");
    await soon(15_000, "Firefox gone", gone).catch(async () => {
      this.#process.kill("SIGKILL");
      await gone;
    });
    this.#socket?.terminate();
  }
}
