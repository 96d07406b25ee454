// `longwire/react`: sessions and sockets as React hooks. React 18 or newer is a peer dependency.

export {
  LongwireProvider,
  type UseMessagesOptions,
  type UseSessionOptions,
  useBridge,
  useEvent,
  useMessages,
  useSession,
  useSessionEvent,
} from "./hooks.js";
export type { SessionView } from "./session-store.js";
export { ReadyState, type UseSocket, type UseSocketOptions, useSocket } from "./use-socket.js";
