// Keeps what must survive the worker: the profile's id, the context's instance, and the position in each session.
// It does not know what a position means.

import type { ExtensionApi, StorageArea, StorageChange } from "./browser-api.js";

/** The last record that was finished, and the epoch it belongs to. */
export interface Position {
  epoch: string;
  seq: number;
}

/** Where the profile's id is kept in `storage.local`. */
export const PROFILE_KEY = "longwire:profile";

/** Storage for one client. What cannot be stored is kept in memory, and `failed` is called once. */
export class Memory {
  readonly #api: ExtensionApi;
  readonly #client: string;
  readonly #failed: (error: unknown) => void;
  /** In split incognito mode both workers see the same storage: what the private one keeps has this in its name. */
  readonly #scope: string;
  readonly #ids = new Map<string, string>();
  #complained = false;

  constructor(api: ExtensionApi, client: string, failed: (error: unknown) => void) {
    this.#api = api;
    this.#client = client;
    this.#failed = failed;
    this.#scope = api.extension?.inIncognitoContext ? ".private" : "";
  }

  /**
   * A random id of this browser profile, made once and kept in `storage.local`, or the one that is `given`. Rejects
   * where there is no storage. A copy in `storage.session` survives `storage.local.clear()`.
   */
  async profile(given?: string): Promise<string> {
    if (given !== undefined) return given + this.#scope;
    if (!this.#api.storage) throw new TypeError("there is no storage");
    const { local, session } = this.#api.storage;
    return (await this.#once([local, session], PROFILE_KEY)) + this.#scope;
  }

  /** Puts the profile's id back when the extension clears `storage.local`, at a logout for example. */
  watch(): void {
    this.#api.storage?.onChanged?.addListener((changes, area) => {
      const change = area === "local" ? changes[PROFILE_KEY] : undefined;
      if (change && change.newValue === undefined) void this.#restore(change);
    });
  }

  async #restore({ oldValue }: StorageChange): Promise<void> {
    const id = this.#ids.get(PROFILE_KEY) ?? oldValue;
    if (typeof id !== "string") return;
    this.#ids.set(PROFILE_KEY, id);
    await this.#store([this.#api.storage?.local], PROFILE_KEY, id);
  }

  /** A random id of this run of the browser, for this client. */
  async instance(): Promise<string> {
    return this.#once([this.#quick], `longwire:instance:${this.#client}${this.#scope}`);
  }

  /** Where this client stood in a session. */
  async position(session: string): Promise<Position | undefined> {
    const key = this.#key(session);
    const kept = (await this.#quick?.get(key))?.[key] as Partial<Position> | undefined;
    return typeof kept?.epoch === "string" && typeof kept.seq === "number" ? (kept as Position) : undefined;
  }

  /** Resolves when the position is stored, or cannot be: the broker remembers it too. */
  async keep(session: string, position: Position): Promise<void> {
    await this.#store([this.#quick], this.#key(session), position);
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
    return `longwire:at:${this.#client}${this.#scope}:${session}`;
  }

  // Worker and popup may start at the same moment; the lock keeps them from making two ids.
  async #once(areas: (StorageArea | undefined)[], key: string): Promise<string> {
    const make = async (): Promise<string> => {
      const kept = await Promise.all(areas.map((area) => this.#read(area, key)));
      const id = kept.find((one) => one !== undefined) ?? this.#ids.get(key) ?? crypto.randomUUID();
      this.#ids.set(key, id);
      const missing = areas.filter((_, at) => kept[at] !== id);
      await this.#store(missing, key, id);
      return id;
    };
    const locks = globalThis.navigator?.locks;
    return locks ? locks.request(key, make) : make();
  }

  async #read(area: StorageArea | undefined, key: string): Promise<string | undefined> {
    try {
      const kept = (await area?.get(key))?.[key];
      return typeof kept === "string" ? kept : undefined;
    } catch (error) {
      this.#complain(error);
      return undefined;
    }
  }

  async #store(areas: (StorageArea | undefined)[], key: string, value: unknown): Promise<void> {
    for (const area of areas) {
      try {
        await area?.set({ [key]: value });
      } catch (error) {
        this.#complain(error);
      }
    }
  }

  #complain(error: unknown): void {
    if (this.#complained) return;
    this.#complained = true;
    this.#failed(error);
  }
}
