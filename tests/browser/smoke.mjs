// One round trip in a browser as it comes, on any system: install, load the example, a connection, messages, uninstall.
//   node tests/browser/smoke.mjs chrome|edge|chromium    CHROMIUM=/path/to/browser names another program
// The whole suite beside it needs Linux; this is what runs on Windows.

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { eventually, soon } from "./lib/eventually.mjs";
import { Server } from "./lib/server.mjs";

const TIMEOUT = 60_000;
const ID = "cfgjijgalloanpinpjgfgakgkbhlgcka";
const root = resolve(import.meta.dirname, "../..");
const isWindows = process.platform === "win32";
const browser = process.argv[2] ?? "chromium";

/** Where the browser is. */
function program() {
  if (process.env.CHROMIUM) return process.env.CHROMIUM;
  if (!isWindows) return { chrome: "google-chrome", edge: "microsoft-edge", chromium: "chromium" }[browser];
  const inside = { chrome: "Google\\Chrome\\Application\\chrome.exe", edge: "Microsoft\\Edge\\Application\\msedge.exe" }[browser];
  const folders = [process.env.ProgramFiles, process.env["ProgramFiles(x86)"]];
  const found = folders.map((folder) => join(folder, inside)).find(existsSync);
  assert.ok(found, `${browser} is not installed`);
  return found;
}

/** DevTools on the browser's third and fourth pipe, which may load extensions. */
class Pipe {
  #number = 0;
  #waiting = new Map();

  constructor(child) {
    this.out = child.stdio[3];
    let rest = "";
    child.stdio[4].setEncoding("utf8").on("data", (data) => {
      const parts = (rest + data).split("\0");
      rest = parts.pop();
      for (const part of parts) this.#take(JSON.parse(part));
    });
  }

  #take({ id, result, error }) {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (error) waiting?.reject(new Error(error.message));
    else waiting?.resolve(result);
  }

  send(method, params = {}, sessionId = undefined) {
    this.#number += 1;
    const id = this.#number;
    const answer = new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
    this.out.write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
    return soon(TIMEOUT, method, answer);
  }
}

const folder = await mkdtemp(join(tmpdir(), "longwire-smoke-"));
const profile = join(folder, "profile");
const env = { ...process.env, LONGWIRE_HOME: join(folder, "home") };
const executable = join(root, "target/debug", isWindows ? "longwire.exe" : "longwire");
const longwire = (...words) => execFileSync(executable, words, { env, encoding: "utf8" });
const server = await Server.start();
// Elsewhere a browser with a folder of its own looks only there; on Windows all of them look into the registry.
const where = isWindows ? ["--browser", browser] : ["--user-data-dir", profile];

longwire("install", "--extension", ID, ...where);
const flags = ["--headless=new", "--no-first-run", "--no-sandbox", "--disable-gpu", "--disable-sync"];
const debugging = ["--remote-debugging-pipe", "--enable-unsafe-extension-debugging", `--user-data-dir=${profile}`];
const child = spawn(program(), [...flags, ...debugging, "about:blank"], {
  env,
  stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"],
});
try {
  const devtools = new Pipe(child);
  const { id } = await devtools.send("Extensions.loadUnpacked", { path: join(root, "examples/hello") });
  assert.equal(id, ID);
  const { targetId } = await devtools.send("Target.createTarget", { url: `chrome-extension://${ID}/popup.html` });
  const { sessionId } = await devtools.send("Target.attachToTarget", { targetId, flatten: true });
  const evaluate = async (expression) => {
    const { result } = await devtools.send("Runtime.evaluate", { expression, returnByValue: true }, sessionId);
    return result.value;
  };
  await eventually(TIMEOUT, "the popup", () => evaluate("document.readyState === 'complete' && !!document.getElementById('where')"));
  await evaluate(`document.getElementById("url").value = ${JSON.stringify(server.url)}; document.getElementById("where").requestSubmit()`);
  await eventually(TIMEOUT, "a connection at the server", () => server.clients === 1);
  await eventually(TIMEOUT, "open", async () => /^open/.test((await evaluate("document.getElementById('state').textContent.trim()")) ?? ""));
  server.push(3);
  const lines = "[...document.querySelectorAll('ol li')].map((line) => line.textContent).join('\\n')";
  await eventually(TIMEOUT, "three messages in the popup", async () => /"number":3/.test(await evaluate(lines)));
  console.log(`${browser}: a connection and three messages`);
} finally {
  child.kill();
  longwire("stop");
  longwire("uninstall", "--all");
  await server.stop();
  await rm(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 250 });
}
