// Keeps what must survive the worker: the profile's id, the context's instance, and the position in each session.
// It does not know what a position means.

import type { ExtensionApi, StorageArea } from "./surroundings.js";

/** The last record that was finished, and the epoch it belongs to. */
export interface Position {
  epoch: string;
  seq: number;
}

/** Storage for one client. Without the permission `storage` positions live in memory only. */
export class Memory {
  readonly #api: ExtensionApi;
  readonly #client: string;

  constructor(api: ExtensionApi, client: string) {
    this.#api = api;
    this.#client = client;
  }

  /** A random id of this browser profile, made once and kept in `storage.local`. Rejects where there is none. */
  async profile(): Promise<string> {
    const { local } = this.#api.storage as { local: StorageArea };
    const suffix = this.#api.extension?.inIncognitoContext ? ".private" : "";
    return (await this.#once(local, "longwire:profile")) + suffix;
  }

  /** A random id of this run of the browser, for this client. */
  async instance(): Promise<string> {
    return this.#once(this.#quick, `longwire:instance:${this.#client}`);
  }

  /** Where this client stood in a session. */
  async position(session: string): Promise<Position | undefined> {
    const key = this.#key(session);
    const kept = (await this.#quick?.get(key))?.[key] as Partial<Position> | undefined;
    return typeof kept?.epoch === "string" && typeof kept.seq === "number" ? (kept as Position) : undefined;
  }

  /** Resolves when the position is stored. */
  async keep(session: string, position: Position): Promise<void> {
    await this.#quick?.set({ [this.#key(session)]: position });
  }

  /** Forgets a session that has ended. */
  async forget(session: string): Promise<void> {
    await this.#quick?.remove(this.#key(session));
  }

  // `storage.session` lives as long as the browser and costs no disk write. After a restart of the browser the
  // broker's own acknowledged position takes over.
  get #quick(): StorageArea | undefined {
    return this.#api.storage?.session ?? this.#api.storage?.local;
  }

  #key(session: string): string {
    return `longwire:at:${this.#client}:${session}`;
  }

  // Worker and popup may start at the same moment; the lock keeps them from making two ids.
  async #once(area: StorageArea | undefined, key: string): Promise<string> {
    const make = async (): Promise<string> => {
      const kept = (await area?.get(key))?.[key];
      if (typeof kept === "string") return kept;
      const made = crypto.randomUUID();
      await area?.set({ [key]: made });
      return made;
    };
    const locks = globalThis.navigator?.locks;
    return locks ? locks.request(key, make) : make();
  }
}
