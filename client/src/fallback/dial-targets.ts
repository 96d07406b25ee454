// Where the connections of one session lead: by its URL and options, its credentials and the chosen transport. It dials
// nothing.

import type { OpenOptions, Protocol } from "../wire.js";
import { dialKey } from "./dial-key.js";
import type { Target } from "./link.js";
import { protocolsOf } from "./options.js";
import type { ProvidedCredentials } from "./provided-credentials.js";
import { type ResumeToken, ResumeTokens } from "./resume-tokens.js";
import { isEqual } from "./rules.js";
import { serverUrl } from "./server-url.js";
import type { TransportChoice } from "./transports.js";

/** The targets of one session. */
export class DialTargets {
  readonly #transports: TransportChoice;
  readonly #credentials: ProvidedCredentials;
  readonly #tokens = new ResumeTokens();
  #url: string;
  #options: OpenOptions;

  /** `options` includes those of the preset. */
  constructor(
    url: string,
    options: OpenOptions,
    transports: TransportChoice,
    credentials: ProvidedCredentials,
  ) {
    this.#transports = transports;
    this.#credentials = credentials;
    this.#url = url;
    this.#options = options;
  }

  get options(): OpenOptions {
    return this.#options;
  }

  /** Another URL, other options. Returns whether they change the dial; credentials for another dial are forgotten. */
  update(url: string, options: OpenOptions): boolean {
    const before = this.#dials;
    if (!isEqual(this.#options.transports, options.transports)) this.#transports.reset();
    this.#url = url;
    this.#options = options;
    const isOther = !isEqual(before, this.#dials);
    if (isOther) {
      this.#credentials.forget();
      this.forgetRecovery();
    }
    return isOther;
  }

  /** The target of the next connection. */
  next(): Target {
    const protocol = this.#protocol;
    const { given } = this.#credentials;
    return {
      ...this.#carried,
      protocol,
      url: serverUrl(this.#address(protocol, given.url), protocol === "websocket" ? "ws" : "http"),
      auth: given.auth,
      options: () => this.#options,
      token: this.token,
    };
  }

  /** What the server of the next connection gave on earlier ones. */
  get token(): ResumeToken {
    const protocol = this.#protocol;
    return this.#tokens.of(dialKey(protocol, this.#address(protocol), this.#options));
  }

  /** The state that Socket.IO servers hold belongs to other credentials. */
  forgetRecovery(): void {
    this.#tokens.forgetRecovery();
  }

  get #protocol(): Protocol {
    return protocolsOf(this.#options)[this.#transports.index] ?? "websocket";
  }

  #address(protocol: Protocol, otherwise = this.#url): string {
    return this.#options.urls?.[protocol] ?? otherwise;
  }

  /** All that decides where and how the connections lead. */
  get #dials(): unknown {
    const { compression = true, auth } = this.#options;
    const dials = protocolsOf(this.#options).map((protocol) => [
      dialKey(protocol, this.#address(protocol), this.#options),
      this.#carried,
    ]);
    return [dials, compression, auth === "provider"];
  }

  /** What a connection carries beside its key. */
  get #carried(): Pick<Target, "subprotocols" | "headers"> {
    const { headers = {}, subprotocols = [] } = this.#options;
    const { given } = this.#credentials;
    return {
      subprotocols: given.subprotocols ?? subprotocols,
      headers: merged(headers, given.headers),
    };
  }
}

/** Headers, with others in the place of those of the same name. */
function merged(
  headers: Record<string, string>,
  others: Record<string, string> = {},
): Record<string, string> {
  const replaced = new Set(Object.keys(others).map((name) => name.toLowerCase()));
  const kept = Object.entries(headers).filter(([name]) => !replaced.has(name.toLowerCase()));
  return { ...Object.fromEntries(kept), ...others };
}
