// The URL and the subprotocols of a WebSocket as the standard checks them. It does not connect.

/** Ports that Fetch blocks, https://fetch.spec.whatwg.org/#port-blocking. */
const BLOCKED_PORTS = new Set([
  0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104,
  109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514, 515,
  526, 530, 531, 532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1719, 1720, 1723, 2049,
  3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080,
]);

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
  return port !== "" && BLOCKED_PORTS.has(Number(port));
}

/** Throws `SyntaxError` unless each is a token and no two are equal. */
export function checkSubprotocols(list: readonly string[]): void {
  const seen = new Set<string>();
  for (const one of list) {
    const isToken = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(one);
    if (!isToken || seen.has(one)) {
      throw new DOMException(`Subprotocol invalid or repeated: ${one}`, "SyntaxError");
    }
    seen.add(one);
  }
}
