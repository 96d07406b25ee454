// The entry `longwire/socket`: the class and its types.

export { LongwireSocket, type SocketEventMap, type SocketOptions } from "./socket.js";
