// An extension with a fallback, written into a folder: its worker records the events of a session and of a standard socket.

import { cp, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { World } from "./world.mjs";

const DIST = join(import.meta.dirname, "../../../client/dist");
const FILES = ["longwire.js", "io.js", "fallback.js", "longwire-offscreen.js", "longwire-offscreen.html"];

/** In a worker: writes given values to the storage, one value after the other, and returns how. */
function notebook(api) {
  const log = {};
  let turn = api.storage.local.get("log").then(({ log: kept }) => Object.assign(log, kept));
  return (name, value) => {
    turn = turn.then(() => {
      log[name] = [...(log[name] ?? []), value];
      return api.storage.local.set({ log });
    });
    return turn;
  };
}

/** The worker, as its own source. */
function worker({ connect, api, note }) {
  const bridge = connect({ fallback: "browser" });
  bridge.on("error", ({ code }) => note("errors", code));
  bridge.on("mode", (mode) => note("modes", mode));
  // The server's address comes from the test, now or later.
  const address = new Promise((resolve) => {
    api.storage.local.get("url").then(({ url }) => url && resolve(url));
    api.storage.onChanged.addListener(({ url }) => url && resolve(url.newValue));
  });
  const session = address.then(async (url) => {
    const opened = await bridge.open("ticks", url, { format: "json", reconnect: { maxDelay: 1000 } });
    opened.onState(({ state, continuity }) => note("states", continuity ? `${state} ${continuity}` : state));
    opened.onGap(({ reason }) => note("gaps", reason));
    opened.on("message", ({ json: { type, number } }) => (type === "tick" ? note("numbers", number) : undefined));
    return opened;
  });
  api.runtime.onMessage.addListener((message, _sender, respond) => {
    if (typeof message.text !== "string" && !message.state) return false;
    (async () => {
      const opened = await session;
      if (message.text) respond(await opened.send(message.text).catch(({ code }) => ({ code })));
      else respond({ mode: bridge.mode, state: opened.state, capabilities: bridge.welcome?.capabilities });
    })();
    return true;
  });
}

/** In a page: attaches to the session that the worker has opened, and collects what comes. */
async function attach() {
  const bridge = connect({ client: "page", fallback: "browser" });
  bridge.on("error", () => {});
  globalThis.seen = [];
  globalThis.gaps = [];
  const session = await bridge.open("ticks");
  session.onGap(({ reason }) => globalThis.gaps.push(reason));
  session.on("message", ({ json }) => json.number && globalThis.seen.push(json.number));
  return bridge.mode;
}

/**
 * Writes the extension; `offscreen`: with the permission and the page for an offscreen document; `program`: in place of
 * its worker. Returns its folder.
 */
export async function fallbackExtension(folder, { offscreen, program = worker }) {
  const extension = join(folder, offscreen ? "with-offscreen" : "without-offscreen");
  await mkdir(extension, { recursive: true });
  for (const name of FILES) await cp(join(DIST, name), join(extension, name));
  const hello = JSON.parse(await readFile(join(World.EXTENSION, "manifest.json"), "utf8"));
  const manifest = {
    manifest_version: 3,
    name: "Longwire fallback",
    version: "1.0",
    key: hello.key,
    permissions: ["nativeMessaging", "storage", "alarms", ...(offscreen ? ["offscreen"] : [])],
    background: { ...hello.background },
    browser_specific_settings: hello.browser_specific_settings,
    // By default Firefox turns `ws:` into `wss:`.
    content_security_policy: { extension_pages: "script-src 'self'" },
  };
  await writeFile(join(extension, "manifest.json"), JSON.stringify(manifest));
  const imports = `import { connect } from "./longwire.js";
import { io } from "./io.js";
import "./fallback.js";
`;
  await writeFile(
    join(extension, "page.html"),
    '<!doctype html><title>page</title><script type="module" src="page.js"></script>',
  );
  await writeFile(join(extension, "page.js"), `${imports}globalThis.attach = ${attach};\n`);
  await writeFile(join(extension, "worker.js"), `${imports}const api = globalThis.browser ?? chrome;
const note = (${notebook})(api);
(${program})({ connect, io, api, note });
`);
  return extension;
}
