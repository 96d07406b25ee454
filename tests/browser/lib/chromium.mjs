// Starts Debian's Chromium with an unpacked extension in a new profile, and ends it. Of the profile it writes one
// setting; it installs nothing.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { openSync, closeSync } from "node:fs";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Devtools } from "./devtools.mjs";
import { eventually, soon } from "./eventually.mjs";

const TIMEOUT = 60_000;

export class Chromium {
  #process;

  /**
   * Starts a browser.
   * @param profile   the folder for `--user-data-dir`; native hosts are looked up in its `NativeMessagingHosts` only
   * @param extension the folder of the unpacked extension
   * @param flags     further ones of the command line
   * @param env       what the browser, and so the host, gets as environment
   */
  static async launch({ profile, extension, env = process.env, flags = [] }) {
    const log = join(profile, "browser.log");
    await developerMode(profile);
    // An earlier browser may have left its address in the file.
    await rm(join(profile, "DevToolsActivePort"), { force: true });
    const out = openSync(log, "a");
    const child = spawn(
      process.env.CHROMIUM ?? "chromium",
      [
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--disable-dev-shm-usage",
        `--user-data-dir=${profile}`,
        "--remote-debugging-port=0",
        `--load-extension=${extension}`,
        "--disable-features=DisableLoadExtensionCommandLineSwitch",
        "--enable-logging=stderr",
        ...flags,
        "about:blank",
      ],
      { env, stdio: ["ignore", out, out] },
    );
    closeSync(out);
    const browser = new Chromium(child, log);
    try {
      await browser.#ready(profile);
    } catch (error) {
      await browser.close();
      throw new Error(`${error.message}\n${await browser.log()}`);
    }
    return browser;
  }

  constructor(child, log) {
    this.#process = child;
    this.logFile = log;
    this.failure = undefined;
    child.once("error", (error) => {
      this.failure = error;
    });
  }

  get pid() {
    return this.#process.pid;
  }

  async #ready(profile) {
    const file = join(profile, "DevToolsActivePort");
    const [port, path] = await eventually(TIMEOUT, "Chromium's DevTools ready", async () => {
      if (this.failure) throw this.failure;
      if (this.#process.exitCode !== null) throw new Error(`Chromium exited with ${this.#process.exitCode}`);
      const lines = (await readFile(file, "utf8").catch(() => "")).split("\n");
      return lines.length > 1 && lines;
    });
    this.devtools = await Devtools.connect(`ws://127.0.0.1:${port}${path}`);
  }

  /** What the browser has written on its stderr: the true reasons of native messaging's failures are there. */
  log() {
    return readFile(this.logFile, "utf8").catch(() => "");
  }

  /** The running service worker of the extension `id`, as a target; undefined while it sleeps. */
  async worker(id) {
    const targets = await this.devtools.targets();
    return targets.find(({ type, url }) => type === "service_worker" && url.startsWith(`chrome-extension://${id}/`));
  }

  /**
   * What the running service worker of the extension `id` has written on its console and writes from now on, as lines that
   * begin with the level. Call `close` before the worker is to end.
   */
  async console(id) {
    const { targetId } = await eventually(TIMEOUT, "the service worker", () => this.worker(id));
    const { sessionId } = await this.devtools.send("Target.attachToTarget", { targetId, flatten: true });
    const lines = [];
    const stop = this.devtools.listen((method, params, from) => {
      if (from !== sessionId || method !== "Runtime.consoleAPICalled") return;
      const words = params.args.map(({ value, description }) => value ?? description);
      lines.push(`${params.type}: ${words.join(" ")}`);
    });
    await this.devtools.send("Runtime.enable", {}, sessionId);
    const close = async () => {
      stop();
      await this.devtools.send("Target.detachFromTarget", { sessionId });
    };
    return { lines, close };
  }

  /** Opens a page of the extension, once the extension is there. */
  async open(id, path) {
    return this.devtools.open(`chrome-extension://${id}/${path}`);
  }

  /**
   * Stops the extension's service worker, as the browser does with an idle one; returns when it has gone. Another one
   * may be there by then, if something has woken it. `page` is any page of the same extension.
   */
  async stopWorker(id, page) {
    const before = (await this.worker(id))?.targetId;
    await page.send("ServiceWorker.enable");
    await page.send("ServiceWorker.stopAllWorkers");
    await eventually(TIMEOUT, "the service worker stopped", async () => {
      const now = (await this.worker(id))?.targetId;
      return !now || now !== before;
    });
    await page.send("ServiceWorker.disable");
  }

  /** Ends the browser, gently first. */
  async close() {
    if (this.#process.pid === undefined || this.#process.exitCode !== null || this.#process.signalCode) return;
    const gone = once(this.#process, "exit");
    await this.devtools?.send("Browser.close").catch(() => this.#process.kill("SIGTERM"));
    if (!this.devtools) this.#process.kill("SIGTERM");
    await soon(10_000, "Chromium gone", gone).catch(async () => {
      this.#process.kill("SIGKILL");
      await gone;
    });
    this.devtools?.close();
  }
}

/** Without the developer mode an unpacked extension does not come back from `chrome.runtime.reload()`. */
async function developerMode(profile) {
  const folder = join(profile, "Default");
  await mkdir(folder, { recursive: true });
  const preferences = JSON.stringify({ extensions: { ui: { developer_mode: true } } });
  await writeFile(join(folder, "Preferences"), preferences, { flag: "wx" }).catch((error) => {
    if (error.code !== "EEXIST") throw error;
  });
}
