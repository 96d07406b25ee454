// Ties bridges to the lifecycle of the worker: browser start, alarms, updates of the extension. It opens no port itself.

import { type ExtensionApi, inBackground } from "./browser-api.js";

/** What a bridge does for its worker's life. */
export interface LifecycleMember {
  /** Opens the port if there is none. */
  connect(): void;
  /** Ends work and hands over. */
  drain(): Promise<void>;
  /** Whether anybody needs the port. */
  readonly wanted: boolean;
}

/** The alarm's name. */
export const ALARM = "longwire";
/** Minutes between alarms; browsers allow no less. */
export const PERIOD = 0.5;

interface LifecycleGroup {
  readonly bridges: Set<LifecycleMember>;
  updates: boolean;
}

const groups = new WeakMap<ExtensionApi["runtime"], LifecycleGroup>();

/**
 * Registers the listeners, in the same turn: the browser starts a worker only for listeners of its first turn.
 * Returns whether an alarm will wake the bridge.
 */
export function followLifecycle(api: ExtensionApi, bridge: LifecycleMember, updates?: boolean): boolean {
  if (!inBackground(api)) return false;
  let group = groups.get(api.runtime);
  if (!group) {
    group = { bridges: new Set(), updates: true };
    groups.set(api.runtime, group);
    register(api, group);
  }
  group.bridges.add(bridge);
  if (updates === false) group.updates = false;
  return !!api.alarms;
}

/** The bridge has ended: nothing wakes it. */
export function leaveLifecycle(api: ExtensionApi, bridge: LifecycleMember): void {
  groups.get(api.runtime)?.bridges.delete(bridge);
}

function register(api: ExtensionApi, group: LifecycleGroup): void {
  const wake = () => {
    for (const bridge of group.bridges) if (bridge.wanted) bridge.connect();
  };
  // Without this listener a browser does not start the worker at all until something else does.
  api.runtime.onStartup?.addListener(wake);
  // With an open port Chromium never applies an update by itself.
  api.runtime.onUpdateAvailable?.addListener(() => {
    if (!group.updates) return;
    void Promise.all([...group.bridges].map((bridge) => bridge.drain())).then(() => api.runtime.reload?.());
  });
  // Fetches what has come while the worker slept, and starts a worker again that was killed.
  api.alarms?.onAlarm.addListener((alarm) => {
    if (alarm.name === ALARM) wake();
  });
  void api.alarms?.create(ALARM, { periodInMinutes: PERIOD });
  if (!api.alarms && !api.app) console.warn(NO_ALARMS);
}

const NO_ALARMS =
  'longwire: add "alarms" to "permissions" in manifest.json: without it nothing restarts a worker that was killed';
