// Separate tasks, without the delay of the browser's timers.

const tasks: (() => void)[] = [];
let channel: MessageChannel | undefined;

/** Calls in a task of its own, in order. */
export function queueTask(call: () => void): void {
  channel ??= open();
  if (tasks.length === 0) keepNodeRunning(channel);
  tasks.push(call);
  channel.port2.postMessage(0);
}

function open(): MessageChannel {
  const made = new MessageChannel();
  made.port1.onmessage = () => {
    const call = tasks.shift();
    if (tasks.length === 0) letNodeExit(made);
    call?.();
  };
  return made;
}

/** Node.js keeps running while a referenced port is open. */
function keepNodeRunning({ port1 }: MessageChannel): void {
  (port1 as { ref?(): void }).ref?.();
}

function letNodeExit({ port1 }: MessageChannel): void {
  (port1 as { unref?(): void }).unref?.();
}

/** Calls in order, each in a task of its own: code that awaits one event must not miss the next. */
export class TaskQueue {
  readonly #calls: (() => void)[] = [];
  #running = false;

  /** Adds a call. If none is under way, it runs at once. */
  push(call: () => void): void {
    this.#calls.push(call);
    if (!this.#running) this.#next();
  }

  /** Removes the calls that have not run. */
  clear(): void {
    this.#calls.length = 0;
  }

  #next(): void {
    const call = this.#calls.shift();
    this.#running = !!call;
    if (!call) return;
    queueTask(() => this.#next());
    call();
  }
}
