// Options for well-known servers, by name: the same as the host's, which a test compares.

import type { OpenOptions } from "../wire.js";

type Preset = NonNullable<OpenOptions["preset"]>;

/** The options of each preset. */
export const PRESETS: Record<Preset, OpenOptions> = {
  centrifugo: {
    format: "json",
    heartbeat: {
      interval: 25000,
      timeout: 10000,
      answers: [
        {
          when: {
            "": {},
          },
          send: {
            json: {},
          },
        },
      ],
    },
    closeCodes: {
      "3000-3499": "retry",
      "3005": "auth",
      "3500": "auth",
      "3501-3999": "stop",
      "4000-4499": "retry",
      "4500-4999": "stop",
    },
  },
  phoenix: {
    format: "json",
    heartbeat: {
      interval: 30000,
      timeout: 10000,
      always: true,
      message: {
        json: [null, "beat", "phoenix", "heartbeat", {}],
      },
      expect: {
        "/1": "beat",
        "/2": "phoenix",
        "/3": "phx_reply",
      },
    },
    closeCodes: {
      "1000": "stop",
    },
  },
  pusher: {
    format: "json",
    ready: {
      "/event": "pusher:connection_established",
    },
    heartbeat: {
      interval: 25000,
      timeout: 20000,
      intervalFrom: ["/data", "/activity_timeout"],
      message: {
        json: {
          event: "pusher:ping",
          data: {},
        },
      },
      expect: {
        "/event": "pusher:pong",
      },
      answers: [
        {
          when: {
            "/event": "pusher:ping",
          },
          send: {
            json: {
              event: "pusher:pong",
              data: {},
            },
          },
        },
      ],
    },
    closeCodes: {
      "4000-4099": "stop",
      "4009": "auth",
      "4100-4299": "retry",
    },
  },
  "graphql-transport-ws": {
    format: "json",
    subprotocols: ["graphql-transport-ws"],
    greeting: [
      {
        json: {
          type: "connection_init",
        },
      },
    ],
    ready: {
      "/type": "connection_ack",
    },
    heartbeat: {
      interval: 20000,
      timeout: 10000,
      message: {
        json: {
          type: "ping",
        },
      },
      expect: {
        "/type": "pong",
      },
      answers: [
        {
          when: {
            "/type": "ping",
          },
          send: {
            json: {
              type: "pong",
            },
          },
        },
      ],
    },
    closeCodes: {
      "4004-4005": "stop",
      "4400": "stop",
      "4401": "auth",
      "4403": "auth",
      "4406": "stop",
      "4409": "stop",
      "4429": "stop",
      "4500": "stop",
    },
  },
  ably: {
    format: "json",
    ready: {
      "/action": 4,
    },
    heartbeat: {
      interval: 25000,
      timeout: 10000,
      message: {
        json: {
          action: 0,
        },
      },
      expect: {
        "/action": 0,
      },
      answers: [
        {
          when: {
            "/action": 0,
          },
        },
      ],
    },
  },
  signalr: {
    greeting: [
      {
        text: '{"protocol":"json","version":1}\u001e',
      },
    ],
    ready: {
      text: "{}\u001e",
    },
    heartbeat: {
      interval: 10000,
      timeout: 20000,
      always: true,
      message: {
        text: '{"type":6}\u001e',
      },
      answers: [
        {
          when: {
            text: ['{"type":6}\u001e', "{}\u001e"],
          },
        },
      ],
    },
  },
  discord: {
    format: "json",
    heartbeat: {
      interval: 41250,
      timeout: 10000,
      always: true,
      message: {
        json: {
          op: 1,
          d: null,
        },
      },
      expect: {
        "/op": 11,
      },
      answers: [
        {
          when: {
            "/op": 1,
          },
          send: {
            json: {
              op: 1,
              d: null,
            },
          },
        },
      ],
    },
    closeCodes: {
      "4000-4003": "retry",
      "4004": "auth",
      "4005-4009": "retry",
      "4010-4014": "stop",
    },
  },
};

/** The options with those of their preset; explicit ones win. */
export function withPreset(options: OpenOptions): OpenOptions {
  return { ...(options.preset && PRESETS[options.preset]), ...options };
}
