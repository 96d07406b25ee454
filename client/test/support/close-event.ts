// Node 20 has no CloseEvent; every browser has.

class FakeCloseEvent extends Event {
  readonly wasClean: boolean;
  readonly code: number;
  readonly reason: string;
  constructor(type: string, init: CloseEventInit = {}) {
    super(type, init);
    this.wasClean = init.wasClean ?? false;
    this.code = init.code ?? 0;
    this.reason = init.reason ?? "";
  }
}

globalThis.CloseEvent ??= FakeCloseEvent as typeof CloseEvent;
