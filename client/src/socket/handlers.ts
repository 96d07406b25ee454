// Event handler attributes (`onopen` and so on) as the HTML standard defines them, for an EventTarget of our own. It
// fires no event.

/** An attribute that is set: one listener, which keeps its place when the handler is replaced. */
interface Attribute extends EventListenerObject {
  call: unknown;
}

/** The event handler attributes of one target, by event. */
export class Handlers {
  readonly #target: EventTarget;
  readonly #attributes = new Map<string, Attribute>();

  constructor(target: EventTarget) {
    this.#target = target;
  }

  /** The handler, or null. */
  get(type: string): never {
    return (this.#attributes.get(type)?.call ?? null) as never;
  }

  /** Sets the handler; what is no object removes it. */
  set(type: string, call: unknown): void {
    const target = this.#target;
    const held = this.#attributes.get(type);
    if (Object(call) !== call) {
      target.removeEventListener(type, held ?? null);
      this.#attributes.delete(type);
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
      this.#attributes.set(type, attribute);
      target.addEventListener(type, attribute);
    }
  }
}
