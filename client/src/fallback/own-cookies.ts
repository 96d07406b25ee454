// Leaves out cookies that the browser sends by itself, as `cookieHeader` has told them.

import { browserCookies } from "../fallback-registry.js";
import type { OpenOptions } from "../wire.js";

/** Without the cookies that the browser sends by itself. */
export function withoutOwnCookies<Fields extends Pick<OpenOptions, "cookies" | "headers">>(
  fields: Fields,
): Fields {
  const isOwn = (name: string, value: string | undefined) =>
    /^cookies?$/i.test(name) && value !== undefined && browserCookies().has(value);
  const { cookies, headers, ...rest } = fields;
  const kept = Object.entries(headers ?? {}).filter(([name, value]) => !isOwn(name, value));
  return {
    ...rest,
    ...(cookies === undefined || isOwn("cookies", cookies) ? {} : { cookies }),
    ...(kept.length > 0 ? { headers: Object.fromEntries(kept) } : {}),
  } as unknown as Fields;
}
