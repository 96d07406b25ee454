// Event handler attributes (`onopen` and so on) as the HTML standard defines them, for an EventTarget of the SDK. It
// dispatches no event.

/** The value of an event handler attribute. */
export type EventHandler<Target, Event_> = ((this: Target, event: Event_) => unknown) | null;

/** An attribute that is set: one listener, which keeps its place when the handler is replaced. */
interface Attribute<Handler> extends EventListenerObject {
  call: Handler;
}

/** The event handler attributes of one target, by event. */
export class Handlers<Target extends EventTarget, Events extends { [Name in keyof Events]: Event }> {
  readonly #target: Target;
  readonly #attributes: { [Name in keyof Events]?: Attribute<EventHandler<Target, Events[Name]>> } = {};

  constructor(target: Target) {
    this.#target = target;
  }

  /** The handler, or null. */
  get<Name extends keyof Events>(type: Name): EventHandler<Target, Events[Name]> {
    return this.#attributes[type]?.call ?? null;
  }

  /** Sets the handler; a value that is not an object removes it. */
  set<Name extends keyof Events & string>(type: Name, call: EventHandler<Target, Events[Name]>): void {
    const target = this.#target;
    const held = this.#attributes[type];
    if (Object(call) !== call) {
      target.removeEventListener(type, held ?? null);
      delete this.#attributes[type];
    } else if (held) {
      held.call = call;
    } else {
      const attribute: Attribute<EventHandler<Target, Events[Name]>> = {
        call,
        handleEvent: (event) => {
          if (typeof attribute.call !== "function") return;
          const result = attribute.call.call(target, event as Events[Name]);
          if (result === false) event.preventDefault();
        },
      };
      this.#attributes[type] = attribute;
      target.addEventListener(type, attribute);
    }
  }
}
