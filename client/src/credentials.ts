// The browser's cookies for a server, as a header. It sends nothing.

import { type ExtensionApi, extensionApi } from "./browser-api.js";
import { browserCookies } from "./fallback-registry.js";

/**
 * The `Cookie` header this browser would send to a URL: `{ headers: { cookie: await cookieHeader(url) } }`.
 * Needs the permission `cookies` and a host permission for the URL. `ws:` and `wss:` count as `http:` and `https:`.
 */
export async function cookieHeader(url: string, api: ExtensionApi = extensionApi()): Promise<string> {
  if (!api.cookies) throw new TypeError('longwire: add "cookies" to "permissions" in manifest.json');
  const cookies = await api.cookies.getAll({ url: url.replace(/^ws/, "http") });
  const header = cookies.map(({ name, value }) => `${name}=${value}`).join("; ");
  browserCookies().add(header);
  return header;
}
