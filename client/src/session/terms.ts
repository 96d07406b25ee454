// The fields of `open` that describe the connection: the URL and the options, without those of the SDK.

import type { SessionOptions } from "../session-types.js";
import type { Open } from "../wire.js";

/**
 * The URL and the options for the broker. Without both, `open` attaches to the existing session and changes nothing. `pageOrigin` is
 * the `Origin` of connections whose options name none.
 */
export function terms(
  url: string | undefined,
  all: SessionOptions,
  pageOrigin: string | undefined,
): Partial<Open> {
  const {
    ack: _ack,
    attempts: _attempts,
    waitForHost: _wait,
    from: _from,
    schema: _schema,
    transient: _transient,
    conflict,
    ...options
  } = all;
  const isGiven = Object.values(options).some((option) => option !== undefined);
  const { headers = {} } = options;
  const namesOrigin = Object.keys(headers).some((name) => /^origin$/i.test(name));
  const needsOrigin = pageOrigin && !namesOrigin && (url !== undefined || isGiven);
  if (needsOrigin) options.headers = { ...headers, Origin: pageOrigin };
  return { url, conflict, options: isGiven || needsOrigin ? options : undefined };
}
