// The listeners for all events of a socket, received or emitted, with the methods that socket.io-client has for them.

import { callAll, Emitter, type EventsMap, type Listener, without } from "./emitter.js";

/** An emitter with listeners for all events. */
export class CatchAllEmitter<Events extends EventsMap = EventsMap> extends Emitter<Events> {
  #incoming: Listener[] = [];
  #outgoing: Listener[] = [];

  /** Adds a listener for all received events. */
  onAny(listener: Listener): this {
    this.#incoming = [...this.#incoming, listener];
    return this;
  }
  /** The same, before the others. */
  prependAny(listener: Listener): this {
    this.#incoming = [listener, ...this.#incoming];
    return this;
  }
  /** Removes one, or all. */
  offAny(listener?: Listener): this {
    this.#incoming = without(this.#incoming, listener);
    return this;
  }
  /** The listeners for all received events. */
  listenersAny(): Listener[] {
    return this.#incoming;
  }
  /** Adds a listener for all emitted events. */
  onAnyOutgoing(listener: Listener): this {
    this.#outgoing = [...this.#outgoing, listener];
    return this;
  }
  /** The same, before the others. */
  prependAnyOutgoing(listener: Listener): this {
    this.#outgoing = [listener, ...this.#outgoing];
    return this;
  }
  /** Removes one, or all. */
  offAnyOutgoing(listener?: Listener): this {
    this.#outgoing = without(this.#outgoing, listener);
    return this;
  }
  /** The listeners for all emitted events. */
  listenersAnyOutgoing(): Listener[] {
    return this.#outgoing;
  }

  /** @internal Calls the listeners of a received event, those for all events first; returns what they returned. */
  receive(event: string, args: unknown[]): unknown[] {
    return [...callAll(this, this.#incoming, [event, ...args]), ...this.emitReserved(event, ...args)];
  }

  /** @internal Calls the listeners for emitted events. */
  emitted(packet: unknown[]): void {
    callAll(this, this.#outgoing, packet);
  }
}
