// The frames of the Longwire protocol, version 1, as types: parts.ts, payload.ts and port.ts move them.

export type * from "./wire/codes.js";
export type * from "./wire/options.js";
export type * from "./wire/to-broker.js";
export type * from "./wire/to-extension.js";
export type * from "./wire/values.js";

/** The protocol version of this SDK. */
export const PROTOCOL = 1;
