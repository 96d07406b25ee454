// `chrome.storage` in a file: one JSON object that is replaced whole, so that it is never half written.

import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import type { StorageArea } from "../browser-api.js";

/** One storage area in one file, readable by this user only. */
export class FileStorage implements StorageArea {
  readonly #path: string;
  #items: Promise<Record<string, unknown>> | undefined;
  #writing: Promise<void> = Promise.resolve();

  constructor(path: string) {
    this.#path = path;
  }

  async get(key: string): Promise<Record<string, unknown>> {
    const items = await this.#load();
    return key in items ? { [key]: items[key] } : {};
  }

  async set(items: Record<string, unknown>): Promise<void> {
    Object.assign(await this.#load(), items);
    await this.#save();
  }

  async remove(key: string): Promise<void> {
    delete (await this.#load())[key];
    await this.#save();
  }

  #load(): Promise<Record<string, unknown>> {
    this.#items ??= readFile(this.#path, "utf8").then(
      (text) => JSON.parse(text) as Record<string, unknown>,
      () => ({}),
    );
    return this.#items;
  }

  /** One write at a time; what changes during one is written by the next. */
  #save(): Promise<void> {
    const write = async () => {
      const text = JSON.stringify(await this.#load());
      const part = `${this.#path}.${process.pid}.tmp`;
      await mkdir(dirname(this.#path), { recursive: true, mode: 0o700 });
      await writeFile(part, text, { mode: 0o600 });
      await rename(part, this.#path);
    };
    this.#writing = this.#writing.then(write, write);
    return this.#writing;
  }
}
