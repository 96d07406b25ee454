// Writes docs/API.md from the comments in the built types. With --check: fails when the file is not current.
import { readFileSync, writeFileSync } from "node:fs";
import ts from "typescript";

const target = new URL("../../docs/API.md", import.meta.url);
const roots = [
  "../dist/content/index.d.ts",
  "../dist/fallback/index.d.ts",
  "../dist/io/index.d.ts",
  "../dist/node/index.d.ts",
  "../dist/onboarding/index.d.ts",
  "../dist/react/index.d.ts",
  "../dist/relay/index.d.ts",
  "../dist/testing/index.d.ts",
  "../dist/index.d.ts",
].map((root) => new URL(root, import.meta.url).pathname);

const groups = [
  ["Connecting", ["connect", "ConnectOptions", "Bridge", "BridgeEvents", "BridgeMode", "PortState"]],
  [
    "Sessions",
    [
      "Session",
      "SessionOptions",
      "OpenOptions",
      "Protocol",
      "SocketIoOptions",
      "PollOptions",
      "GuardLine",
      "SessionEvents",
      "CloseReport",
      "Received",
      "GapEvent",
      "StateEvent",
      "LinkState",
      "Sendable",
      "SendOptions",
      "SendOutcome",
      "OutcomeWord",
      "RequestOptions",
      "Match",
      "Confirm",
      "SubscribeSpec",
      "Filter",
      "Rule",
      "LoginStep",
      "MessageHandler",
      "GapHandler",
      "EndReason",
      "Unsubscribe",
    ],
  ],
  ["Credentials", ["cookieHeader", "AuthHandler", "AuthRequest", "Credentials"]],
  ["LongwireSocket", ["LongwireSocket", "SocketOptions", "SocketEventMap"]],
  [
    "io",
    [
      "io",
      "ManagerOptions",
      "Socket",
      "CatchAllEmitter",
      "Emitter",
      "ReservedEvents",
      "Auth",
      "Manager",
      "ManagerEvents",
    ],
  ],
  [
    "React hooks",
    [
      "useSession",
      "UseSessionOptions",
      "SessionView",
      "useMessages",
      "UseMessagesOptions",
      "useEvent",
      "useSessionEvent",
      "useSocket",
      "UseSocketOptions",
      "UseSocket",
      "useBridge",
      "LongwireProvider",
    ],
  ],
  ["Onboarding", ["LongwireOnboarding", "OnboardingOptions", "OnboardingState", "SystemName", "Strings"]],
  [
    "Content scripts",
    [
      "relay",
      "RelayOptions",
      "PortSender",
      "PageConnectOptions",
      "PageBridge",
      "PageBridgeEvents",
      "PageState",
      "PageOpenOptions",
      "PageSession",
      "PageSessionEvents",
    ],
  ],
  ["Without the host", ["browserFallback", "FallbackOptions", "Fallback"]],
  ["Node.js", ["NodeConnectOptions"]],
  [
    "Testing",
    [
      "FakeBrowser",
      "FakeBrowserOptions",
      "FakeServer",
      "ServerMessage",
      "FakePage",
      "FakePageOptions",
      "FakeClock",
    ],
  ],
  ["Errors", ["LongwireError", "ErrorCode", "LocalCode", "WireCode", "Retry"]],
  ["Answers of the broker", ["Welcome", "Opened", "StatusAnswer", "SessionCounters", "GapReason", "Payload"]],
];

const program = ts.createProgram(roots, { module: ts.ModuleKind.ES2022, target: ts.ScriptTarget.ES2022 });
const checker = program.getTypeChecker();
const exported = new Map(
  roots
    .flatMap((root) => checker.getExportsOfModule(checker.getSymbolAtLocation(program.getSourceFile(root))))
    .map((symbol) => [
      symbol.name,
      symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol,
    ]),
);

/** The declaration as the types have it, without `export declare` and what is not for users. */
function code(declaration) {
  const statement = ts.isVariableDeclaration(declaration) ? declaration.parent.parent : declaration;
  return statement
    .getText()
    .replace(/^export (declare )?/, "")
    .split("\n")
    .filter((line) => !/^\s+(#private|private |constructor\(frame)/.test(line))
    .join("\n");
}

function section(name) {
  const symbol = exported.get(name);
  if (!symbol) throw new Error(`${name} is not exported`);
  const text = ts.displayPartsToString(symbol.getDocumentationComment(checker)).replaceAll("\n", " ");
  const declarations = symbol.declarations.map(code);
  return [`### ${name}`, "", ...(text ? [text, ""] : []), "```ts", declarations.join("\n\n"), "```", ""].join(
    "\n",
  );
}

const page = [
  "# API reference",
  "",
  "Generated from the comments in `client/src` by `npm run api` in `client/`; do not edit. How the pieces go together is in",
  "[GUIDE.md](GUIDE.md). The frames themselves are in [PROTOCOL.md](PROTOCOL.md); their types are exported too.",
  "",
  ...groups.flatMap(([title, names]) => [`## ${title}`, "", ...names.map(section)]),
].join("\n");

if (!process.argv.includes("--check")) {
  writeFileSync(target, page);
} else if (readFileSync(target, "utf8") !== page) {
  console.error("docs/API.md is not current; run: npm run build && npm run api");
  process.exitCode = 1;
}
