// What Chromium, Firefox and Longwire put on the wire when they dial the same URLs: plain, by TLS, through nginx, HAProxy
// and tinyproxy. Every difference is printed and must have a reason here; docs/LINKS.md has them as a table.

import assert from "node:assert/strict";
import { cp, mkdir, readFile, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { haproxy, missing, nginx, tinyproxy } from "./lib/balancers.mjs";
import { Chromium } from "./lib/chromium.mjs";
import { eventually } from "./lib/eventually.mjs";
import { Firefox } from "./lib/firefox.mjs";
import { NativeHost } from "./lib/native-host.mjs";
import { Recorder } from "./lib/recorder.mjs";
import { skipUnless } from "./lib/skip.mjs";
import { World } from "./lib/world.mjs";

const TIMEOUT = 60_000;
const KINDS = ["ws", "sse", "poll"];
const ORIGIN = `chrome-extension://cfgjijgalloanpinpjgfgakgkbhlgcka/`;
const PROGRAM = process.env.LONGWIRE ?? resolve(import.meta.dirname, "../../target/debug/longwire");
const absent = missing("chromium", "firefox-esr", "nginx", "haproxy", "tinyproxy", "openssl");
const skip = skipUnless(absent.length === 0, `not installed: ${absent.join(", ")}`);

/** Headers that a browser sends and Longwire does not, and why. */
const NOT_SENT = {
  accept: "a WebSocket's answer has no content to choose",
  "accept-encoding": "a WebSocket's answer has no body",
  "accept-language": "the browser's languages are the user's; give the header if the server needs it",
  priority: "a hint of Firefox's scheduler, for HTTP/2",
  "sec-ch-ua": "client hints name a browser, which Longwire is not",
  "sec-ch-ua-mobile": "client hints name a browser, which Longwire is not",
  "sec-ch-ua-platform": "client hints name a browser, which Longwire is not",
  "sec-fetch-dest": "fetch metadata is a browser's word; extensions may not set it",
  "sec-fetch-mode": "fetch metadata is a browser's word; extensions may not set it",
  "sec-fetch-site": "fetch metadata is a browser's word; extensions may not set it",
  "sec-fetch-storage-access": "fetch metadata is a browser's word; extensions may not set it",
  "proxy-connection": "tinyproxy passes on what Chromium says to it; Longwire's requests go through a tunnel",
  "sec-gpc": "a setting of the browser's user",
  dnt: "a setting of the browser's user",
  connection: "`keep-alive` is what HTTP/1.1 means without it",
  te: "Longwire reads no trailers",
  origin: "browsers leave it out where an extension has the host's permission; servers of sockets want it everywhere",
};
/** Headers that Longwire sends and a browser does not, and why. */
const ONLY_OURS = {
  origin: NOT_SENT.origin,
  "cache-control": "an event stream and a handshake are never to come from a cache",
  pragma: "an event stream and a handshake are never to come from a cache",
};

/** A settled `fetch`, stream or socket is enough: the recorder has seen it. */
const DIAL = async (urls) => {
  const done = urls.map(
    (url) =>
      new Promise((settle) => {
        if (url.startsWith("ws")) {
          const socket = new WebSocket(url);
          socket.onopen = () => settle("open");
          socket.onerror = () => settle("failed");
        } else if (url.includes("/sse")) {
          const stream = new EventSource(url);
          stream.onmessage = () => settle(stream.close() ?? "open");
          stream.onerror = () => settle(stream.close() ?? "failed");
        } else {
          fetch(url).then(
            (answer) => settle(answer.ok ? "open" : "failed"),
            () => settle("failed"),
          );
        }
      }),
  );
  return Promise.all(done);
};

/** `[way, kind]` as a URL for one client. */
function urlOf(ways, client, way, kind) {
  const { port, secure, host = "localhost" } = ways[way];
  const scheme = (kind === "ws" ? "ws" : "http") + (secure ? "s" : "");
  return `${scheme}://${host}:${port}/${client}/${way}/${kind}`;
}

/** The head that a client sent on one way. */
const headOf = (recorder, client, way, kind) =>
  recorder.seen.find(({ line }) => line.startsWith("GET ") && line.includes(`/${client}/${way}/${kind} `));

test("the same URLs are dialled as browsers dial them, and every difference has its reason", { skip }, async (t) => {
  const world = await World.make();
  t.after(() => world.end());
  const recorder = await Recorder.start(world.folder);
  t.after(() => recorder.stop());
  const ways = {
    plain: { port: recorder.port },
    tls: { port: recorder.tlsPort, secure: true },
    nginx: { port: await nginx(t, world.folder, recorder.port) },
    haproxy: { port: await haproxy(t, world.folder, recorder.port) },
  };
  const proxy = await recorder.before(await tinyproxy(t, world.folder));
  // By this name of the machine every client goes through the proxy, by the other it does not.
  ways.tinyproxy = { port: recorder.port, host: "127.0.0.1" };
  const urls = (client) => Object.keys(ways).flatMap((way) => KINDS.map((kind) => urlOf(ways, client, way, kind)));

  const chromium = await Chromium.launch({
    profile: world.profile,
    extension: World.EXTENSION,
    env: world.env,
    flags: [
      "--ignore-certificate-errors",
      `--proxy-server=http://127.0.0.1:${proxy}`,
      "--proxy-bypass-list=<-loopback>;localhost",
    ],
  });
  t.after(() => chromium.close());
  const page = await chromium.open(world.id, "popup.html");
  const opened = { chromium: await page.evaluate(DIAL, urls("chromium")) };

  const addon = "hello@longwire.example";
  const firefox = await Firefox.launch({
    profile: join(world.folder, "firefox"),
    extension: await plainSockets(world),
    addon,
    env: world.env,
    capabilities: { acceptInsecureCerts: true },
    prefs: {
      "network.proxy.type": 1,
      "network.proxy.http": "127.0.0.1",
      "network.proxy.http_port": proxy,
      "network.proxy.ssl": "127.0.0.1",
      "network.proxy.ssl_port": proxy,
      "network.proxy.no_proxies_on": "localhost",
      "network.proxy.allow_hijacking_localhost": true,
    },
  });
  t.after(() => firefox.close());
  const popup = await firefox.open("popup.html");
  opened.firefox = await popup.evaluate(DIAL, urls("firefox"));

  await mkdir(join(world.home, "config"), { recursive: true });
  const settings = `[tls]\ninsecure-hosts = ["localhost"]\n[default]\nown-proxy = true\nallow = ["ws://*", "wss://*"]\n`;
  await writeFile(join(world.home, "config", "settings.toml"), settings, { mode: 0o600 });
  const host = new NativeHost(PROGRAM, ORIGIN, world.env);
  t.after(() => host.end());
  const protocols = { ws: "websocket", sse: "sse", poll: "poll" };
  const dial = (session, url, options) => host.send({ type: "open", id: session, session, url, options });
  for (const way of Object.keys(ways)) {
    for (const kind of KINDS) {
      const through = way === "tinyproxy" ? { proxy: `http://127.0.0.1:${proxy}` } : {};
      const options = { protocol: protocols[kind], reconnect: false, ...through };
      dial(`${way} ${kind}`, urlOf(ways, "longwire", way, kind), options);
    }
  }
  const isOpen = (session) =>
    host.frames.some((frame) => frame.type === "state" && frame.session === session && frame.state === "open");
  const sessions = Object.keys(ways).flatMap((way) => KINDS.map((kind) => `${way} ${kind}`));
  await eventually(TIMEOUT, "every session of Longwire's open", () => sessions.every(isOpen)).catch((error) => {
    const states = host.frames.filter(({ type }) => type === "state" || type === "error");
    throw new Error(`${error.message}: ${JSON.stringify(states)}`);
  });
  assert.deepEqual(opened.chromium.filter((end) => end !== "open"), [], "Chromium opens all");
  assert.deepEqual(opened.firefox.filter((end) => end !== "open"), [], "Firefox opens all");

  // What each client requests from the proxy: the same.
  const connects = recorder.seen.filter(({ line }) => line.startsWith("CONNECT 127.0.0.1:"));
  const asked = (client) =>
    connects
      .filter(({ headers }) => client.test(headers.find(([name]) => name === "User-Agent")[1]))
      .map(({ headers }) => headers.map(([name]) => name).sort());
  const names = ["Host", "Proxy-Connection", "User-Agent"];
  assert.deepEqual(asked(/^longwire/), [names, names, names], "a tunnel for each kind");
  assert.deepEqual(asked(/Chrome/)[0], names);
  assert.ok(names.every((name) => asked(/Firefox/)[0].includes(name)));

  const unexplained = [];
  const report = (way, kind, name, text, reason) => {
    t.diagnostic(`${way} ${kind}: ${name}: ${text}: ${reason ?? "NO REASON"}`);
    if (!reason) unexplained.push(`${way} ${kind}: ${name}: ${text}`);
  };
  for (const way of Object.keys(ways)) {
    for (const kind of KINDS) {
      const ours = headOf(recorder, "longwire", way, kind);
      for (const client of ["chromium", "firefox"]) {
        const theirs = headOf(recorder, client, way, kind);
        const spelled = new Map(ours.headers.map(([name]) => [name.toLowerCase(), name]));
        for (const [name] of theirs.headers) {
          const lower = name.toLowerCase();
          const own = spelled.get(lower);
          // What a balancer has written is the balancer's.
          if (own === undefined) report(way, kind, name, `${client} sends it`, NOT_SENT[lower]);
          else if (own !== name && way !== "haproxy") unexplained.push(`${way} ${kind}: ${own} is ${name} in ${client}`);
        }
        const known = new Set(theirs.headers.map(([name]) => name.toLowerCase()));
        for (const [lower, name] of spelled) {
          if (!known.has(lower)) report(way, kind, name, `${client} does not send it`, ONLY_OURS[lower]);
        }
      }
    }
  }
  assert.deepEqual(unexplained, []);
});

/** A copy of the example whose pages may use `ws:`. By default Firefox turns it into `wss:`. */
async function plainSockets(world) {
  const extension = join(world.folder, "extension");
  await cp(World.EXTENSION, extension, { recursive: true });
  const path = join(extension, "manifest.json");
  const manifest = JSON.parse(await readFile(path, "utf8"));
  manifest.content_security_policy = { extension_pages: "script-src 'self'" };
  await writeFile(path, JSON.stringify(manifest));
  return extension;
}
