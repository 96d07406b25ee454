// Extension events and `chrome.storage` in memory. They know nothing of ports.

import type { StorageArea, StorageChange } from "../browser-api.js";

/** An extension event that a test fires. */
export class FakeEvent<Args extends unknown[]> {
  readonly listeners: ((...args: Args) => void)[] = [];
  addListener = (listener: (...args: Args) => void): void => {
    this.listeners.push(listener);
  };
  fire(...args: Args): void {
    for (const listener of [...this.listeners]) listener(...args);
  }
}

/** One area of `chrome.storage`. */
export class FakeStorage implements StorageArea {
  readonly items = new Map<string, unknown>();
  /** Every key in the order it was written. */
  readonly written: string[] = [];
  async get(key: string): Promise<Record<string, unknown>> {
    return this.items.has(key) ? { [key]: structuredClone(this.items.get(key)) } : {};
  }
  async set(items: Record<string, unknown>): Promise<void> {
    for (const [key, value] of Object.entries(items)) {
      this.items.set(key, structuredClone(value));
      this.written.push(key);
    }
  }
  async remove(key: string): Promise<void> {
    this.items.delete(key);
  }
  /** What listens to `storage.onChanged`. */
  cleared: (changes: Record<string, StorageChange>) => void = () => undefined;
  clear(): void {
    const changes = [...this.items].map(([key, oldValue]) => [key, { oldValue }]);
    this.items.clear();
    this.cleared(Object.fromEntries(changes));
  }
}
