// Servers behind Debian's nginx and HAProxy with their defaults, servers of HTTP/2 only, and a captive portal: what the
// extension receives, and which errors it gets.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import http2 from "node:http2";
import { join, resolve } from "node:path";
import { test } from "node:test";
import zlib from "node:zlib";
import { haproxy, missing, nginx } from "./lib/balancers.mjs";
import { eventually } from "./lib/eventually.mjs";
import { freePort } from "./lib/free-port.mjs";
import { NativeHost } from "./lib/native-host.mjs";
import { skipUnless } from "./lib/skip.mjs";
import { World } from "./lib/world.mjs";

const TIMEOUT = 60_000;
const PROGRAM = process.env.LONGWIRE ?? resolve(import.meta.dirname, "../../target/debug/longwire");
const ORIGIN = "chrome-extension://cfgjijgalloanpinpjgfgakgkbhlgcka/";
const absent = missing("nginx", "haproxy", "openssl");
const skip = skipUnless(absent.length === 0, `not installed: ${absent.join(", ")}`);
/** Words of libraries and of the program's own parts, which nobody should have to know. */
const INTERNAL = /channel closed|utf8error|hyper|rustls|tungstenite|tokio|NoApplicationProtocol|Elapsed|::|Some\(|Err\(|Kind|<[a-z]/i;

async function listening(t, server) {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.closeAllConnections?.();
    server.close();
  });
  return server.address().port;
}

/** A home with a host; `dial` opens a session, `until` waits for a frame of it. */
async function setUp(t) {
  const world = await World.make();
  t.after(() => world.end());
  await mkdir(join(world.home, "config"), { recursive: true });
  const settings = `[tls]\ninsecure-hosts = ["localhost"]\n[default]\nallow = ["ws://*", "wss://*"]\n`;
  await writeFile(join(world.home, "config", "settings.toml"), settings, { mode: 0o600 });
  const host = new NativeHost(PROGRAM, ORIGIN, world.env);
  t.after(() => host.end());
  const dial = (session, url, options) => host.send({ type: "open", id: session, session, url, options });
  const until = (session, what, fits) =>
    eventually(TIMEOUT, `${session}: ${what}`, () => host.frames.find((one) => one.session === session && fits(one))).catch((error) => {
      const frames = host.frames.filter((one) => one.session === session || one.id === session);
      throw new Error(`${error.message}: ${JSON.stringify(frames)}`);
    });
  const state = (session, name) => until(session, name, (one) => one.type === "state" && one.state === name);
  const message = (session, text) => until(session, text, (one) => [one.text].flat().includes(text));
  /** The error that the extension and its user get for a failed dial. */
  const reported = async (session) => {
    const over = (one) => one.type === "state" && ["waiting", "failed"].includes(one.state);
    const { error, reason } = await until(session, "over", over);
    const line = `${error.code}: ${error.message} ${reason ?? ""}`;
    assert.doesNotMatch(line, INTERNAL);
    return line;
  };
  return { world, host, dial, until, state, message, reported };
}

/** A server of events; `send` sends one to the client of that path. */
async function events(t, headers = {}, coded = (response) => response) {
  const open = new Map();
  const server = createServer((request, response) => {
    response.writeHead(200, { "Content-Type": "text/event-stream", ...headers });
    response.flushHeaders();
    open.set(request.url, coded(response));
  });
  const port = await listening(t, server);
  const stream = (path) => eventually(TIMEOUT, `somebody at ${path}`, () => open.get(path));
  const send = async (path, text) => {
    const to = await stream(path);
    to.write(`data: ${text}\n\n`);
    to.flush?.();
  };
  return { port, send, stream };
}

test("an event stream whose response head nginx delays opens with its first event", { skip }, async (t) => {
  const { world, host, dial, state, message } = await setUp(t);
  const server = await events(t);
  const port = await nginx(t, world.folder, server.port);
  dial("s", `http://localhost:${port}/a`, { protocol: "sse" });
  await server.stream("/a");
  // Another stream of the same server, not held back, shows that the first one had its time.
  dial("other", `http://localhost:${server.port}/b`, { protocol: "sse" });
  await state("other", "open");
  await server.send("/b", "now");
  await message("other", "now");
  assert.ok(!host.frames.some((one) => one.session === "s" && one.state === "open" && one.type === "state"), "nginx holds the head back");
  await server.send("/a", "first");
  await message("s", "first");
  await server.send("/a", "second");
  await message("s", "second");
  const states = host.frames.filter((one) => one.session === "s" && one.type === "state").map((one) => one.state);
  assert.deepEqual(states, ["connecting", "open"], "it was no fault");
});

test("the error for an event stream that nginx delays too long names buffering and its header", { skip }, async (t) => {
  const { world, dial, reported } = await setUp(t);
  const server = await events(t);
  const port = await nginx(t, world.folder, server.port);
  dial("s", `http://localhost:${port}/a`, { protocol: "sse", connectTimeout: 1000 });
  const line = await reported("s");
  assert.match(line, /^timeout: .*buffer.*X-Accel-Buffering/);
});

