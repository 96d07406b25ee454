// `longwire/node`: the same bridge, sessions and sockets in Node.js, Electron and VS Code extensions.

import { join } from "node:path";
import type { ExtensionApi } from "../browser-api.js";
import { type Bridge, type ConnectOptions, connect as connectWith } from "../index.js";
import { ChildPort } from "./child-port.js";
import { FileStorage } from "./file-storage.js";
import { hostProgram, manifestFolders } from "./host-manifest.js";

export * from "../index.js";

/** Options of `connect` in Node.js. */
export interface NodeConnectOptions extends Omit<ConnectOptions, "keepAlive" | "updates"> {
  /** The app's id, in the form `com.example.editor`. Allow it once with `longwire install --app <id>`. */
  app: string;
  /** The file for the profile's id and the positions. Default: one for each app in Longwire's state folder. */
  storage?: string;
  /** The host program, for an app that includes its own. Default: the installed one. */
  program?: string;
}

const APP_ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;

const apis = new Map<string, ExtensionApi>();

/**
 * The bridge to the native host. The host process keeps Node.js running as an open socket does; `bridge.disconnect()`
 * lets it end. The same app and storage give the same bridge.
 */
export function connect(options: NodeConnectOptions): Bridge {
  const { app, storage, program, ...rest } = options;
  if (!APP_ID.test(app)) {
    throw new TypeError(
      `longwire: "${app}" is not an app id: use letters, digits, dots, _ and - in the form com.example.editor`,
    );
  }
  const file = storage ?? join(manifestFolders()[0] ?? ".", "storage", `${app}.json`);
  const key = JSON.stringify([app, file, program]);
  const api = apis.get(key) ?? nodeApi(app, file, program);
  apis.set(key, api);
  return connectWith({ ...rest, api } as ConnectOptions);
}

/** What the SDK needs of a browser, made of Node.js. */
function nodeApi(app: string, file: string, program: string | undefined): ExtensionApi {
  const local = new FileStorage(file);
  return {
    app: true,
    runtime: {
      id: app,
      connectNative: (host) => new ChildPort(program ?? hostProgram(host, app), `app://${app}`),
    },
    storage: { local },
  };
}
