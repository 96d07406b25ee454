// Every failure as one typed error with its fix. It maps the browsers' texts; it does not decide about retries.

import type { SchemaIssue } from "./standard-schema.js";
import type { ErrorFrame, Retry, WireCode, WireError } from "./wire.js";

/** Failures between the extension and the host, as the browser reports them, and those that the SDK detects itself. */
export type LocalCode =
  /** The manifest lacks the permission `nativeMessaging`, or this page may not connect (content script). */
  | "permission-missing"
  /** No host manifest is registered for this browser, or it is broken. Run `longwire install`. */
  | "host-not-found"
  /** The host's name is not a legal one: a-z, 0-9, `_` and single dots between them. */
  | "host-name-invalid"
  /** The host is installed, but not for this extension's id. `longwire install` adds it. */
  | "host-forbidden"
  /** The administrator's policy blocks the host. */
  | "host-blocked"
  /** The host was started and exited: it crashed, was killed, or cannot be run. The SDK retries automatically. */
  | "host-exited"
  /** The operating system could not start the host. The SDK retries automatically; run `longwire doctor`. */
  | "host-not-started"
  /**
   * The host wrote an invalid or too large frame, or exited during a write. The SDK retries; another program may
   * write to its output.
   */
  | "host-garbled"
  /** The host did not answer in time. The SDK retries automatically; run `longwire doctor`. */
  | "host-silent"
  /** The port closed without a reason from the browser. The SDK opens another. */
  | "port-lost"
  /** A message is too large for the browser. */
  | "message-too-large"
  /** A value cannot be sent as JSON. */
  | "not-serializable"
  /**
   * Three hosts in a row exited within two seconds. Run `longwire doctor` for the reason; `bridge.connect()`
   * retries.
   */
  | "host-keeps-dying"
  /** Neither `chrome.storage` (permission `storage`) nor a `profile` of your own. */
  | "storage-missing"
  /** `chrome.storage` is full or broken. The bridge continues with its state in memory, until the worker ends. */
  | "storage-failed"
  /** A message handler failed in all attempts; the message waits for `done()`. */
  | "handler-failed"
  /** The session's `schema` rejects a message. `detail` has the issues and the message. */
  | "invalid-message"
  /** Another port of the same client took over the session. */
  | "superseded"
  /** `relay` does not allow this page to connect, or to open this session. */
  | "relay-refused"
  /**
   * The worker of the extension does not answer this content script: it does not call `relay`. The SDK retries
   * automatically.
   */
  | "relay-missing"
  /** The extension was reloaded, updated or removed, and this content script with it. Reload the page. */
  | "extension-gone";

/** The error codes; they are stable. */
export type ErrorCode = WireCode | LocalCode;

/** `detail` of the errors that have one of a known shape. */
export interface ErrorDetails {
  /** The last host's own error. */
  "host-keeps-dying": LongwireError;
  /** The validator's issues, and the message. */
  "invalid-message": { issues: readonly SchemaIssue[]; message: unknown };
}

/** All errors, as a union over their codes: `if (error.code === "invalid-message")` narrows `error.detail`. */
export type AnyLongwireError = { [Code in ErrorCode]: LongwireError<Code> }[ErrorCode];

/** Every error that the SDK rejects with or reports. Invalid arguments throw a `TypeError`. */
export class LongwireError<Code extends ErrorCode = ErrorCode> extends Error {
  override readonly name = "LongwireError";
  /** The stable code to test for. */
  declare readonly code: Code;
  /** Whether to retry: `no`, `now`, `later`, `auth`, or `action` (a person has to change something). */
  declare readonly retry: Retry;
  /** The message of the browser or the broker, verbatim. */
  declare readonly originalMessage: string | undefined;
  /** The command for further diagnosis, to be pasted into a terminal. */
  declare readonly doctor: string;
  /** The fix, if known: a command or a line for the manifest. */
  declare readonly fix: string | undefined;
  /** Further details from the broker. */
  declare readonly detail: Code extends keyof ErrorDetails ? ErrorDetails[Code] : unknown;

  constructor(
    code: Code,
    message: string,
    more: { retry?: Retry; originalMessage?: string; doctor?: string; fix?: string; detail?: unknown } = {},
  ) {
    super(message);
    Object.assign(this, { code, retry: "no", doctor: "longwire doctor" }, more);
  }

  /** Whether this is an error of the SDK, with this code if one is given. For `catch`, whose errors have no type. */
  static is<Code extends ErrorCode>(error: unknown, code?: Code): error is LongwireError<Code> {
    return error instanceof LongwireError && (!code || error.code === code);
  }

  /** @deprecated The name of `originalMessage` until 0.1. */
  get said(): string | undefined {
    return this.originalMessage;
  }
}

