// Event handler attributes (`onopen` and so on) as the HTML standard defines them, for an EventTarget of our own. It
// fires no event.

/** An attribute that is set: one listener, which keeps its place when the handler is replaced. */
interface Attribute extends EventListenerObject {
  call: unknown;
}

const attributes = /* @__PURE__ */ new WeakMap<EventTarget, Map<string, Attribute>>();

/** Defines `on…` for each type. `check` throws for what is no object of the class. */
export function defineHandlers(
  prototype: EventTarget,
  types: readonly string[],
  check: (target: unknown) => void,
): void {
  for (const type of types) {
    const name = `on${type}`;
    // An object with accessors of that name, so that the functions have the names that browsers give them.
    const accessors = {
      get [name](): unknown {
        check(this);
        return attributes.get(this as unknown as EventTarget)?.get(type)?.call ?? null;
      },
      set [name](call: unknown) {
        check(this);
        setHandler(this as unknown as EventTarget, type, call);
      },
    };
    const { get, set } = Object.getOwnPropertyDescriptor(accessors, name) as PropertyDescriptor;
    Object.defineProperty(prototype, name, { get, set, enumerable: true, configurable: true });
  }
}

function setHandler(target: EventTarget, type: string, call: unknown): void {
  const all = attributes.get(target) ?? new Map<string, Attribute>();
  attributes.set(target, all);
  const held = all.get(type);
  if (typeof call !== "function" && (typeof call !== "object" || call === null)) {
    if (held) target.removeEventListener(type, held);
    all.delete(type);
  } else if (held) {
    held.call = call;
  } else {
    const attribute: Attribute = {
      call,
      handleEvent: (event: Event) => {
        if (typeof attribute.call !== "function") return;
        const result: unknown = attribute.call.call(target, event);
        if (result === false) event.preventDefault();
      },
    };
    all.set(type, attribute);
    target.addEventListener(type, attribute);
  }
}
