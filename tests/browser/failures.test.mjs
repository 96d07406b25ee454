// A link that cannot be made is on the worker's console, with the cause and the command that finds out more: every way it
// can fail, with real servers, in an extension that listens to nothing.

import assert from "node:assert/strict";
import { once } from "node:events";
import { copyFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { createServer as createHttp } from "node:http";
import { createServer as createHttps } from "node:https";
import { dirname, join, resolve } from "node:path";
import { test } from "node:test";
import { Chromium } from "./lib/chromium.mjs";
import { eventually } from "./lib/eventually.mjs";
import { freePort } from "./lib/free-port.mjs";
import { World } from "./lib/world.mjs";

const root = resolve(import.meta.dirname, "../..");
const TIMEOUT = 60_000;

async function listening(t, server) {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  return server.address().port;
}

/** A server that answers every request with a status. */
const answers = (t, status) => listening(t, createHttp((_, response) => response.writeHead(status).end("no WebSocket here")));

/** A TLS server with an untrusted certificate. */
async function untrusted(t) {
  const pem = await readFile(join(import.meta.dirname, "lib/untrusted.pem"));
  return listening(t, createHttps({ key: pem, cert: pem }));
}

test("every failed link is logged on the console, once, with its fix", async (t) => {
  const world = await World.make();
  t.after(() => world.end());
  const tls = await untrusted(t);
  const down = await freePort();
  const proxy = `http://127.0.0.1:${await freePort()}`;
  const local = (port) => `ws://127.0.0.1:${port}/live`;
  // name: [url, options, what the console must show]
  const links = {
    "server down": [local(down), {}, /\(refused\).*Next attempt/],
    "TLS not trusted": [`wss://127.0.0.1:${tls}/live`, {}, /\(tls\)/],
    "ws: to a TLS port": [local(tls), {}, /\((tls|handshake|server-protocol|closed-by-server|link-lost)\)/],
    "no such host": ["wss://nothing.invalid/live", {}, /\(dns\).*Next attempt/],
    "proxy down": [local(down), { proxy }, /\(proxy\).*Next attempt/],
    "status 401": [local(await answers(t, 401)), {}, /401.*\(http-status\)/],
    "status 403": [local(await answers(t, 403)), {}, /403.*\(http-status\)/],
    "status 404": [local(await answers(t, 404)), {}, /404.*\(http-status\).*No retry until/],
    "plain HTTP server": [local(await answers(t, 200)), {}, /200.*\((http-status|handshake)\)/],
  };
  const { key } = JSON.parse(await readFile(join(root, "examples/hello/manifest.json"), "utf8"));
  const manifest = {
    manifest_version: 3,
    name: "Failures",
    version: "1",
    key, // so that the id is known
    permissions: ["nativeMessaging", "storage", "alarms"],
    background: { service_worker: "worker.js", type: "module" },
  };
  const wanted = Object.entries(links).map(([name, [url, options]]) => [name, url, options]);
  const worker = `import { connect } from "./longwire.js";
const bridge = connect();
for (const [name, url, options] of ${JSON.stringify(wanted)}) bridge.open(name, url, options);`;
  const extension = join(world.folder, "extension");
  await mkdir(extension);
  await copyFile(join(root, "examples/hello/longwire.js"), join(extension, "longwire.js"));
  await writeFile(join(extension, "manifest.json"), JSON.stringify(manifest));
  await writeFile(join(extension, "worker.js"), worker);
  // By default an extension may not choose its proxy.
  const settings = (await world.longwire("config", "--path")).trim();
  await mkdir(dirname(settings), { recursive: true });
  await writeFile(settings, "[default]\nown-proxy = true\n", { mode: 0o600 });
  await world.longwire("install", "--extension", world.id, "--browser", "chromium");
  world.browser = await Chromium.launch({ profile: world.profile, extension, env: world.env });
  const console = await world.browser.console(world.id);
  const about = (name) => console.lines.filter((line) => line.includes(`session "${name}"`));

  for (const [name, [url, , expected]] of Object.entries(links)) {
    await t.test(name, async () => {
      await eventually(TIMEOUT, `"${name}" on the console`, () => about(name).length > 0);
      const [line, ...more] = about(name);
      t.diagnostic(line);
      assert.deepEqual(more, []);
      assert.match(line, expected);
      assert.ok(line.startsWith("warning: "), line);
      assert.ok(line.includes(`longwire doctor --url ${url}`), line);
    });
  }
  assert.equal(console.lines.length, wanted.length, console.lines.join("\n"));
});