/** What is needed to name the right command. */
export interface HostContext {
  /** The host's name. */
  host: string;
  /** Who calls, as the command line names it: `--extension <id>` or `--app <id>`. */
  caller: string;
}

type Row = [RegExp, LocalCode, Retry, string];

// The texts of Chromium 156 and Firefox 153, the most specific first.
const TEXTS: Row[] = [
  [
    /disabled by the system administrator/,
    "host-blocked",
    "action",
    "the administrator's policy blocks the native host",
  ],
  [
    /is forbidden/,
    "host-forbidden",
    "action",
    "the native host is installed, but not for this extension's id",
  ],
  [
    /host not found|No such native application/,
    "host-not-found",
    "action",
    "the native host is not installed for this browser",
  ],
  [
    /Invalid native messaging host name|Type error for parameter application/,
    "host-name-invalid",
    "no",
    "not a valid host name",
  ],
  [
    /nativeMessaging permission|Invalid native messaging target|requires a valid 'application'/,
    "permission-missing",
    "action",
    "this context may not use native messaging",
  ],
  [
    /Native messaging portal/,
    "host-not-started",
    "action",
    "the browser's sandbox does not allow it to start a native host",
  ],
  [/Failed to start/, "host-not-started", "later", "the operating system could not start the native host"],
  // Firefox gives no reason when a host has exited.
  [/has exited|^$/, "host-exited", "later", "the native host exited"],
  [
    /tried to send a message of|Error when communicating/,
    "host-garbled",
    "later",
    "the native host exited, or wrote invalid data",
  ],
  [
    /An unexpected error occurred/,
    "host-exited",
    "later",
    "the native host cannot be run, or wrote invalid data",
  ],
  [
    /exceeded maximum allowed size|Write too big/,
    "message-too-large",
    "no",
    "the message is too large for the browser",
  ],
  [/Could not serialize/, "not-serializable", "no", "the message cannot be sent as JSON"],
  [/^/, "port-lost", "later", "the port to the native host closed"],
];

/** The typed error for a browser's text when a port closed or did not open. */
export function fromBrowser(originalMessage: string | undefined, context: HostContext): LongwireError {
  const [, code, retry, message] = TEXTS.find(([text]) => text.test(originalMessage ?? "")) as Row;
  return local(code, message, retry, context, originalMessage || undefined);
}

/** An error of the SDK's own, with the commands for this host and extension. */
export function local(
  code: LocalCode,
  message: string,
  retry: Retry,
  { host, caller }: HostContext,
  originalMessage?: string,
): LongwireError {
  const name = host === DEFAULT_HOST ? "" : ` --name ${host}`;
  const install = `longwire install ${caller}${name}`;
  const fixes: Partial<Record<LocalCode, string>> = {
    "host-not-found": install,
    "host-forbidden": install,
    "permission-missing":
      "DedicatedWorkerGlobalScope" in globalThis
        ? "call connect in the service worker or in an extension page, not in a dedicated worker"
        : 'add "nativeMessaging" to "permissions" in manifest.json, and do not connect from a content script',
    "host-name-invalid": "a-z, 0-9, _ and dots",
    "storage-missing": 'add "storage" to "permissions" in manifest.json, or give connect() a profile',
    "storage-failed": "remove unneeded data from chrome.storage",
    "host-blocked": `add ${host} to the policy NativeMessagingAllowlist`,
  };
  const fix = fixes[code];
  const checked = code === "host-forbidden" && !caller.startsWith("--app") ? ` ${caller}` : "";
  return new LongwireError(code, `longwire: ${message}${fix ? ` (${fix})` : ""}`, {
    retry,
    originalMessage,
    doctor: `longwire doctor${checked}${name}`,
    fix,
  });
}

/** The name that the installer registers by default. */
export const DEFAULT_HOST = "com.longwire.bridge";

const OF_THE_LINK = /^(dns|refused|unreachable|tls|proxy|http-status|handshake|timeout|heartbeat)$/;

/** The typed error for an error of the broker. `url` names the server for errors of the link. */
export function fromWire(error: WireError | ErrorFrame, url?: string): LongwireError {
  const doctor =
    url && OF_THE_LINK.test(error.code) ? `longwire doctor --url ${withoutSecrets(url)}` : "longwire doctor";
  const { detail } = error as Partial<ErrorFrame>;
  return new LongwireError(error.code, `longwire: ${error.message}`, {
    retry: error.retry,
    originalMessage: error.message,
    doctor,
    detail,
  });
}

/** A URL without what may be secret: user, password, query and fragment. */
export function withoutSecrets(url: string): string {
  return url.replace(/[?#].*/s, "").replace(/\/\/[^/]*@/, "//");
}
