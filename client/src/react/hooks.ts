// Hooks over sessions: `useBridge`, `useSession`, `useMessages`, `useEvent`, `useSessionEvent`.

import {
  createContext,
  useCallback,
  useContext,
  useEffect,
  useMemo,
  useRef,
  useSyncExternalStore,
} from "react";
import {
  type Bridge,
  type ConnectOptions,
  connect,
  type MessageHandler,
  type Received,
  type Session,
  type SessionEvents,
  type SessionOptions,
} from "../index.js";
import { MessageStore } from "./message-store.js";
import { type SessionView, sessionStore } from "./session-store.js";

const BridgeContext = createContext<Bridge | undefined>(undefined);

/** `<LongwireProvider value={bridge}>` sets the bridge of all hooks below it. Without it, each page has its own. */
export const LongwireProvider = BridgeContext.Provider;

// A page is a client of its own, so that two tabs never take a session over from each other.
let pageClient: string | undefined;

/** Returns the bridge of this page: the provider's, or a separate one for this page. */
export function useBridge(options?: ConnectOptions): Bridge {
  const given = useContext(BridgeContext);
  const key = JSON.stringify(options ?? {});
  const latest = useRef(options);
  latest.current = options;
  // biome-ignore lint/correctness/useExhaustiveDependencies: the key stands for the options.
  return useMemo(() => {
    if (given) return given;
    pageClient ??= `page-${crypto.randomUUID()}`;
    return connect({ client: pageClient, ...latest.current });
  }, [given, key]);
}

/** Options of `useSession`. */
export interface UseSessionOptions extends SessionOptions {
  /** The server's URL. Without it the session must exist already, for example opened by the worker. */
  url?: string;
}

/**
 * Opens a session while the component is mounted. Components with the same session name share it; it is detached when
 * the last of them unmounts. Changed options update it.
 */
export function useSession(name: string, options: UseSessionOptions = {}): SessionView {
  const bridge = useBridge();
  const store = useMemo(() => sessionStore(bridge, name), [bridge, name]);
  const key = JSON.stringify(options);
  const latest = useRef(options);
  latest.current = options;
  // biome-ignore lint/correctness/useExhaustiveDependencies: the key stands for the options.
  const subscribe = useCallback(
    (listener: () => void) => {
      const { url, ...session } = latest.current;
      return store.hold(listener, url, Object.keys(session).length > 0 ? session : undefined);
    },
    [store, key],
  );
  return useSyncExternalStore(subscribe, store.view, store.view);
}

/** Options of `useMessages`. */
export interface UseMessagesOptions {
  /** Maximum number of messages in the list; older ones are removed. Default 100. */
  last?: number;
}

/** The messages received since the component was mounted, oldest first. */
export function useMessages(
  session: Session | undefined,
  { last = 100 }: UseMessagesOptions = {},
): readonly Received[] {
  const store = useMemo(() => new MessageStore(session, last), [session, last]);
  return useSyncExternalStore(store.listen, store.messages, store.messages);
}

/**
 * Calls the handler for a Socket.IO or SSE event of that name. Always calls the newest handler; it need not be
 * memoised.
 */
export function useEvent(session: Session | undefined, event: string, handler: MessageHandler): void {
  const latest = useLatest(handler);
  useEffect(() => session?.onEvent(event, (message) => latest.current(message)), [session, event, latest]);
}

/** Calls the handler for an event of the session itself: `gap`, `state`, `error`, ... */
export function useSessionEvent<Name extends keyof SessionEvents>(
  session: Session | undefined,
  name: Name,
  handler: (...args: SessionEvents[Name]) => unknown,
): void {
  const latest = useLatest(handler);
  useEffect(() => session?.on(name, (...args) => latest.current(...args)), [session, name, latest]);
}

function useLatest<Value>(value: Value): { readonly current: Value } {
  const ref = useRef(value);
  useEffect(() => {
    ref.current = value;
  });
  return ref;
}
