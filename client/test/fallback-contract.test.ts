// The contract that the broker in the browser shares with the host's, where the order and the contents of frames show it.

import assert from "node:assert/strict";
import { test } from "node:test";
import { settle } from "../src/testing/fake-clock.js";
import { BrokerClient, type Frame } from "./support/browser-broker.js";

const URL_A = "wss://a.example/";

async function opened(options: Frame = {}): Promise<BrokerClient> {
  const client = new BrokerClient();
  await client.open({ url: URL_A, options });
  client.network.socket.accept();
  await settle();
  return client;
}

const ALL = ["opened", "live", "state", "outcome", "ok", "message", "gap", "error", "detached", "accepted"];
/** Frames in short: the type, and what tells it from others. */
const short = (frames: Frame[]) =>
  frames.map(({ type, state, outcome, text }) => [type, state ?? outcome ?? text].filter(Boolean).join(" "));

test("a new session is answered before it dials", async () => {
  const client = new BrokerClient();
  await client.open({ url: URL_A });
  assert.deepEqual(short(client.received(...ALL)), ["opened connecting", "live", "state connecting"]);
  await client.open({ url: URL_A, options: { auth: "provider" }, session: "t" });
  assert.equal(client.received("opened")[0]?.state, "unauthorized");
});

test("a record that was not acknowledged is redelivered as such", async () => {
  const client = await opened();
  client.network.socket.deliver("1");
  client.network.socket.deliver("2");
  await settle();
  const [first] = client.received("message");
  await client.sends("ack", { seq: first?.seq });
  await client.sends("detach");
  client.network.socket.deliver("3");
  await client.open();
  const again = client.received("message").map(({ text, redelivered }) => [text, redelivered]);
  assert.deepEqual(again, [
    ["2", true],
    ["3", undefined],
  ]);
});

test("a client that asks for what has become a gap is told so", async () => {
  const client = await opened({ queue: { messages: 2 }, window: { messages: 2 } });
  const { epoch } = client.received("opened")[0] ?? {};
  for (const text of ["1", "2", "3", "4"]) client.network.socket.deliver(text);
  await client.open({ resume: { epoch, seq: 0 } });
  assert.equal(client.received("opened")[0]?.resume, "gap");
  await client.open({ resume: { epoch, seq: 4 } });
  assert.equal(client.received("opened")[0]?.resume, "exact");
});

test("the state says why before messages end", async () => {
  const client = await opened();
  client.received();
  await client.sends("request", { id: "r", json: { id: 1 }, match: { jsonrpc: true } });
  await client.sends("send", { id: "m", text: "x", confirm: { out: "/id", in: "/id" }, json: { id: 2 } });
  client.network.socket.end(1006);
  await settle();
  const types = client.received("state", "response").map(({ type }) => type);
  assert.deepEqual(types, ["state", "response"]);
});

test("an answer comes before what the frame causes", async () => {
  const client = await opened({ window: { messages: 0, bytes: 0 } });
  client.received();
  await client.sends("window", { id: "w", messages: 9, bytes: 9999 });
  assert.deepEqual(short(client.received(...ALL)), ["ok", "state open"]);
  await client.sends("reconnect", { id: "r" });
  assert.deepEqual(short(client.received(...ALL)), ["ok", "state connecting"]);
});

test("a close frame has the code that was asked for, 1000, or none where no script may send it", async () => {
  for (const [code, closed] of [
    [undefined, { code: 1000 }],
    [1000, { code: 1000 }],
    [3001, { code: 3001 }],
    [1001, {}],
    [1005, {}],
  ] as const) {
    const client = await opened();
    await client.sends("close", { code });
    assert.deepEqual(client.network.socket.closed, closed, `${code}`);
  }
  const client = await opened();
  await client.sends("reconnect");
  assert.deepEqual(client.network.sockets[0]?.closed, { code: 1000 });
});

test("a session without a connection does not end cleanly, and its messages say why", async () => {
  const client = await opened({ closeTimeout: 100 });
  client.network.socket.end(1006);
  await client.sends("send", { id: "a", text: "1" });
  await client.sends("send", { id: "b", text: "2" });
  await client.sends("cancel", { id: "a" });
  await client.sends("close");
  await client.clock.advance(100);
  const codes = client.received("outcome", "detached").map(({ id, error, clean }) => {
    const { code, retry } = (error ?? {}) as Frame;
    return [id, code, retry, clean];
  });
  assert.deepEqual(codes, [
    ["a", "cancelled", "no", undefined],
    ["b", "not-sent", "now", undefined],
    [undefined, undefined, undefined, false],
  ]);
  await client.sends("send", { id: "c", text: "3" });
  assert.equal(client.received("error")[0]?.code, "no-session");
});

test("an expired message says why, and a response that is not JSON has no position", async () => {
  const client = new BrokerClient();
  await client.open({ url: URL_A });
  await client.sends("send", { id: "a", text: "1", ttl: 10 });
  await client.clock.advance(10);
  const [expired] = client.received("outcome");
  const { code } = (expired?.error ?? {}) as Frame;
  assert.deepEqual([expired?.outcome, code], ["expired", "timeout"]);
  const poll = new BrokerClient();
  poll.network.answer = () => new Response("no JSON");
  const options = { protocol: "poll", poll: { cursor: { pointer: "/next", query: "since" } } };
  await poll.open({ url: URL_A, options });
  assert.equal(poll.states().at(-1), "waiting");
});

test("a code that means stop is final without `reconnect` too; `maxAttempts` counts from the first dial", async () => {
  const stopped = await opened({ reconnect: false });
  stopped.network.socket.end(1008);
  await settle();
  assert.equal(stopped.states().at(-1), "failed");
  const client = new BrokerClient();
  await client.open({ url: URL_A, options: { reconnect: { maxAttempts: 1 } } });
  client.network.socket.end(1006);
  await client.clock.advance(1000);
  client.network.socket.end(1006);
  await settle();
  assert.equal(client.states().at(-1), "failed");
});

test("credentials: two fresh ones may be refused, expired ones are asked for anew, and a reconnect keeps them", async () => {
  const client = new BrokerClient();
  await client.open({ url: URL_A, options: { auth: "provider" } });
  let nonce: unknown;
  const asked = () => {
    const all = client.received("auth-needed");
    nonce = all.at(-1)?.nonce;
    return all.map(({ why, attempt }) => [why, attempt]);
  };
  const answer = async (token: string) => {
    await client.sends("authorize", { nonce, url: `${URL_A}?${token}` });
    client.network.socket.accept();
    await settle();
  };
  assert.deepEqual(asked(), [["first", 1]]);
  const first = nonce;
  await client.open();
  assert.deepEqual(asked(), [["first", 1]]);
  assert.equal(nonce, first, "the question is the same");
  await answer("1");
  client.network.socket.end(4401);
  await settle();
  assert.deepEqual(asked(), [["refused", 2]]);
  await client.sends("authorize", { id: "late", nonce: first, url: URL_A });
  assert.equal(client.received("error")[0]?.code, "bad-frame");
  await answer("2");
  // A connection that lasts shows that the server accepted them: later they have expired.
  await client.clock.advance(10_000);
  for (const token of ["3", "4"]) {
    client.network.socket.end(4401);
    await settle();
    assert.equal(asked()[0]?.[0], "refused");
    await answer(token);
  }
  await client.sends("reconnect");
  assert.deepEqual(asked(), []);
  assert.equal(client.network.socket.url, `${URL_A}?4`);
  client.network.socket.end(4401);
  await settle();
  assert.deepEqual(asked().length, 1, "`reconnect` lets it be refused twice again");
});
