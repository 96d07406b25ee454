// Requests credentials from the clients of one session, and handles their answers. It stores none.

import type { Authorize, OpenOptions, WireError } from "../wire.js";
import type { ClientPort } from "./consumer.js";
import { AUTHORIZE_TIMEOUT, type Dialer } from "./dialer.js";
import type { CredentialsRequest } from "./dialer-host.js";
import { refuseCredentials } from "./options.js";

/** What it needs from its session. */
export interface CredentialHost {
  dialer(): Dialer;
  options(): OpenOptions;
  post(request: CredentialsRequest & { nonce: string; deadline: number }): void;
  refuse(port: ClientPort, error: WireError, id: string | undefined): void;
}

/** The requests for credentials of one session. */
export class CredentialRequests {
  readonly #host: CredentialHost;
  #nonce = 0;

  constructor(host: CredentialHost) {
    this.#host = host;
  }

  ask(question: CredentialsRequest): void {
    this.#nonce += 1;
    this.#host.post({ nonce: `${this.#nonce}`, deadline: AUTHORIZE_TIMEOUT, ...question });
  }

  /** Returns whether it is to be answered with `ok`. */
  authorize(port: ClientPort, { type: _type, nonce, id, failed, ...more }: Authorize): boolean {
    // The answer to an earlier `auth-needed`.
    if (nonce !== undefined && nonce !== `${this.#nonce}`) return true;
    const dialer = this.#host.dialer();
    if (failed !== undefined) {
      dialer.noCredentials(failed);
      return true;
    }
    const { session: _session, ...credentials } = more;
    const error = refuseCredentials(credentials, this.#host.options());
    if (error) {
      this.#host.refuse(port, error, id);
      dialer.noCredentials(error.message);
      return false;
    }
    dialer.authorize(credentials);
    return true;
  }
}
