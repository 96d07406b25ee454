// `<longwire-onboarding>`: shows whether Longwire is installed, what to do if it is not, and notices when it is.

import { type Bridge, type ConnectOptions, connect, type LongwireError } from "../index.js";
import { type Strings, stringsFor } from "./strings.js";
import { CSS } from "./style.js";

/** The user's system, for downloads and commands. */
export type SystemName = "windows" | "macos" | "linux";

/** What the element shows. */
export type OnboardingState =
  | "checking"
  | "ready"
  | "missing"
  | "forbidden"
  | "blocked"
  | "broken"
  | "unsupported";

/** Options of the element. Each has a default. */
export interface OnboardingOptions {
  /** The extension's name. Default: `name` in its manifest. */
  product?: string;
  /** Where the installer for each system can be downloaded. Default: none, only the command is shown. */
  downloads?: Partial<Record<SystemName, string>>;
  /** The command for each system. Default: `longwire install --extension <id>`. */
  commands?: Partial<Record<SystemName, string>>;
  /** Replaces single sentences, or all of them for another language. */
  strings?: Partial<Strings>;
  /** A language code. Default: the browser's languages. */
  language?: string;
  /** The bridge to watch, or how to connect. Default: `connect({ client: "onboarding" })`. */
  bridge?: Bridge | ConnectOptions;
}

/** Milliseconds between searches for the host while the element is visible. */
const LOOK_INTERVAL = 2000;

const STATES: Partial<Record<LongwireError["code"], OnboardingState>> = {
  "host-not-found": "missing",
  "host-forbidden": "forbidden",
  "host-blocked": "blocked",
  "permission-missing": "unsupported",
};

// Importable where there is no document: in tests, and on a server that renders pages.
const Base = globalThis.HTMLElement ?? (class {} as typeof HTMLElement);

/**
 * The element. Set `options` before it is added to a document, or use the attributes `product`, `language` and
 * `download`. Fires `longwire-state` with the new state in `detail`.
 */
export class LongwireOnboarding extends Base {
  /** The options of the author. */
  options: OnboardingOptions = {};
  #state: OnboardingState = "checking";
  #bridge: Bridge | undefined;
  #wasMissing = false;
  #stops: (() => void)[] = [];
  #text: Strings = stringsFor([]).strings;

  /** The current state. */
  get state(): OnboardingState {
    return this.#state;
  }

  connectedCallback(): void {
    const root = this.shadowRoot ?? this.attachShadow({ mode: "open" });
    if (root.adoptedStyleSheets.length === 0) {
      const sheet = new CSSStyleSheet();
      sheet.replaceSync(CSS);
      root.adoptedStyleSheets = [sheet];
    }
    const { language, strings } = this.options;
    const wanted = language ?? this.getAttribute("language");
    const found = stringsFor(wanted ? [wanted] : navigator.languages);
    this.#text = { ...found.strings, ...strings };
    this.lang = found.language;
    this.#watch();
    this.#render();
  }

