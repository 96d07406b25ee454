// `CloseEvent` for runtimes that have none: Node.js before 23. Browsers use their own.

/** Makes a `close` event. */
export function closeEvent(init: { wasClean: boolean; code: number; reason: string }): CloseEvent {
  if (globalThis.CloseEvent) return new CloseEvent("close", init);
  const event = new Event("close");
  for (const [name, value] of Object.entries(init)) {
    Object.defineProperty(event, name, { value, enumerable: true });
  }
  return event as CloseEvent;
}
