// Warns on the console, once each, of what a persistent socket does to protocols that log in on every connection. It
// changes nothing.

import type { OpenOptions } from "../wire.js";

/** Subprotocols whose client says something first on every connection. */
const LOGS_IN =
  /^(mqtt|mqttv3\.1|v1[0-2]\.stomp|graphql-(transport-)?ws|actioncable-v1-json|xmpp|wamp\.2\.\w+|amqp|sip|ocpp\d.*)$/i;
/** A connection that ends within so many milliseconds has not been accepted. */
const SHORT = 5000;
/** So many in a row are warned of. */
const SHORT_LINKS = 3;

const warned = /* @__PURE__ */ new Set<string>();

/** Looks at the connections of one persistent socket. */
export class Warnings {
  readonly #session: string;
  /** The broker logs in. */
  readonly #covered: boolean;
  #resumed = 0;
  #short = 0;

  constructor(session: string, { greeting, login, preset }: OpenOptions) {
    this.#session = session;
    this.#covered = !!(greeting?.length || login || preset);
  }

  /** A connection stands. */
  opened(subprotocol: string, again: boolean): void {
    if (again) this.#resumed = Date.now();
    if (!this.#covered && LOGS_IN.test(subprotocol)) {
      warn(`"${subprotocol}" logs in on every connection, but session "${this.#session}" hides new ones`);
    }
  }

  /** A connection was lost. */
  lost(): void {
    const short = this.#resumed > 0 && Date.now() - this.#resumed < SHORT;
    this.#short = short ? this.#short + 1 : 0;
    this.#resumed = 0;
    if (this.#short < SHORT_LINKS) return;
    warn(
      `session "${this.#session}" lost its connection ${SHORT_LINKS} times right after it was resumed: the server may expect a login`,
    );
  }
}

function warn(problem: string): void {
  if (warned.has(problem)) return;
  warned.add(problem);
  console.warn(
    `longwire: ${problem}. Remove \`session\`, or let the broker log in with \`greeting\`, \`login\` or \`preset\`: docs/LIBRARIES.md`,
  );
}
