// The credentials that the provider gave for one session, and whether to ask for others. It dials nothing.

import type { Credentials, OpenOptions } from "../wire.js";
import { present } from "./from-broker.js";

/** Refusals of fresh credentials before the session fails. */
const MAX_REFUSALS = 2;

/** Why the provider is asked. */
export interface CredentialsReason {
  readonly why: "first" | "refused" | "login";
  readonly status?: number | undefined;
}

const FIRST: CredentialsReason = { why: "first" };

/** What the provider gave. */
export class ProvidedCredentials {
  #given: Credentials | undefined;
  /** Given since the server last accepted or refused some. */
  #isFresh = false;
  #refusals = 0;
  #wanted: CredentialsReason | undefined = FIRST;
  #asked = 0;

  /** Those that connections are made with. */
  get given(): Credentials {
    return this.#given ?? {};
  }

  /** Why the provider must be asked before the next connection; undefined if it need not. */
  wantedBy({ auth }: OpenOptions): CredentialsReason | undefined {
    return auth === "provider" ? this.#wanted : undefined;
  }

  /** Adds credentials. Each field replaces the one given before. */
  give(credentials: Credentials): void {
    this.#given = { ...this.#given, ...present(credentials) };
    this.#isFresh = true;
    this.#wanted = undefined;
  }

  /** Those of another connection are forgotten. */
  forget(): void {
    this.#given = undefined;
    this.#wanted = FIRST;
    this.accepted();
  }

  /** The server refused them: they are not sent again. Returns whether to ask for others. */
  refuse(status: number | undefined): boolean {
    this.#wanted = { why: "refused", status };
    if (this.#isFresh) this.#refusals += 1;
    this.#isFresh = false;
    return this.#refusals < MAX_REFUSALS;
  }

  /** A connection lasted: its credentials were accepted, and a later refusal means that they have expired. */
  accepted(): void {
    this.#isFresh = false;
    this.#refusals = 0;
    this.#asked = 0;
  }

  /** Counts refusals from the beginning. */
  startOver(): void {
    this.#refusals = 0;
  }

  /** The provider is asked once more. Returns how often that was since the server last accepted some. */
  asked(): number {
    this.#asked += 1;
    return this.#asked;
  }
}
