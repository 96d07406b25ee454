// The URL and the subprotocols of a WebSocket as the standard checks them. It does not connect.

/**
 * Ports that Fetch blocks (https://fetch.spec.whatwg.org/#port-blocking), each as its distance from the one before, in
 * base 36: a third of the size.
 */
const BLOCKED_PORTS =
  "0 1 6 2 2 2 2 2 2 1 1 1 1 2 c 5 1 a g 8 2 8 8 6 1 1 1 5 1 1 2 2 2 2 4 c 2 2 4 i i 5u 12 12 " +
  "1b 1 1 1 b 4 1 1 8 8 6 2 7 o e z 9t 1 3 2 k4 1 3 92 18q aq 41 o6 1 q3 fq 2r 1 1 1 1 a i " +
  "2lz";

/** The URL, resolved against the document or the worker's script; throws `SyntaxError`. */
export function socketUrl(given: string): string {
  try {
    const url = new URL(given, globalThis.document?.baseURI ?? globalThis.location?.href);
    url.protocol = url.protocol.replace(/^http(?=s?:)/, "ws");
    if (/^wss?:[^#]*$/.test(url.href)) return url.href;
  } catch {
    // The error below says it.
  }
  throw new DOMException(`Not a WebSocket URL without a fragment: ${given}`, "SyntaxError");
}

/** Whether browsers refuse to connect to the URL's port. */
export function isBlocked(url: string): boolean {
  const { port } = new URL(url);
  let blocked = 0;
  return BLOCKED_PORTS.split(" ").some((distance) => {
    blocked += Number.parseInt(distance, 36);
    return port === String(blocked);
  });
}

/** Throws `SyntaxError` unless each is a token and no two are equal. */
export function checkSubprotocols(list: readonly string[]): void {
  const areTokens = list.every((one) => /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(one));
  if (!areTokens || new Set(list).size < list.length) {
    throw new DOMException(`Subprotocol invalid or repeated: ${list}`, "SyntaxError");
  }
}
