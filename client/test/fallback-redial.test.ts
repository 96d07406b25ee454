// The broker in the browser, when a session is opened again: what needs another connection, and where resume positions go.
// The host's own tests of this are tests/it/dialects/updates.rs.

import assert from "node:assert/strict";
import { test } from "node:test";
import { settle } from "../src/testing/fake-clock.js";
import { BrokerClient, type Frame, stream } from "./support/browser-broker.js";

const URL_OF = (host: string, path = "/events") => `https://${host}.example${path}`;

/** A session whose event stream is open. */
async function streaming(options: Frame = {}) {
  const client = new BrokerClient();
  const server = { current: stream() };
  client.network.answer = () => {
    server.current = stream();
    return server.current.response;
  };
  await client.open({ url: URL_OF("a"), options: { protocol: "sse", ...options } });
  client.request();
  const write = async (text: string) => {
    server.current.write(text);
    await settle();
  };
  return { client, write, end: () => server.current.end() };
}

/** A session that polls. */
async function polling(poll: Frame, body = '[{"id":7,"at":1}]') {
  const client = new BrokerClient();
  client.network.answer = () => new Response(body, { headers: { etag: '"1"' } });
  await client.open({ url: URL_OF("a", "/tasks?a=1"), options: { protocol: "poll", poll } });
  client.request();
  client.received();
  return client;
}

const BY_ID = { items: "", cursor: { item: "/id", query: "since" } };

test("a changed protocol redials immediately", async () => {
  const { client } = await streaming();
  await client.open({ options: { protocol: "poll" } });
  assert.equal(client.request().headers.get("accept"), null);
  await client.open({ options: { protocol: "sse" } });
  assert.equal(client.request().headers.get("accept"), "text/event-stream");
});

test("a changed transport URL redials immediately, that of an unused transport does not", async () => {
  const { client } = await streaming({ urls: { sse: URL_OF("b", "/1") } });
  await client.open({ options: { protocol: "sse", urls: { sse: URL_OF("b", "/2") } } });
  assert.equal(client.request().url, URL_OF("b", "/2"));
  await client.open({
    options: { protocol: "sse", urls: { sse: URL_OF("b", "/2"), poll: URL_OF("b", "/3") } },
  });
  await client.open({
    url: URL_OF("unused"),
    options: { protocol: "sse", urls: { sse: URL_OF("b", "/2") } },
  });
  assert.deepEqual(client.requests(), []);
});

test("after fallback an added transport restarts dialling from the best one", async () => {
  const client = new BrokerClient();
  client.network.answer = (url) =>
    url.endsWith("/poll") ? new Response("x") : new Response(null, { status: 503 });
  const urls = { sse: URL_OF("a"), poll: URL_OF("a", "/poll") };
  await client.open({ url: URL_OF("a", "/"), options: { transports: ["sse", "poll"], urls } });
  await client.clock.advance(10_000);
  assert.equal(client.states().at(-1), "open");
  client.requests();
  await client.open({ options: { transports: ["sse", "poll", "websocket"], urls } });
  assert.equal(client.requests()[0]?.url, urls.sse);
  await client.clock.advance(10_000);
  assert.equal(client.states().at(-1), "open");
  assert.deepEqual(new Set(client.requests().map(({ url }) => url)), new Set([urls.sse, urls.poll]));
});

test("an event id is not sent to another server", async () => {
  const { client, write, end } = await streaming({ urls: { sse: URL_OF("a") } });
  await write("retry: 60000\nid: 41\ndata: x\n\n");
  await client.open({ options: { protocol: "sse", urls: { sse: URL_OF("b") } } });
  assert.equal(client.request().headers.get("last-event-id"), null);
  assert.equal(client.received("state").at(-1)?.continuity, "none");
  await client.sends("reconnect");
  assert.equal(client.request().headers.get("last-event-id"), null);
  assert.equal(client.received("state").at(-1)?.continuity, "none");
  end();
  await settle();
  const { retryIn } = client.received("state").at(-1) ?? {};
  assert.ok(Number(retryIn) < 60_000, "the first server's minimum delay is not the second one's");
});

test("credentials are not sent to another server", async () => {
  const { client, write } = await streaming();
  await write("id: 41\ndata: x\n\n");
  client.received();
  await client.sends("authorize", { id: "a", url: URL_OF("b") });
  assert.equal(client.received("error")[0]?.code, "bad-url");
  assert.deepEqual(client.requests(), []);
  await client.sends("authorize", { id: "a", url: URL_OF("a", "/events?token=2") });
  const { url, headers } = client.request();
  assert.equal(url, URL_OF("a", "/events?token=2"));
  assert.equal(headers.get("last-event-id"), "41");
});

test("another dial to the same server resumes at the last position", async () => {
  const { client, write } = await streaming();
  await write("id: 41\ndata: x\n\n");
  client.received();
  await client.open({ options: { protocol: "sse", headers: { "x-key": "2" } } });
  const { headers } = client.request();
  assert.equal(headers.get("x-key"), "2");
  assert.equal(headers.get("last-event-id"), "41");
  assert.equal(client.received("state").at(-1)?.continuity, "server");
});

