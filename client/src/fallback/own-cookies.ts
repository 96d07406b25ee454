// Leaves out cookies that the browser sends by itself, as `cookieHeader` returned them.

import { browserCookies } from "../fallback-registry.js";
import type { OpenOptions } from "../wire.js";

/** Without the cookies that the browser sends by itself. */
export function withoutOwnCookies<Fields extends Pick<OpenOptions, "cookies" | "headers">>(
  fields: Fields,
): Fields {
  const isOwn = (name: string, value: string | undefined) =>
    /^cookies?$/i.test(name) && value !== undefined && browserCookies().has(value);
  const rest = { ...fields };
  if (isOwn("cookies", fields.cookies)) delete rest.cookies;
  if (!fields.headers) return rest;
  const headers = Object.entries(fields.headers).filter(([name, value]) => !isOwn(name, value));
  delete rest.headers;
  return headers.length > 0 ? { ...rest, headers: Object.fromEntries(headers) } : rest;
}