  disconnectedCallback(): void {
    for (const stop of this.#stops.splice(0)) stop();
  }

  #watch(): void {
    const { bridge } = this.options;
    const held = bridge && "welcome" in bridge ? bridge : connect({ client: "onboarding", ...bridge });
    this.#bridge = held;
    const look = () =>
      document.visibilityState === "visible" && (held.state !== "ready" || held.hostError) && held.connect();
    const timer = setInterval(look, LOOK_INTERVAL);
    this.#stops = [
      held.on("state", (state, error) => this.#changed(state, error)),
      held.on("mode", () => this.#changed(held.state, held.hostError)),
      held.on("installed", () => this.#show("ready")),
      held.on("error", (error) => this.#changed(held.state, error)),
      () => clearInterval(timer),
    ];
    if (held.hostError) this.#changed(held.state, held.hostError);
    else if (held.state === "ready") this.#state = "ready";
    else held.connect();
  }

  #changed(state: Bridge["state"], error: LongwireError | undefined): void {
    // The bridge knows the welcome, and with it the version, right after its state has changed.
    const isReady = state === "ready" && !this.#bridge?.hostError;
    if (isReady) queueMicrotask(() => this.#show("ready"));
    else if (error && (state === "failed" || STATES[error.code])) this.#show(STATES[error.code] ?? "broken");
  }

  #show(state: OnboardingState): void {
    if (state === this.#state) return;
    if (state === "missing" || state === "forbidden") this.#wasMissing = true;
    this.#state = state;
    this.#render();
    this.dispatchEvent(new CustomEvent("longwire-state", { detail: state, bubbles: true, composed: true }));
  }

  #render(): void {
    const box = document.createElement("section");
    box.dataset.state = this.#state;
    const status = tag("p", { class: "state", role: "status", "aria-live": "polite" });
    status.append(tag("span", { class: "light", "aria-hidden": "true" }), tag("span", {}, this.#sentence()));
    box.append(status, ...this.#steps());
    this.shadowRoot?.replaceChildren(box);
  }

  #sentence(): string {
    const text = this.#text;
    if (this.#state === "ready") return this.#fill(this.#wasMissing ? text.found : text.ready);
    return this.#fill(text[this.#state]);
  }

  #steps(): Node[] {
    const text = this.#text;
    const again = tag("button", { type: "button", class: "plain" }, text.checkAgain);
    again.addEventListener("click", () => this.#bridge?.connect());
    if (this.#state === "broken") return [this.#command(`longwire doctor --extension ${this.#id}`), again];
    if (this.#state !== "missing" && this.#state !== "forbidden") return [];
    const steps = tag("ol");
    const download = this.options.downloads?.[systemName()] ?? this.getAttribute("download");
    if (download && this.#state === "missing") {
      const step = tag("li", {}, `${text.download} `);
      step.append(
        tag("a", { class: "button", href: download, target: "_blank", rel: "noopener" }, "Longwire"),
      );
      steps.append(step);
    }
    const run = tag("li", {}, text.run);
    run.append(
      this.#command(this.options.commands?.[systemName()] ?? `longwire install --extension ${this.#id}`),
    );
    steps.append(run);
    const why = tag("p", {}, this.#fill(text.why));
    return [why, steps, tag("p", { class: "muted" }, text.waiting), again, this.#details()];
  }

  #command(command: string): HTMLElement {
    const row = tag("div", { class: "command" });
    const copy = tag("button", { type: "button" }, this.#text.copy);
    copy.addEventListener("click", async () => {
      await navigator.clipboard.writeText(command);
      copy.textContent = this.#text.copied;
    });
    row.append(tag("code", { tabindex: "0" }, command), copy);
    return row;
  }

  #details(): HTMLElement {
    const details = tag("details");
    const list = tag("ul");
    for (const line of this.#text.what) {
      const item = tag("li");
      for (const [index, piece] of line.split("`").entries())
        item.append(index % 2 ? tag("code", {}, piece) : piece);
      list.append(item);
    }
    details.append(tag("summary", {}, this.#text.whatTitle), list);
    return details;
  }

  get #id(): string {
    return extensionRuntime()?.id ?? "<extension id>";
  }

  #fill(sentence: string): string {
    const product =
      this.options.product ??
      this.getAttribute("product") ??
      extensionRuntime()?.getManifest?.().name ??
      document.title;
    const version = this.#bridge?.welcome?.version ?? "";
    return sentence.replaceAll("{product}", product).replaceAll("{version}", version).replaceAll("  ", " ");
  }
}

interface Runtime {
  id?: string;
  getManifest?(): { name: string };
}

function extensionRuntime(): Runtime | undefined {
  const scope = globalThis as { browser?: { runtime?: Runtime }; chrome?: { runtime?: Runtime } };
  return scope.browser?.runtime ?? scope.chrome?.runtime;
}

/** The system this browser runs on. */
export function systemName(): SystemName {
  const { userAgentData, platform } = navigator as { userAgentData?: { platform: string }; platform: string };
  const name = (userAgentData?.platform ?? platform).toLowerCase();
  if (name.startsWith("win")) return "windows";
  return name.startsWith("mac") ? "macos" : "linux";
}

function tag(name: string, attributes: Record<string, string> = {}, text?: string): HTMLElement {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  return element;
}
