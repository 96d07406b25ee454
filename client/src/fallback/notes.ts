// The names of a client's sessions in the browser. If the broker there stops with its log, the next one reports a gap for
// these. Positions are stored elsewhere.

import type { ExtensionApi } from "../browser-api.js";

/** The names of one client's sessions, in storage that outlives the extension's contexts. */
export class Notes {
  readonly #api: ExtensionApi;
  readonly #key: string;
  #names = new Set<string>();
  #writing: Promise<unknown> = Promise.resolve();

  constructor(api: ExtensionApi, profile: string, client: string) {
    this.#api = api;
    this.#key = `longwire:browser:${profile}:${client}`;
  }

  async load(): Promise<void> {
    try {
      const kept = (await this.#api.storage?.local.get(this.#key))?.[this.#key];
      if (Array.isArray(kept)) this.#names = new Set(kept.map(String));
    } catch {
      // Broken storage is reported by the bridge.
    }
  }

  has(session: string): boolean {
    return this.#names.has(session);
  }

  add(session: string): void {
    if (this.#names.has(session)) return;
    this.#names.add(session);
    this.#store();
  }

  delete(session: string): void {
    if (this.#names.delete(session)) this.#store();
  }

  #store(): void {
    const names = [...this.#names];
    const write = () => this.#api.storage?.local.set({ [this.#key]: names });
    this.#writing = this.#writing.then(write).catch(() => undefined);
  }
}
