import assert from "node:assert/strict";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { ChildPort } from "../src/node/child-port.js";
import { FileStorage } from "../src/node/file-storage.js";
import { hostProgram, manifestFolders } from "../src/node/host-manifest.js";
import { connect } from "../src/node/index.js";

function scratch(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "longwire-node-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A host that answers every frame with its own arguments and the frame. */
function echoHost(folder: string): string {
  const path = join(folder, "host");
  writeFileSync(
    path,
    `#!${process.execPath}
let buffer = Buffer.alloc(0);
process.stdin.on("data", (chunk) => {
  buffer = Buffer.concat([buffer, chunk]);
  while (buffer.length >= 4 && buffer.length >= 4 + buffer.readUInt32LE()) {
    const length = buffer.readUInt32LE();
    const frame = JSON.parse(buffer.toString("utf8", 4, 4 + length));
    buffer = buffer.subarray(4 + length);
    if (frame.exit) process.exit(3);
    const body = Buffer.from(JSON.stringify({ origin: process.argv[2], frame }));
    const head = Buffer.alloc(4);
    head.writeUInt32LE(body.length);
    // In pieces, as a pipe may deliver them.
    process.stdout.write(head.subarray(0, 2));
    process.stdout.write(Buffer.concat([head.subarray(2), body]));
  }
});
`,
  );
  chmodSync(path, 0o755);
  return path;
}

const posix = { skip: process.platform === "win32" && "scripts are no programs on Windows" };

test("frames of any size reach the host and are received back", posix, async (t) => {
  const port = new ChildPort(echoHost(scratch(t)), "app://com.example.test");
  t.after(() => port.disconnect());
  const answers: unknown[] = [];
  const done = new Promise<void>((resolve) =>
    port.onMessage.addListener((message) => answers.push(message) === 2 && resolve()),
  );
  port.postMessage({ type: "ü" });
  port.postMessage({ big: "x".repeat(300_000) });
  await done;
  assert.deepEqual(answers[0], { origin: "app://com.example.test", frame: { type: "ü" } });
  assert.equal((answers[1] as { frame: { big: string } }).frame.big.length, 300_000);
});

test(
  "a host that exits, and one that cannot be started, close the port with a browser's error message",
  posix,
  async (t) => {
    const folder = scratch(t);
    const ends = (port: ChildPort) =>
      new Promise((resolve) => port.onDisconnect.addListener((closed) => resolve(closed.error?.message)));
    const port = new ChildPort(echoHost(folder), "app://x");
    const ended = ends(port);
    port.postMessage({ exit: true });
    assert.equal(await ended, "Native host has exited.");
    assert.throws(() => port.postMessage({}), /disconnected port/);
    const missing = new ChildPort(join(folder, "none"), "app://x");
    assert.equal(await ends(missing), "Failed to start native messaging host.");
  },
);

test("the host is found by its manifest, and only for apps it names", (t) => {
  const folder = scratch(t);
  assert.throws(() => hostProgram("com.longwire.bridge", "com.example.a", [folder]), /host not found/);
  const manifest = { path: "/opt/longwire", allowed_apps: ["com.example.a"] };
  writeFileSync(join(folder, "com.longwire.bridge.json"), JSON.stringify(manifest));
  assert.equal(
    hostProgram("com.longwire.bridge", "com.example.a", [join(folder, "none"), folder]),
    "/opt/longwire",
  );
  assert.throws(() => hostProgram("com.longwire.bridge", "com.example.b", [folder]), /forbidden/);
});

test("manifests are searched where the installer writes them", () => {
  const env = { XDG_STATE_HOME: "/s", LOCALAPPDATA: "C:\\L", ProgramData: "C:\\P" };
  assert.deepEqual(manifestFolders({ LONGWIRE_HOME: "/h" }), [join("/h", "state", "apps")]);
  assert.equal(manifestFolders(env, "linux", "/home/a")[0], join("/s", "longwire", "apps"));
  assert.equal(manifestFolders({}, "linux", "/home/a")[0], join("/home/a", ".local/state/longwire/apps"));
  assert.equal(
    manifestFolders({}, "darwin", "/U/a")[0],
    join("/U/a", "Library/Application Support/longwire/apps"),
  );
  assert.match(manifestFolders(env, "win32", "C:\\U")[0] ?? "", /C:\\L.longwire.data.apps/);
});

test("positions survive in a file that only this user may read", async (t) => {
  const path = join(scratch(t), "deep", "app.json");
  const storage = new FileStorage(path);
  await Promise.all([storage.set({ a: 1 }), storage.set({ b: [2] }), storage.set({ c: 3 })]);
  await storage.remove("c");
  assert.deepEqual(JSON.parse(readFileSync(path, "utf8")), { a: 1, b: [2] });
  if (process.platform !== "win32") assert.equal(statSync(path).mode & 0o777, 0o600);
  const again = new FileStorage(path);
  assert.deepEqual(await again.get("b"), { b: [2] });
  assert.deepEqual(await again.get("c"), {});
});

test("the error for a missing host has the command for apps; a bad id throws at once", async (t) => {
  const folder = scratch(t);
  mkdirSync(join(folder, "state"), { recursive: true });
  process.env.LONGWIRE_HOME = folder;
  t.after(() => delete process.env.LONGWIRE_HOME);
  assert.throws(() => connect({ app: "no app" }), /is not an app id/);
  const bridge = connect({ app: "com.example.test" });
  await assert.rejects(bridge.open("s", "wss://x"), (error: { code: string; fix: string }) => {
    assert.equal(error.code, "host-not-found");
    assert.equal(error.fix, "longwire install --app com.example.test");
    return true;
  });
  await bridge.disconnect();
});
