// What the protocol leaves to the broker, as implemented by the broker in the browser: the same scenarios as the host's own tests
// (tests/it/dialects/behaviour.rs), so that the two cannot differ.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { BrowserBroker } from "../src/fallback/broker.js";
import { PRESETS } from "../src/fallback/presets.js";
import { fromBase64, toBase64 } from "../src/payload.js";
import { FakeClock, settle } from "../src/testing/fake-clock.js";
import { FakeNetwork } from "./support/network.js";

type Frame = Record<string, unknown>;
type Bytes = { base64: string };
interface Step {
  sends?: Frame;
  authorize?: Frame;
  reply?: unknown[];
  server?: (string | Bytes)[];
  passes?: number;
  receives?: Frame[];
  written?: (string | Bytes)[];
}
interface Scenario {
  name: string;
  options?: Frame;
  subscribe?: Frame;
  refused?: string;
  steps?: Step[];
}

// The tests run in client/.
const scenarios: Scenario[] = JSON.parse(readFileSync("../tests/vectors/behaviour.json", "utf8"));
const COMPARED = ["message", "response", "outcome", "error", "subscription", "auth-needed", "state"];

/** A session of the broker in the browser whose connection was accepted. */
class Player {
  readonly #network = new FakeNetwork();
  readonly #clock = new FakeClock();
  readonly #broker = new BrowserBroker(this.#network, this.#clock, "chrome-extension://a");
  readonly #port = this.#broker.connect((frame) => this.#take(frame as unknown as Frame));
  #reported: Frame[] = [];
  #wasWritten = 0;
  #nonce: unknown;
  #lastSeq: unknown;

  #take(frame: Frame): void {
    if (frame.type === "batch") for (const one of frame.frames as Frame[]) this.#take(one);
    else this.#reported.push(frame);
  }

  async sends(frame: Frame): Promise<void> {
    this.#port.take({ session: "s", ...frame });
    await settle();
  }

  async open(options: Frame = {}): Promise<void> {
    await this.sends({ type: "hello", protocol: 1, session: undefined });
    const url = options.protocol === "socket.io" ? "http://127.0.0.1:1" : "ws://127.0.0.1:1";
    await this.sends({ type: "open", id: "o", url, options });
  }

  async accepted(): Promise<void> {
    this.#network.socket.accept();
    await settle();
    this.#reported = [];
  }

  async step(step: Step): Promise<void> {
    if (step.sends) await this.sends(step.sends);
    if (step.authorize) await this.sends({ type: "authorize", nonce: this.#nonce, ...step.authorize });
    if (step.reply) await this.sends({ type: "reply", seq: this.#lastSeq, args: step.reply });
    for (const message of step.server ?? []) {
      const { socket } = this.#network;
      socket.deliver(typeof message === "string" ? message : fromBase64(message.base64).buffer);
    }
    await settle();
    await this.#clock.advance(step.passes ?? 0);
    const about = JSON.stringify(step);
    if (step.receives) assert.deepEqual(this.receives(step.receives), step.receives, about);
    if (step.written) assert.deepEqual(this.#written().map(comparable), step.written.map(comparable), about);
  }

  /** The frames delivered since the last call, with the fields that are compared. */
  receives(wanted: Frame[]): Frame[] {
    const reported = this.#reported.splice(0).filter(({ type }) => COMPARED.includes(type as string));
    for (const frame of reported) {
      if (frame.type === "auth-needed") this.#nonce = frame.nonce;
      if (frame.type === "message") this.#lastSeq = frame.seq;
    }
    return reported
      .filter(({ state }) => state !== "connecting")
      .map((frame, at) => fieldsOf(frame, wanted[at] ?? {}));
  }

  #written(): (string | Bytes)[] {
    const all = this.#network.socket.received as (string | Uint8Array)[];
    const fresh = all.slice(this.#wasWritten);
    this.#wasWritten = all.length;
    return fresh.map((one) => (typeof one === "string" ? one : { base64: toBase64(one) }));
  }
}

/** The fields of a frame that are wanted, and those that no frame may have unless they are. */
function fieldsOf(frame: Frame, wanted: Frame): Frame {
  const { error } = frame as { error?: Frame };
  const all: Frame = { ...frame, ...(error ? { code: error.code } : {}) };
  const checked = ["text", "json", "base64", "event", "args", "namespace", "reply", "outcome", "code", "id"];
  const names = ["type", ...Object.keys(wanted), ...checked];
  return Object.fromEntries(Object.entries(all).filter(([name]) => names.includes(name)));
}

/** Texts with JSON are compared by value: members may stand in any order. */
function comparable(message: string | Bytes): unknown {
  if (typeof message !== "string") return message;
  const [, head, json] = /^(\d*[^[{]*)(.*)$/s.exec(message) ?? [];
  try {
    return [head, JSON.parse(json as string)];
  } catch {
    return message;
  }
}

for (const { name, options, subscribe, refused, steps = [] } of scenarios) {
  test(name, async () => {
    const player = new Player();
    await player.open(options);
    if (refused) {
      assert.deepEqual(player.receives([]), [{ type: "error", id: "o", code: refused }]);
      return;
    }
    await player.accepted();
    if (subscribe) await player.sends({ type: "subscribe", id: "s", key: "k", ...subscribe });
    if (subscribe) player.receives([]);
    for (const step of steps) await player.step(step);
  });
}

test("the presets equal those of the host", () => {
  assert.deepEqual(PRESETS, JSON.parse(readFileSync("../proto/src/wire/presets.json", "utf8")));
});
