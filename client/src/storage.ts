// Stores what must survive the worker: the profile's id, the context's instance, and the position in each session.

import type { ExtensionApi, StorageArea } from "./browser-api.js";

/** The last record that was finished, and the epoch it belongs to. */
export interface Position {
  epoch: string;
  seq: number;
}

/** The key of the profile's id in `storage.local`. */
export const PROFILE_KEY = "longwire:profile";

/** Storage for one client. Values that cannot be stored stay in memory, and `failed` is called once. */
export class Memory {
  readonly #storage: ExtensionApi["storage"];
  /**
   * `storage.session` lasts as long as the browser runs and costs no disk write. After a restart of the browser the
   * broker's own acknowledged position takes over.
   */
  readonly #quick: StorageArea | undefined;
  readonly #client: string;
  /** In split incognito mode both workers see the same storage: the keys of the private one have this in their names. */
  readonly #scope: string;
  readonly #ids = new Map<string, string>();
  #failed: ((error: unknown) => void) | undefined;

  constructor({ storage, extension }: ExtensionApi, client: string, failed: (error: unknown) => void) {
    this.#storage = storage;
    this.#quick = storage?.session ?? storage?.local;
    this.#scope = extension?.inIncognitoContext ? ".private" : "";
    this.#client = client + this.#scope;
    this.#failed = failed;
    // Puts the profile's id back when the extension clears `storage.local`, at a logout for example.
    storage?.onChanged?.addListener((changes, area) => {
      const change = area === "local" ? changes[PROFILE_KEY] : undefined;
      const id = this.#ids.get(PROFILE_KEY) ?? change?.oldValue;
      if (!change || change.newValue !== undefined || typeof id !== "string") return;
      this.#ids.set(PROFILE_KEY, id);
      void this.#store(storage.local, PROFILE_KEY, id);
    });
  }

  /**
   * A random id of this browser profile, created once and stored in `storage.local`, or the one that is `given`. Rejects
   * where there is no storage. A copy in `storage.session` survives `storage.local.clear()`.
   */
  async profile(given?: string): Promise<string> {
    if (given !== undefined) return given + this.#scope;
    if (!this.#storage) throw new TypeError("there is no storage");
    const { local, session } = this.#storage;
    return (await this.#once([local, session], PROFILE_KEY)) + this.#scope;
  }

  /** A random id of this run of the browser, for this client. */
  async instance(): Promise<string> {
    return this.#once([this.#quick], `longwire:instance:${this.#client}`);
  }

  /** This client's position in a session. */
  async position(session: string): Promise<Position | undefined> {
    const key = this.#key(session);
    const kept = (await this.#quick?.get(key))?.[key] as Partial<Position> | undefined;
    return typeof kept?.epoch === "string" && typeof kept.seq === "number" ? (kept as Position) : undefined;
  }

  /** Resolves when the position is stored, or cannot be: the broker stores it too. */
  async keep(session: string, position: Position): Promise<void> {
    await this.#store(this.#quick, this.#key(session), position);
  }

  /** Forgets a session that has ended. */
  async forget(session: string): Promise<void> {
    await this.#quick?.remove(this.#key(session));
  }

  #key(session: string): string {
    return `longwire:at:${this.#client}:${session}`;
  }

  // Worker and popup may start at the same moment; the lock prevents two ids.
  async #once(areas: (StorageArea | undefined)[], key: string): Promise<string> {
    const make = async (): Promise<string> => {
      const read = async (area?: StorageArea) => (await area?.get(key))?.[key];
      const kept = await Promise.all(areas.map((area) => this.#attempt(read(area))));
      const known = kept.find((one) => typeof one === "string") as string | undefined;
      const id = known ?? this.#ids.get(key) ?? crypto.randomUUID();
      this.#ids.set(key, id);
      for (const [at, area] of areas.entries()) if (kept[at] !== id) await this.#store(area, key, id);
      return id;
    };
    const locks = globalThis.navigator?.locks;
    return locks ? locks.request(key, make) : make();
  }

  async #store(area: StorageArea | undefined, key: string, value: unknown): Promise<void> {
    const set = async () => area?.set({ [key]: value });
    await this.#attempt(set());
  }

  /** Reports the first failure, and no other. */
  async #attempt<Result>(work: Promise<Result>): Promise<Result | undefined> {
    try {
      return await work;
    } catch (error) {
      this.#failed?.(error);
      this.#failed = undefined;
      return undefined;
    }
  }
}