test("`X-Accel-Buffering: no` lets each event through nginx, compressed or not", { skip }, async (t) => {
  const { world, dial, state, message } = await setUp(t);
  const server = await events(t, { "X-Accel-Buffering": "no" });
  const more = "gzip on; gzip_types text/event-stream; gzip_min_length 0; gzip_proxied any;";
  const port = await nginx(t, world.folder, server.port, { more, log: "$uri $sent_http_content_encoding" });
  dial("s", `http://localhost:${port}/a`, { protocol: "sse", reconnect: { minDelay: 1, maxDelay: 1 } });
  await server.send("/a", "one");
  await state("s", "open");
  await message("s", "one");
  await server.send("/a", "two");
  await message("s", "two");
  (await server.stream("/a")).end();
  await state("s", "waiting");
  await eventually(TIMEOUT, "nginx has compressed it", async () => (await readFile(join(world.folder, "access.log"), "utf8")).includes("/a gzip"));
});

test("events are decoded from every content coding that browsers accept", async (t) => {
  const { dial, message } = await setUp(t);
  const piped = (encoder) => (response) => {
    encoder.pipe(response);
    return encoder;
  };
  for (const [coding, encoder] of [["gzip", zlib.createGzip()], ["deflate", zlib.createDeflate()], ["br", zlib.createBrotliCompress()]]) {
    const server = await events(t, { "Content-Encoding": coding }, piped(encoder));
    dial(coding, `http://localhost:${server.port}/${coding}`, { protocol: "sse" });
    for (const text of ["one", "two"]) {
      await server.send(`/${coding}`, text);
      await message(coding, text);
    }
  }
});

test("pages of nginx and HAProxy in place of a server are reported with their titles", { skip }, async (t) => {
  const { world, dial, reported } = await setUp(t);
  const nobody = await freePort();
  const balancers = { nginx: await nginx(t, world.folder, nobody), haproxy: await haproxy(t, world.folder, nobody) };
  const pages = { nginx: /http-status: .*502.* an HTML page titled `502 Bad Gateway`/, haproxy: /http-status: .*503.* an HTML page titled `503 Service Unavailable`/ };
  const kinds = { ws: {}, sse: { protocol: "sse" }, poll: { protocol: "poll" }, io: { protocol: "socket.io" } };
  for (const [name, port] of Object.entries(balancers)) {
    for (const [kind, options] of Object.entries(kinds)) {
      const session = `${name} ${kind}`;
      dial(session, `${kind === "ws" ? "ws" : "http"}://localhost:${port}/`, options);
      assert.match(await reported(session), pages[name], session);
    }
  }
});

test("a captive portal is reported as a page, wherever it redirects", async (t) => {
  const { dial, reported } = await setUp(t);
  const portal = createServer((request, response) => {
    if (request.url.startsWith("/login")) {
      return response.writeHead(200, { "Content-Type": "text/html" }).end("<!DOCTYPE html>\n<title>Log in to\n the hotel</title><p>");
    }
    response.writeHead(302, { Location: "/login?to=x" }).end();
  });
  portal.on("upgrade", (_, socket) => socket.end("HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n"));
  const port = await listening(t, portal);
  for (const [kind, options] of Object.entries({ sse: { protocol: "sse" }, poll: { protocol: "poll" }, io: { protocol: "socket.io" } })) {
    dial(kind, `http://localhost:${port}/live`, options);
    assert.match(await reported(kind), /an HTML page titled `Log in to the hotel`/, kind);
  }
  dial("ws", `ws://localhost:${port}/live`, {});
  assert.match(await reported("ws"), /http-status: .*302.*redirects are not followed/);
});

test("a server with HTTP/2 only is reported as such", { skip }, async (t) => {
  const { world, dial, reported } = await setUp(t);
  const [key, cert] = ["key.pem", "cert.pem"].map((name) => join(world.folder, name));
  execFileSync("openssl", ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", key, "-out", cert, "-subj", "/CN=localhost"], { stdio: "ignore" });
  const options = { key: await readFile(key), cert: await readFile(cert), allowHTTP1: false, ALPNProtocols: ["h2"] };
  const secure = await listening(t, http2.createSecureServer(options, (_, response) => response.end("hi")));
  const plain = await listening(t, http2.createServer((_, response) => response.end("hi")));
  for (const [kind, options] of Object.entries({ ws: {}, sse: { protocol: "sse" }, poll: { protocol: "poll" }, io: { protocol: "socket.io" } })) {
    for (const [scheme, port] of [["s", secure], ["", plain]]) {
      const session = `${kind}${scheme}`;
      dial(session, `${kind === "ws" ? "ws" : "http"}${scheme}://localhost:${port}/`, options);
      // Without TLS the server closes immediately, and what it sent before may be lost.
      const expected = scheme ? /Longwire requires HTTP\/1\.1/ : /Longwire requires HTTP\/1\.1|ended before there was an answer/;
      assert.match(await reported(session), expected, session);
    }
  }
});
