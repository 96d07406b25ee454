// Sockets over a fake worker, for the tests of `LongwireSocket`.

import "./close-event.js";
import assert from "node:assert/strict";
import { LongwireSocket, type SocketOptions } from "../../src/index.js";
import { settle } from "../../src/testing/fake-clock.js";
import { startWorker, type Worker } from "./worker.js";

/** A socket whose events are written down. */
export function socket(worker: Worker, options: SocketOptions = {}, protocols: string | string[] = []) {
  const made = new LongwireSocket("ws://x.test/p?token=1", protocols, { bridge: worker.bridge, ...options });
  const log: string[] = [];
  for (const type of ["open", "message", "error", "close", "reconnecting", "resumed", "gap"]) {
    made.addEventListener(type, (event) => {
      const { code, wasClean, reason } = event as CloseEvent;
      if (type === "message") log.push(`message ${String((event as MessageEvent).data)}`);
      else log.push(type === "close" ? `close ${code} ${wasClean} ${reason}`.trim() : type);
    });
  }
  return { made, log };
}

export const standard = {};
export const persistent = { session: "persistent" };
export const name = (worker: Worker) => [...worker.broker.sessions.keys()][0] as string;

/** What reached the server as text. */
export const texts = (worker: Worker) =>
  worker.frames("send").map((frame) => (frame as { text?: string }).text);

/** Another session in the broker. */
export async function watchOpen(worker: Worker, session: string) {
  const opening = worker.bridge.open(session, "ws://x.test/");
  await settle();
  await opening;
}

/** Waits for real timers: five seconds at most. */
export async function until(what: () => boolean) {
  for (const end = Date.now() + 5000; !what(); ) {
    assert(Date.now() < end, String(what));
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

export async function opened(options: SocketOptions = {}, worker = startWorker()) {
  const pair = socket(worker, options);
  await settle();
  worker.broker.link(name(worker), "open", { subprotocol: "v1", extensions: "permessage-deflate" });
  await settle();
  return { ...pair, worker, broker: worker.broker };
}
