// The parts of the browser that the SDK uses, as types, and the clock. Other modules take them as arguments,
// so that tests can bring their own. It does not call any of them.

import type { LongwireError } from "./errors.js";

/** An extension event. */
export interface Listenable<Args extends unknown[]> {
  addListener(listener: (...args: Args) => void): void;
}

/** A port to the native host. */
export interface NativePort {
  postMessage(message: unknown): void;
  disconnect(): void;
  /** Firefox reports here why the port closed. */
  readonly error?: { message?: string } | null;
  readonly onMessage: Listenable<[message: unknown]>;
  readonly onDisconnect: Listenable<[port: NativePort]>;
  /** Only of `longwire/fallback`: why sessions run in the browser. */
  readonly hostError?: LongwireError | undefined;
  /** Only of `longwire/fallback`: probes for the host now. */
  look?(): void;
}

/** The sender of a port, as the browser reports it. */
export interface PortSender {
  /** The extension's id. */
  readonly id?: string;
  /** The tab. Missing for pages that are not in a tab, and for workers. */
  readonly tab?: { readonly id?: number };
  /** The frame in the tab; 0 is the top. */
  readonly frameId?: number;
  /** The address of the page that the content script runs in. */
  readonly url?: string;
  /** The origin of that page. */
  readonly origin?: string;
}

/** A port between a content script and the worker. */
export interface PagePort {
  readonly name: string;
  readonly sender?: PortSender;
  postMessage(message: unknown): void;
  disconnect(): void;
  readonly onMessage: Listenable<[message: unknown]>;
  readonly onDisconnect: Listenable<[port: PagePort]>;
}

/** One area of `chrome.storage`. */
export interface StorageArea {
  get(key: string): Promise<Record<string, unknown>>;
  set(items: Record<string, unknown>): Promise<void>;
  remove(key: string): Promise<void>;
}

/** What happened to one key of a storage area. */
export interface StorageChange {
  oldValue?: unknown;
  newValue?: unknown;
}

/** A cookie of `chrome.cookies`. */
export interface Cookie {
  name: string;
  value: string;
}

/** What the SDK uses of `chrome` or `browser`. */
export interface ExtensionApi {
  readonly runtime: {
    readonly id?: string;
    readonly lastError?: { message?: string } | null | undefined;
    connectNative?(host: string): NativePort;
    connect?(info: { name: string }): PagePort;
    reload?(): void;
    getURL?(path: string): string;
    getManifest?(): { background?: { page?: string } };
    getPlatformInfo?(): Promise<unknown>;
    readonly onConnect?: Listenable<[port: PagePort]>;
    readonly onStartup?: Listenable<[]>;
    readonly onUpdateAvailable?: Listenable<[details: { version: string }]>;
  };
  readonly storage?: {
    readonly local: StorageArea;
    readonly session?: StorageArea;
    readonly onChanged?: Listenable<[changes: Record<string, StorageChange>, area: string]>;
  };
  readonly alarms?: {
    create(name: string, info: { periodInMinutes: number }): unknown;
    clear(name: string): unknown;
    readonly onAlarm: Listenable<[alarm: { name: string }]>;
  };
  readonly cookies?: { getAll(filter: { url: string }): Promise<Cookie[]> };
  readonly extension?: { readonly inIncognitoContext?: boolean };
  /** @internal Not a browser: an app of `longwire/node`. */
  readonly app?: boolean;
  /** @internal Only of `longwire/testing`: virtual time. */
  readonly clock?: Clock;
}

/** Time and chance. `now` is in milliseconds, `random` in [0, 1). */
export interface Clock {
  now(): number;
  setTimeout(call: () => void, milliseconds: number): unknown;
  clearTimeout(timer: unknown): void;
  random(): number;
}

/** `browser` where it exists (Firefox), else `chrome`. */
export function extensionApi(): ExtensionApi {
  const scope = globalThis as { browser?: Partial<ExtensionApi>; chrome?: Partial<ExtensionApi> };
  const api = scope.browser?.runtime ? scope.browser : scope.chrome;
  return (api?.runtime ? api : { runtime: {} }) as ExtensionApi;
}

/** The real clock. */
export const systemClock: Clock = {
  now: () => Date.now(),
  setTimeout: (call, milliseconds) => setTimeout(call, milliseconds),
  clearTimeout: (timer) => clearTimeout(timer as number),
  random: () => Math.random(),
};

/** Resolves after so many milliseconds. */
export function sleep(clock: Clock, milliseconds: number): Promise<void> {
  return new Promise((resolve) => {
    clock.setTimeout(resolve, milliseconds);
  });
}

/** Whether this is a service worker or a background page, and not a popup or another page that closes with its window. */
export function inBackground({ runtime }: ExtensionApi): boolean {
  const { document, location } = globalThis as { document?: unknown; location?: { pathname: string } };
  if (!document) return !("DedicatedWorkerGlobalScope" in globalThis);
  const page = runtime.getManifest?.().background?.page ?? "_generated_background_page.html";
  return location?.pathname === `/${page.replace(/^\/|[?#].*/g, "")}`;
}
