// Firefox as it is inside Snap or Flatpak where the system has the WebExtensions portal: it asks the portal for the manifest,
// and has it start the host. Firefox is real; a stand-in on a D-Bus of its own follows the portal's implementation.

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { eventually } from "./lib/eventually.mjs";
import { Firefox } from "./lib/firefox.mjs";
import { skipUnless } from "./lib/skip.mjs";
import { World } from "./lib/world.mjs";

const TIMEOUT = 60_000;
const ADDON = "hello@longwire.example";
const root = resolve(import.meta.dirname, "../..");
const python = join(root, process.env.CARGO_TARGET_DIR ?? "target", "tmp/portal-venv/bin/python");
const runs = (program) => spawnSync(program, ["--version"]).status === 0;
const isThere = runs(process.env.FIREFOX ?? "firefox-esr") && runs("dbus-daemon") && existsSync(python);
const skip = skipUnless(isThere, "there is no firefox-esr, no dbus-daemon, or no jeepney for Python; scripts/browser-check installs them");

/** Starts a program whose first line on stdout must match, and gives that line and everything it prints later. */
async function service(ends, command, arguments_, env, first) {
  const child = spawn(command, arguments_, { env, stdio: ["ignore", "pipe", "ignore"] });
  ends.unshift(() => child.kill("SIGKILL"));
  const running = { child, output: "" };
  child.stdout.setEncoding("utf8").on("data", (data) => {
    running.output += data;
  });
  running.line = await eventually(TIMEOUT, `${command} ready`, () => first.exec(running.output)?.[0]);
  return running;
}

/** Firefox with the portal, which looks where the real one would in this home. */
async function confined(t, { allow, register = true }) {
  const world = await World.make();
  // Firefox first: it waits for a bus that has gone.
  const ends = [() => world.end()];
  t.after(async () => {
    for (const end of ends) await end();
  });
  if (register) await world.longwire("install", "--extension", ADDON, "--browser", "firefox");
  const bus = await service(ends, "dbus-daemon", ["--session", "--nofork", "--print-address"], world.env, /^unix:.*$/m);
  const env = { ...world.env, DBUS_SESSION_BUS_ADDRESS: bus.line, ALLOW: allow };
  const folders = [join(world.folder, ".mozilla/native-messaging-hosts"), "/usr/lib/mozilla/native-messaging-hosts"];
  const portal = await service(ends, python, [join(root, "tests/fixtures/portal/web_extensions.py"), ...folders], env, /^ready$/m);
  const firefox = await Firefox.launch({
    profile: join(world.folder, "firefox"),
    extension: World.EXTENSION,
    addon: ADDON,
    env,
    // Always; by default only inside a sandbox.
    prefs: { "widget.use-xdg-desktop-portal.native-messaging": 1 },
  });
  ends.unshift(() => firefox.close());
  const page = await firefox.open("popup.html");
  await page.evaluate((url) => chrome.storage.local.set({ url }), world.server.url);
  return { world, portal, firefox, page };
}

async function hosts(world) {
  return (await world.processes()).filter(([, command]) => command.includes(ADDON));
}

const parent = async (pid) => Number(/^PPid:\s*(\d+)$/m.exec(await readFile(`/proc/${pid}/status`, "utf8"))[1]);

test("through the portal Firefox finds the usual manifest, and sessions survive the hosts that the portal kills", { skip }, async (t) => {
  const { world, portal, firefox, page } = await confined(t, { allow: "yes" });
  await eventually(TIMEOUT, "a connection at the server", () => world.server.clients === 1);
  assert.match(portal.output, /^start com\.longwire\.bridge for hello@longwire\.example: 0$/m);
  const [[pid, command]] = await hosts(world);
  assert.equal(await parent(pid), portal.child.pid, "the portal has started it");
  assert.match(command, /\.mozilla\/native-messaging-hosts\/com\.longwire\.bridge\.json/);

  const numbers = async () => {
    const { messages } = await page.evaluate(() => chrome.storage.local.get({ messages: [] }));
    return messages.flatMap(({ text }) => (text.includes('"tick"') ? [JSON.parse(text).number] : []));
  };
  const arrived = async (last) => {
    await eventually(TIMEOUT, `message ${last}`, async () => (await numbers()).includes(last));
    assert.deepEqual(await numbers(), Array.from({ length: last }, (_, at) => at + 1));
  };
  await arrived(world.server.push(10));

  // A port that closes has Firefox close the portal's session, and the portal kills the host at once.
  await firefox.stopEventPage(ADDON);
  await eventually(TIMEOUT, "the host gone", async () => !(await hosts(world)).length);
  await eventually(TIMEOUT, "the portal's session closed", () => portal.output.includes("closed by the browser"));
  const last = world.server.push(10);
  const { outcome } = await page.evaluate(() => chrome.runtime.sendMessage({ type: "send", text: "awake" }));
  assert.equal(outcome, "sent");
  await arrived(last);

  for (const [host] of await hosts(world)) process.kill(host, "SIGKILL");
  await eventually(TIMEOUT, "the portal has noticed", () => portal.output.includes("the host has ended"));
  await arrived(world.server.push(10));
  assert.equal(world.server.connections, 1, "one connection all along");
});

// A refusal looks like a host that ends at once, so the SDK tries again; the portal remembers it and asks only once.
for (const [name, options, expected] of [
  ["a user who refuses the portal's question", { allow: "no" }, /^waiting \(native host\)/],
  ["a host that is not registered", { allow: "yes", register: false }, /^failed \(native host\)/],
]) {
  test(`through the portal ${name} is reported, and nothing is started`, { skip }, async (t) => {
    const { world, page } = await confined(t, options);
    await eventually(TIMEOUT, `${expected} in the popup`, async () =>
      expected.test(await page.evaluate(() => document.getElementById("state").textContent.trim())),
    );
    assert.deepEqual(await hosts(world), []);
    assert.equal(world.server.connections, 0);
  });
}
