// Responses, URLs and cookies at the edges of the standards: what Chromium makes of each, Longwire makes of it too. Where
// they differ, `lib/edge-cases.mjs` has the reason.

import assert from "node:assert/strict";
import { cp, mkdir, readFile, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { Chromium } from "./lib/chromium.mjs";
import { COOKIES, EdgeServer, OTHER_COOKIES, REDIRECTS, SOCKETS, STREAMS, URLS } from "./lib/edge-cases.mjs";
import { eventually } from "./lib/eventually.mjs";
import { NativeHost } from "./lib/native-host.mjs";
import { World } from "./lib/world.mjs";

const TIMEOUT = 60_000;
const PROGRAM = process.env.LONGWIRE ?? resolve(import.meta.dirname, "../../target/debug/longwire");
const ORIGIN = "chrome-extension://cfgjijgalloanpinpjgfgakgkbhlgcka/";
const CASES = { ws: SOCKETS, sse: STREAMS, redirects: REDIRECTS };

/** In a browser: dials, and gives what happened, to the end. */
const DIAL = (dials) => {
  const hex = (data) => [...new Uint8Array(data)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const socket = (url, protocols) =>
    new Promise((settle) => {
      const seen = [];
      const ws = new WebSocket(url, protocols ?? []);
      ws.binaryType = "arraybuffer";
      ws.onopen = () => seen.push(`open ${ws.protocol}`.trim());
      ws.onmessage = ({ data }) => seen.push(typeof data === "string" ? `text ${data}` : `bytes ${hex(data)}`);
      ws.onclose = ({ code, reason }) => settle([...seen, `close ${code} ${reason}`.trim()]);
    });
  const stream = (url) =>
    new Promise((settle) => {
      const seen = [];
      const source = new EventSource(url, { withCredentials: true });
      source.onopen = () => seen.push("open");
      const event = ({ type, data, lastEventId }) =>
        seen.push(["message", data, ...(lastEventId ? [lastEventId] : []), ...(type === "message" ? [] : [type])].join(" "));
      source.onmessage = event;
      source.addEventListener("a b", event);
      source.onerror = () => {
        if (seen.length === 0) settle(source.close() ?? ["failed"]);
        else if (source.readyState === EventSource.CLOSED) settle([...seen, "closed"]);
        else seen.push("again");
      };
    });
  return Promise.all(
    dials.map(async ({ kind, url, protocols }) => {
      try {
        return await (kind === "ws" ? socket(url, protocols) : stream(url));
      } catch {
        return ["invalid"];
      }
    }),
  );
};

/** What happened to a Longwire session, in the terms of a browser; undefined before its end. */
function outcomeOf(frames, session, kind) {
  const seen = [];
  for (const frame of frames.filter((one) => one.session === session || one.id === session)) {
    if (frame.type === "error") return ["invalid"];
    if (frame.type === "state" && frame.state === "open") seen.push(`open ${frame.subprotocol ?? ""}`.trim());
    else if (frame.type === "state" && frame.state === "waiting") {
      if (seen.length === 0) return ["failed"];
      seen.push("again");
    } else if (frame.type === "state" && ["closed", "failed"].includes(frame.state)) {
      if (kind === "ws") return [...seen, `close ${frame.code ?? 1006} ${seen.length > 0 ? (frame.reason ?? "") : ""}`.trim()];
      return seen.length === 0 ? ["failed"] : [...seen, "closed"];
    } else if (frame.base64 !== undefined) seen.push(`bytes ${Buffer.from(frame.base64, "base64").toString("hex")}`);
    else if (frame.type === "message" || frame.type === "messages") {
      const { lastEventId, event } = frame;
      for (const text of [frame.text].flat()) {
        if (kind === "ws") seen.push(`text ${text}`);
        else seen.push(["message", text, ...(lastEventId ? [lastEventId] : []), ...(event ? [event] : [])].join(" "));
      }
    }
  }
  return undefined;
}

/** A dial of each case by one client. */
function dialsOf(group, port, client) {
  const local = `localhost:${port}`;
  if (group === "urls") {
    return Object.values(URLS).map(([scheme, host, rest, portOf], index) => ({
      kind: scheme === "http" ? "sse" : "ws",
      url: `${scheme.replace(":ws", "")}://${host}:${portOf?.(port) ?? port}${rest.replace("MARK", `urls/${index}/${client}`)}`,
    }));
  }
  if (group === "cookies") {
    return Object.keys(COOKIES).map((_, index) => ({ kind: "sse", url: `http://c${index}.${local}/cookies/${index}/${client}` }));
  }
  return Object.values(CASES[group]).map(([, , options], index) => ({
    kind: group === "ws" ? "ws" : "sse",
    url: `${group === "ws" ? "ws" : "http"}://${local}/${group}/${index}/${client}`,
    protocols: options?.protocols,
  }));
}

/** Chromium and a host of Longwire's at one server. */
async function setUp(t) {
  const world = await World.make();
  t.after(() => world.end());
  const server = await EdgeServer.start();
  t.after(() => server.stop());
  const extension = join(world.folder, "extension");
  await cp(World.EXTENSION, extension, { recursive: true });
  const manifest = JSON.parse(await readFile(join(extension, "manifest.json"), "utf8"));
  await writeFile(join(extension, "manifest.json"), JSON.stringify({ ...manifest, host_permissions: ["<all_urls>"] }));
  const chromium = await Chromium.launch({ profile: world.profile, extension, env: world.env });
  t.after(() => chromium.close());
  const page = await chromium.open(world.id, "popup.html");
  await mkdir(join(world.home, "config"), { recursive: true });
  await writeFile(join(world.home, "config", "settings.toml"), `[default]\nallow = ["ws://*"]\n`, { mode: 0o600 });
  const host = new NativeHost(PROGRAM, ORIGIN, world.env);
  t.after(() => host.end());

  const dial = async (group) => {
    const theirs = await page.evaluateFor(TIMEOUT, DIAL, dialsOf(group, server.port, "chromium"));
    const dials = dialsOf(group, server.port, "longwire");
    dials.forEach(({ kind, url, protocols }, index) => {
      const again = { maxAttempts: 3, minDelay: 1, maxDelay: 1 };
      const options = kind === "ws" ? { reconnect: false, subprotocols: protocols } : { protocol: "sse", reconnect: again };
      host.send({ type: "open", id: `${group} ${index}`, session: `${group} ${index}`, url, options });
    });
    const outcomes = () => dials.map(({ kind }, index) => outcomeOf(host.frames, `${group} ${index}`, kind));
    await eventually(TIMEOUT, `${group}: all over`, () => outcomes().every(Boolean)).catch((error) => {
      const open = dials.filter((_, index) => !outcomes()[index]).map(({ url }) => url);
      throw new Error(`${error.message}: ${open.join(" ")}`);
    });
    return { ours: outcomes(), theirs };
  };
  return { server, dial };
}

test("responses that Chromium accepts are accepted, with the same end", async (t) => {
  const { dial } = await setUp(t);
  const wrong = [];
  for (const [group, cases] of Object.entries(CASES)) {
    const { ours, theirs } = await dial(group);
    Object.entries(cases).forEach(([name, [, browsers, deliberate]], index) => {
      const expected = deliberate?.ours ?? browsers;
      if (deliberate?.why) t.diagnostic(`${group}, ${name}: ${JSON.stringify(expected)}: ${deliberate.why}`);
      const line = JSON.stringify;
      if (line(theirs[index]) !== line(browsers)) wrong.push(`Chromium, ${group}, ${name}: ${line(theirs[index])}`);
      if (line(ours[index]) !== line(expected)) wrong.push(`Longwire, ${group}, ${name}: ${line(ours[index])}`);
    });
  }
  assert.deepEqual(wrong, []);
});

test("URLs are requested as Chromium requests them", async (t) => {
  const { server, dial } = await setUp(t);
  const { ours, theirs } = await dial("urls");
  const asked = (index, client) => {
    const head = server.seen.find(({ line }) => line.includes(`/urls/${index}/${client}`));
    return head && [head.line.replace(client, "CLIENT"), head.value("host")];
  };
  Object.keys(URLS).forEach((name, index) => {
    const [ourHead, theirHead] = [asked(index, "longwire"), asked(index, "chromium")];
    assert.deepEqual(ourHead, theirHead, name);
    // An error of the constructor or a later one: nobody is dialled.
    if (theirHead) assert.equal(ours[index][0], theirs[index][0], name);
  });
});

test("cookies that a server sets are sent as by Chromium", async (t) => {
  const { server, dial } = await setUp(t);
  await dial("cookies");
  const sent = (index, client) => {
    const heads = server.seen.filter(({ line }) => line.includes(`/cookies/${index}/${client} `));
    assert.equal(heads.length, 2, `${client} asks twice`);
    return heads[1].value("cookie")?.split("; ").sort();
  };
  Object.keys(COOKIES).forEach((name, index) => {
    if (OTHER_COOKIES[name]) return t.diagnostic(`${name}: ${sent(index, "longwire")}: ${OTHER_COOKIES[name]}`);
    assert.deepEqual(sent(index, "longwire"), sent(index, "chromium"), name);
  });
});
