// The script of the offscreen document, and of the worker in it that holds the connections. Documents cannot be created
// for connections; for a worker they can.

import { type ExtensionApi, extensionApi, type PagePort, systemClock } from "../browser-api.js";
import { type BrokerPort, BrowserBroker } from "./broker.js";
import { isOwnPage, OFFSCREEN_PORT } from "./location.js";

/** A message between document and worker, about the `port` with this number. */
interface ChannelMessage {
  port: number;
  frame?: unknown;
  disconnected?: true;
  /** The extension's origin, at first. */
  origin?: string;
  /** The worker has no sessions, and the native host is available. */
  idle?: true;
}

/** In the document: forwards the ports of the extension's contexts to the worker. */
function runDocument(api: ExtensionApi, script: string): void {
  const worker = new Worker(script, { type: "module" });
  const ports = new Map<number, PagePort>();
  let count = 0;
  const post = (message: ChannelMessage) => worker.postMessage(message);
  worker.onmessage = ({ data: { port, frame, idle } }: MessageEvent<ChannelMessage>) => {
    if (idle && ports.size === 0) globalThis.close();
    else ports.get(port)?.postMessage(frame);
  };
  // Without its worker the document has no purpose.
  worker.onerror = () => globalThis.close();
  const origin = (api.runtime.getURL?.("") ?? "").replace(/\/$/, "");
  api.runtime.onConnect?.addListener((port) => {
    if (port.name !== OFFSCREEN_PORT || !isOwnPage(api, port)) return;
    count += 1;
    const number = count;
    ports.set(number, port);
    post({ port: number, origin });
    port.onMessage.addListener((frame) => post({ port: number, frame }));
    port.onDisconnect.addListener(() => {
      ports.delete(number);
      post({ port: number, disconnected: true });
    });
  });
}

/** In the worker: the broker. */
function runWorker(): void {
  const ends = new Map<number, BrokerPort>();
  let broker: BrowserBroker | undefined;
  const network = { WebSocket, fetch: fetch.bind(globalThis) };
  const post = (message: ChannelMessage) => globalThis.postMessage(message);
  globalThis.onmessage = ({ data }: MessageEvent<ChannelMessage>) => {
    const { port, frame, disconnected, origin = "" } = data;
    broker ??= new BrowserBroker(network, systemClock, origin);
    const end = ends.get(port) ?? broker.connect((sent) => post({ port, frame: sent }));
    ends.set(port, end);
    if (frame !== undefined) end.take(frame);
    if (!disconnected) return;
    end.disconnected();
    ends.delete(port);
    if (broker.isHostAvailable && broker.isIdle && ends.size === 0) post({ port, idle: true });
  };
}

if (globalThis.document) runDocument(extensionApi(), import.meta.url);
else runWorker();