test("a cursor is sent only with the options that produced it", async () => {
  const others: Frame[] = [
    { items: "", cursor: { item: "/at", query: "since" } },
    { items: "", cursor: { item: "/id", query: "after" } },
    { items: "/tasks", cursor: { item: "/id", query: "since" } },
    { items: "", cursor: { header: "x-next", query: "since" } },
    { items: "" },
  ];
  for (const poll of others) {
    const client = await polling(BY_ID);
    await client.open({ options: { protocol: "poll", poll } });
    const { url, headers } = client.request();
    assert.equal(url, URL_OF("a", "/tasks?a=1"), JSON.stringify(poll));
    assert.equal(headers.get("if-none-match"), null);
    assert.equal(client.received("state").at(-1)?.continuity, "none", JSON.stringify(poll));
  }
});

test("options unrelated to the position do not affect the link or its position", async () => {
  const client = await polling({ ...BY_ID, interval: 60_000 });
  const poll = { items: "", interval: 1000, cursor: { ...BY_ID.cursor, start: 3 } };
  await client.open({ options: { protocol: "poll", poll, linger: 5000 } });
  assert.deepEqual(client.requests(), []);
  await client.sends("reconnect");
  assert.equal(client.request().url, URL_OF("a", "/tasks?a=1&since=7"));
  assert.equal(client.received("state").at(-1)?.continuity, "server");
  // The interval is the new one.
  await client.clock.advance(1000);
  assert.equal(client.request().url, URL_OF("a", "/tasks?a=1&since=7"));
});

test("options of an unused protocol do not redial", async () => {
  const { client } = await streaming({ socketio: { namespaces: ["/"] }, poll: { interval: 1 } });
  await client.open({ options: { protocol: "sse", socketio: { namespaces: ["/b"] }, poll: BY_ID } });
  assert.deepEqual(client.requests(), []);
  const engine = new BrokerClient();
  const options = { protocol: "socket.io", socketio: { transports: ["websocket"] } };
  await engine.open({ url: URL_OF("a"), options });
  await engine.open({ options: { ...options, socketio: { ...options.socketio, path: "/socket.io/" } } });
  assert.equal(engine.network.sockets.length, 1, "it is the default");
  await engine.open({ options: { ...options, socketio: { ...options.socketio, path: "/other/" } } });
  assert.equal(engine.network.sockets.length, 2);
});

test("messages are posted with the options of that time", async () => {
  const { client } = await streaming({ post: { url: URL_OF("a", "/1") } });
  await client.open({ options: { protocol: "sse", post: { url: URL_OF("a", "/2") } } });
  client.network.answer = () => new Response();
  await client.sends("send", { id: "m", text: "x" });
  const { url, headers } = client.request();
  assert.equal(url, URL_OF("a", "/2"));
  assert.equal(headers.get("content-type"), "text/plain");
});

test("messages refused by a full log are requested again", async () => {
  const queue = { messages: 2, overflow: "close" };
  const { client, write } = await streaming({ queue, window: { messages: 2 } });
  await write("id: 1\ndata: a\n\nid: 2\ndata: b\n\nid: 3\ndata: c\n\nid: 4\ndata: d\n\n");
  assert.equal(client.states().at(-1), "open");
  await client.open();
  assert.equal(
    client.request().headers.get("last-event-id"),
    "3",
    "the third is a gap, the fourth was not read",
  );
});

test("an event id with any characters is sent in UTF-8", async () => {
  const { client, write } = await streaming();
  await write("id: é€\ndata: x\n\n");
  await client.sends("reconnect");
  const bytes = Uint8Array.from(client.request().headers.get("last-event-id") ?? "", (one) =>
    one.charCodeAt(0),
  );
  assert.equal(new TextDecoder().decode(bytes), "é€");
});

test("an `open` without URL and options changes nothing, with one of them the other is kept", async () => {
  const { client } = await streaming({ format: "json" });
  client.received();
  for (const options of [undefined, {}]) await client.open({ options, conflict: "error" });
  await client.open({ url: "wss://a.example/events", conflict: "error" });
  assert.equal(client.received("opened").length, 3);
  assert.deepEqual(client.requests(), []);
  await client.open({ url: URL_OF("b") });
  assert.equal(client.request().headers.get("accept"), "text/event-stream");
});

test("a failed link is not redialled when a client attaches", async () => {
  const client = new BrokerClient();
  await client.open({ url: "wss://a.example/", options: { reconnect: false } });
  client.network.socket.accept();
  client.network.socket.end(4000);
  await settle();
  assert.equal(client.states().at(-1), "closed");
  await client.open();
  assert.equal(client.received("opened")[0]?.state, "closed");
  await client.sends("reconnect");
  assert.equal(client.network.sockets.length, 2);
});
