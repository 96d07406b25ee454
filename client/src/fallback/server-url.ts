// URLs of servers. A protocol may be given with the scheme of another: a WebSocket with `https:`, a stream with `wss:`.

/** Whether a text is the URL of a server. As in browsers, one with `ws:` must not have a fragment. */
export function isServerUrl(text: string): boolean {
  return /^(https?:|wss?:[^#]*$)/i.test(text) && URL.canParse(text) && new URL(text).port !== "0";
}

/** A URL in the form of one of the schemes. */
export function serverUrl(text: string, scheme: "ws" | "http"): string {
  const url = new URL(text);
  url.protocol = url.protocol.replace(/^(ws|http)/, scheme);
  url.hash = "";
  return url.href;
}
