// `useSocket`: a LongwireSocket as a hook, shaped like `useWebSocket` of react-use-websocket.

import { useCallback, useEffect, useRef, useState } from "react";
import { LongwireSocket, type SocketOptions } from "../index.js";

/** The states of `useSocket`, with the numbers of react-use-websocket. */
export const ReadyState = {
  UNINSTANTIATED: -1,
  CONNECTING: 0,
  OPEN: 1,
  CLOSING: 2,
  CLOSED: 3,
} as const;
export type ReadyState = (typeof ReadyState)[keyof typeof ReadyState];

/** Options of `useSocket`: those of react-use-websocket, and those of `LongwireSocket`. */
export interface UseSocketOptions extends SocketOptions {
  /** Subprotocols to offer. */
  protocols?: string | string[];
  onOpen?: (event: Event) => void;
  onMessage?: (event: MessageEvent) => void;
  onError?: (event: Event) => void;
  onClose?: (event: CloseEvent) => void;
  /** Which messages become `lastMessage`. Default: all. */
  filter?: (event: MessageEvent) => boolean;
  /** Whether to reconnect after a close. Default: never; a socket with `session` reconnects by itself. */
  shouldReconnect?: (event: CloseEvent) => boolean;
  /** Maximum number of consecutive reconnects. Default 20. */
  reconnectAttempts?: number;
  /** Delay before reconnecting in milliseconds, or a function of the attempt. Default 5000. */
  reconnectInterval?: number | ((attempt: number) => number);
}

/** What `useSocket` returns. */
export interface UseSocket<Json = unknown> {
  /** Sends a message; queues it until the socket opens unless `keep` is false. */
  sendMessage(data: string | ArrayBuffer | ArrayBufferView | Blob, keep?: boolean): void;
  /** Sends a value as JSON text. */
  sendJsonMessage(value: unknown, keep?: boolean): void;
  lastMessage: MessageEvent | null;
  /** The last message as JSON, `null` if it is not JSON. */
  lastJsonMessage: Json | null;
  readyState: ReadyState;
  getWebSocket(): LongwireSocket | null;
}

type Data = string | ArrayBuffer | ArrayBufferView | Blob;

/** Opens a socket while the component is mounted. With `url: null` or `connect: false` it does not connect yet. */
export function useSocket<Json = unknown>(
  url: string | null,
  options: UseSocketOptions = {},
  connect = true,
): UseSocket<Json> {
  const [readyState, setReadyState] = useState<ReadyState>(ReadyState.UNINSTANTIATED);
  const [lastMessage, setLastMessage] = useState<MessageEvent | null>(null);
  const socket = useRef<LongwireSocket | null>(null);
  const kept = useRef<Data[]>([]);
  const latest = useRef(options);
  latest.current = options;

  useEffect(() => {
    if (url === null || !connect) return setReadyState(ReadyState.UNINSTANTIATED);
    return keepSocket(url, latest, {
      use(next) {
        socket.current = next;
        setReadyState(ReadyState.CONNECTING);
      },
      opened(next) {
        setReadyState(ReadyState.OPEN);
        for (const data of kept.current.splice(0)) next.send(data);
      },
      message: setLastMessage,
      closed: () => setReadyState(ReadyState.CLOSED),
    });
  }, [url, connect]);

  const sendMessage = useCallback((data: Data, keep = true) => {
    if (socket.current?.readyState === LongwireSocket.OPEN) socket.current.send(data);
    else if (keep) kept.current.push(data);
  }, []);
  const sendJsonMessage = useCallback(
    (value: unknown, keep = true) => sendMessage(JSON.stringify(value), keep),
    [sendMessage],
  );
  const getWebSocket = useCallback(() => socket.current, []);
  const lastJsonMessage = json(lastMessage) as Json | null;
  return { sendMessage, sendJsonMessage, lastMessage, lastJsonMessage, readyState, getWebSocket };
}

interface SocketUser {
  use(socket: LongwireSocket): void;
  opened(socket: LongwireSocket): void;
  message(event: MessageEvent): void;
  closed(): void;
}

/** Creates a socket, and another one after a close if the options allow it. Returns a function that closes it. */
function keepSocket(
  url: string,
  latest: { readonly current: UseSocketOptions },
  user: SocketUser,
): () => void {
  let over = false;
  let attempt = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let current: LongwireSocket | undefined;
  const open = () => {
    const socket = new LongwireSocket(url, latest.current.protocols ?? [], socketOptions(latest.current));
    current = socket;
    user.use(socket);
    socket.addEventListener("open", (event) => {
      if (over) return;
      attempt = 0;
      user.opened(socket);
      latest.current.onOpen?.(event);
    });
    socket.addEventListener("message", (event) => {
      if (over) return;
      latest.current.onMessage?.(event);
      if (latest.current.filter?.(event) ?? true) user.message(event);
    });
    socket.addEventListener("error", (event) => over || latest.current.onError?.(event));
    socket.addEventListener("close", (event) => {
      if (over) return;
      user.closed();
      latest.current.onClose?.(event);
      const { shouldReconnect, reconnectAttempts = 20, reconnectInterval = 5000 } = latest.current;
      if (!shouldReconnect?.(event) || attempt >= reconnectAttempts) return;
      const wait = typeof reconnectInterval === "function" ? reconnectInterval(attempt) : reconnectInterval;
      attempt += 1;
      timer = setTimeout(open, wait);
    });
  };
  open();
  return () => {
    over = true;
    clearTimeout(timer);
    current?.close();
  };
}

function socketOptions(options: UseSocketOptions): SocketOptions {
  const { protocols, onOpen, onMessage, onError, onClose, filter, ...rest } = options;
  const { shouldReconnect, reconnectAttempts, reconnectInterval, ...socket } = rest;
  return socket;
}

function json(event: MessageEvent | null): unknown {
  if (typeof event?.data !== "string") return null;
  try {
    return JSON.parse(event.data);
  } catch {
    return null;
  }
}
