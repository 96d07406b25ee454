// Logging in on one connection: the server's messages are answered as the option `login` says, with values from them or from
// the credentials. It ends when `ready` matches; that is for the dialer to know.

import type { Json, LoginStep, OpenOptions } from "../wire.js";
import { isObject, type MessageContent, matches, type Readable, ruleFault, valueAt } from "./rules.js";

const MAX_STEPS = 16;

/** The value at a path: pointers, each applied to the JSON text that the previous one selects. */
export function valueOnPath(json: unknown, path: string | string[]): unknown {
  let value: unknown = json;
  for (const [at, pointer] of [path].flat().entries()) {
    if (at > 0 && typeof value === "string") {
      try {
        value = JSON.parse(value);
      } catch {
        return undefined;
      }
    }
    value = valueAt(value, pointer);
  }
  return value;
}

/** What follows a message of the server. */
export type LoginAction =
  | { send: MessageContent[] }
  /** Ask the provider, with the values so far. */
  | { ask: Record<string, Json> }
  | { refused: true }
  | { fault: string };

/** The login of one connection. */
export class Login {
  readonly #steps: LoginStep[];
  readonly #values: Record<string, Json> = Object.create(null);
  #asking: LoginStep | undefined;

  constructor(steps: OpenOptions["login"] = []) {
    this.#steps = steps;
  }

  /** Whether the provider has not answered yet. */
  get isAsking(): boolean {
    return this.#asking !== undefined;
  }

  /** Takes the first step that matches a message. */
  onMessage(message: Readable, auth: unknown): LoginAction | undefined {
    const step = this.#steps.find(({ when }) => matches(when, message));
    if (!step) return undefined;
    for (const [name, path] of Object.entries(step.take ?? {})) {
      const value = valueOnPath(message.json, path);
      if (value !== undefined) this.#values[name] = value as Json;
    }
    if (step.refused) return { refused: true };
    if (!step.ask) return this.#fill(step, auth);
    this.#asking = step;
    return { ask: { ...this.#values } };
  }

  /** The provider has answered. */
  answered(auth: unknown): LoginAction {
    const step = this.#asking;
    this.#asking = undefined;
    return step ? this.#fill(step, auth) : { send: [] };
  }

  #fill(step: LoginStep, auth: unknown): LoginAction {
    try {
      const send = (step.send ?? []).map((template) =>
        "text" in template
          ? { text: this.#text(template.text, auth) }
          : { json: this.#json(template.json, auth) },
      );
      return { send };
    } catch (error) {
      return { fault: (error as Error).message };
    }
  }

  #value(name: string): unknown {
    const value = this.#values[name];
    if (value === undefined) throw new Error(`the server sent no \`${name}\``);
    return value;
  }

  #credential(auth: unknown, pointer: string): unknown {
    const value = valueAt(auth, pointer);
    if (value === undefined) throw new Error(`the provider returned no \`${pointer}\``);
    return value;
  }

  #text(template: string, auth: unknown): string {
    return template.replace(/\$\{(.*?)\}/gs, (_, name: string) => {
      const value = name.startsWith("/") ? this.#credential(auth, name) : this.#value(name);
      return typeof value === "string" ? value : JSON.stringify(value);
    });
  }

  #json(template: unknown, auth: unknown): unknown {
    if (Array.isArray(template)) return template.map((one) => this.#json(one, auth));
    if (!isObject(template)) return template;
    const entries = Object.entries(template);
    const [key, name] = entries[0] ?? [];
    if (entries.length === 1 && typeof name === "string") {
      if (key === "$value") return this.#value(name);
      if (key === "$auth") return this.#credential(auth, name);
    }
    return Object.fromEntries(entries.map(([member, one]) => [member, this.#json(one, auth)]));
  }
}

/** What is wrong with the option `login`. */
export function loginFault({ login, ready }: OpenOptions): string | undefined {
  if (!login) return undefined;
  if (!Array.isArray(login) || login.length > MAX_STEPS) return `it is a list of at most ${MAX_STEPS} steps`;
  if (login.length > 0 && !ready) return "it needs `ready`, the rule that ends the login";
  return login.map(({ when }) => ruleFault(when)).find(Boolean);
}
