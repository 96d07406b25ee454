// The state of the link between broker and server, its credentials, and the warning when it is down and there is no listener. It
// stores no messages.

import { fromWire, withoutSecrets } from "../errors.js";
import type { Callbacks } from "../events.js";
import type { AuthHandler, StateEvent } from "../session-types.js";
import { queueTask } from "../task.js";
import type { AuthNeeded, LinkState, Opened, State } from "../wire.js";
import type { CallbackEvents, SessionContext } from "./context.js";

/** The link of one session. */
export class Uplink {
  readonly #session: SessionContext;
  readonly #callbacks: Callbacks<CallbackEvents>;
  readonly #entered: (state: LinkState) => void;
  state: LinkState | "opening" | "detached" = "opening";
  /** The last change, with its details. */
  link: StateEvent | undefined;
  #auth: AuthHandler | undefined;
  #authNeeded: AuthNeeded | undefined;
  /** This outage was logged, or there was a listener. */
  #warned = false;

  /** `entered` is called with each new state. */
  constructor(
    session: SessionContext,
    callbacks: Callbacks<CallbackEvents>,
    entered: (state: LinkState) => void,
  ) {
    this.#session = session;
    this.#callbacks = callbacks;
    this.#entered = entered;
  }

  /** There is an attachment. */
  attached({ state, subprotocol }: Opened): void {
    if (this.state !== state) this.#enter({ state, subprotocol });
  }

  /** The session has left: there is no link any more. */
  detached(): void {
    this.state = "detached";
  }

  /** Handles a record. `past`: the state had ended before this worker started. */
  changed(frame: State, past: boolean): void {
    const { type: _type, error, ...fields } = frame;
    const event: StateEvent = { ...fields, error: error && fromWire(error, this.#session.url) };
    // A namespace's state is not the link's.
    if (frame.namespace !== undefined) this.#emit(event);
    else if (past) {
      if (event.state === this.state) this.#warn(event);
      this.#emit({ ...event, past: true });
    } else this.#enter(event);
  }

  #enter(event: StateEvent): void {
    this.state = event.state;
    this.link = event;
    if (event.state === "open") this.#warned = false;
    else this.#warn(event);
    this.#emit(event);
    this.#entered(event.state);
  }

  #emit(event: StateEvent): void {
    this.#callbacks.emit("link", event);
    this.#callbacks.emit("state", event);
  }

  // ---- a link that cannot be made ----

  /** Warns once per outage, in a separate task: the code that opened the session may add a listener first. */
  #warn(event: StateEvent): void {
    const needsCredentials = event.state === "unauthorized";
    if (this.#warned || !(event.error || needsCredentials)) return;
    this.#warned = true;
    queueTask(() => {
      // With a credentials provider no warning is needed.
      if (needsCredentials && this.#auth) this.#warned = false;
      else if (this.#warned && !this.#callbacks.has("state")) console.warn(this.#describe(event));
    });
  }

  #describe({ state, error, retryIn }: StateEvent): string {
    const { name, url } = this.#session;
    const next: Partial<Record<LinkState, string>> = {
      waiting: `Next attempt in ${(retryIn ?? 0) / 1000} s`,
      unauthorized: "Provide credentials with session.onAuth()",
      failed: "No retry until session.reconnect()",
    };
    const to = url ? ` to ${withoutSecrets(url)}` : "";
    const why = error ? `${error.originalMessage} (${error.code})` : "the server requires credentials";
    const what = `longwire: session "${name}" has no connection${to}: ${why}`;
    return `${what}. ${next[state] ?? state}. Run: ${error?.doctor ?? "longwire status"}`;
  }

  // ---- credentials ----

  /** Sets the provider of credentials. Returns a function that removes it. */
  onAuth(call: AuthHandler): () => void {
    this.#auth = call;
    if (this.#authNeeded) void this.#authorize(this.#authNeeded);
    return () => {
      if (this.#auth === call) this.#auth = undefined;
    };
  }

  /** The broker requests credentials. */
  authNeeded(frame: AuthNeeded): void {
    this.#authNeeded = frame;
    void this.#authorize(frame);
  }

  async #authorize(needed: AuthNeeded): Promise<void> {
    const call = this.#auth;
    if (!call) return;
    this.#authNeeded = undefined;
    const { type: _type, nonce, ...request } = needed;
    const base = { type: "authorize", session: this.#session.name, nonce } as const;
    try {
      this.#session.post({ ...base, ...(await call(request)) });
    } catch (error) {
      this.#session.post({ ...base, failed: String((error as Error)?.message ?? error) });
    }
  }
}
