// The entry `longwire/socket`: the class and its types.

export { LongwireSocket } from "./socket.js";
export type { SocketEventMap, SocketOptions } from "./types.js";
