// Uploads from a page that do not fit any queue: sender and server must agree on every byte, in order.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { test } from "node:test";
import { WebSocketServer } from "ws";
import { eventually } from "./lib/eventually.mjs";
import { World } from "./lib/world.mjs";

const MIB = 1024 * 1024;
const LONG = 300_000;

/** A server that hashes what it gets, with the page of the example extension before it. */
async function started(t) {
  const world = await World.make();
  t.after(() => world.end());
  const server = new WebSocketServer({ host: "127.0.0.1", port: 0, perMessageDeflate: false, maxPayload: 64 * MIB });
  await once(server, "listening");
  t.after(() => {
    for (const socket of server.clients) socket.terminate();
    server.close();
  });
  const seen = { bytes: 0, texts: [], hash: createHash("sha256"), closed: undefined };
  server.on("connection", (socket) => {
    socket.on("error", () => {});
    socket.on("close", (code) => {
      seen.closed = code;
    });
    socket.on("message", (data, isBinary) => {
      if (!isBinary) return seen.texts.push(`${data} after ${seen.bytes}`);
      seen.bytes += data.length;
      seen.hash.update(data);
    });
  });
  await world.longwire("install", "--extension", world.id, "--browser", "chromium");
  await world.launch();
  return { world, seen, url: `ws://127.0.0.1:${server.address().port}/` };
}

/** What the server's hash must be: message `n` is `length` bytes of the value `n`. */
function expected(count, length) {
  const hash = createHash("sha256");
  for (let n = 0; n < count; n += 1) hash.update(Buffer.alloc(length, n));
  return hash.digest("hex");
}

test("an upload of 120 MB that waits for bufferedAmount arrives completely", async (t) => {
  const { world, seen, url } = await started(t);
  const since = Date.now();
  const result = await world.page.evaluateFor(
    LONG,
    async (url) => {
      const { LongwireSocket } = await import("./longwire.js");
      const socket = new LongwireSocket(url);
      const closed = new Promise((close) => socket.addEventListener("close", close));
      await new Promise((open) => socket.addEventListener("open", open));
      let most = 0;
      for (let n = 0; n < 120 && socket.readyState === 1; n += 1) {
        socket.send(new Uint8Array(1024 * 1024).fill(n));
        most = Math.max(most, socket.bufferedAmount);
        while (socket.bufferedAmount > 4 * 1024 * 1024) await new Promise((wait) => setTimeout(wait, 1));
      }
      socket.close(1000);
      const { code, wasClean } = await closed;
      return { code, wasClean, most };
    },
    url,
  );
  t.diagnostic(`120 MB in ${Date.now() - since} ms; at most ${result.most} bytes in bufferedAmount`);
  assert.equal(seen.bytes, 120 * MIB);
  assert.equal(seen.hash.digest("hex"), expected(120, MIB));
  assert.deepEqual([result.code, result.wasClean], [1000, true]);
  await eventually(LONG, "the server's end", () => seen.closed === 1000);
  assert.ok(result.most <= 5 * MIB, `bufferedAmount was ${result.most}`);
});

test("Blobs from a session arrive in order", async (t) => {
  const { world, seen, url } = await started(t);
  await world.page.evaluateFor(
    LONG,
    async (url) => {
      const { connect } = await import("./longwire.js");
      const session = await connect({ client: "upload" }).open("upload", url);
      const sent = [];
      for (let n = 0; n < 6; n += 1) {
        sent.push(session.send(new Blob([new Uint8Array(1024 * 1024).fill(n)])), session.send(`text ${n}`));
      }
      await Promise.all(sent);
      await session.close();
    },
    url,
  );
  await eventually(LONG, "the end", () => seen.closed !== undefined);
  assert.equal(seen.hash.digest("hex"), expected(6, MIB));
  assert.deepEqual(
    seen.texts,
    Array.from({ length: 6 }, (_, n) => `text ${n} after ${(n + 1) * MIB}`),
  );
});
