// Sessions with each preset through nginx and HAProxy, with the proxies' own idle limits and no traffic for SECONDS_IDLE seconds (200):
// no link may be lost. Run by scripts/presets-idle, because it takes that long.

import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { connect } from "../../client/dist/modules/index.js";
import { haproxy, nginx } from "../browser/lib/balancers.mjs";
import { extension } from "./lib/extension.mjs";
import { presets, servePresets } from "./lib/preset-servers.mjs";
import { brokersOf } from "./lib/harness.mjs";

const SECONDS = Number(process.env.SECONDS_IDLE ?? 200);
const TIMEOUT = 30_000;

test(`no preset loses its link within ${SECONDS} idle seconds behind a proxy`, async (t) => {
  const home = await mkdtemp(join(tmpdir(), "longwire-"));
  process.env.LONGWIRE_HOME = home;
  process.env.LONGWIRE_DEBUGGABLE = "1";
  const hosts = [];
  const servers = await servePresets();
  const proxies = { nginx: await nginx(t, home, servers.port), haproxy: await haproxy(t, home, servers.port) };
  const bridge = connect({ api: extension((host) => hosts.push(host)), profile: "presets" });
  bridge.on("error", () => {});
  t.after(async () => {
    await bridge.disconnect();
    for (const host of hosts) host.kill();
    for (const pid of await brokersOf(home)) process.kill(pid, "SIGKILL");
    servers.stop();
    await rm(home, { recursive: true, force: true, maxRetries: 5 });
  });
  const links = [];
  for (const [proxy, port] of Object.entries(proxies)) {
    for (const preset of Object.keys(presets)) {
      links.push(await openLink(bridge, `${preset} through ${proxy}`, `ws://127.0.0.1:${port}/${preset}`, { preset }));
    }
    // Shows that the proxy's limit is what it should be.
    const silent = { heartbeat: false, reconnect: false };
    links.push(await openLink(bridge, `no heartbeat through ${proxy}`, `ws://127.0.0.1:${port}/silent`, silent));
  }
  await within(TIMEOUT, "all links open", Promise.all(links.map(({ open }) => open)));
  await new Promise((resolve) => setTimeout(resolve, SECONDS * 1000));
  for (const { name, lost, session } of links) {
    await t.test(name, async () => {
      if (name.startsWith("no heartbeat")) {
        assert.equal(lost.length > 0, SECONDS > 60, `lost: ${JSON.stringify(lost)}`);
        return;
      }
      assert.deepEqual(lost, []);
      const { echo, answer, end = "" } = presets[name.split(" ")[0]];
      const wanted = JSON.stringify(answer(echo)) + end;
      const text = ({ text, json }) => text ?? JSON.stringify(json);
      const received = new Promise((resolve) => session.on("message", (message) => text(message) === wanted && resolve()));
      await session.send(end ? JSON.stringify(echo) + end : echo);
      await within(TIMEOUT, wanted, received);
    });
  }
});

/** Opens a session, and notes each state after the first `open`. */
async function openLink(bridge, name, url, options) {
  const session = await bridge.open(name, url, options);
  const lost = [];
  const open = new Promise((resolve) => {
    session.onState(({ state, code, reason, error }) => {
      if (state === "open" && !lost.length) resolve();
      else if (state !== "connecting") lost.push({ state, code, reason, error: error?.code });
    });
    if (session.state === "open") resolve();
  });
  return { name, session, open, lost };
}

async function within(milliseconds, what, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not within ${milliseconds} ms: ${what}`)), milliseconds);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
