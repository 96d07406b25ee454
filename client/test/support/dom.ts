// A document for React to render into.

import { Window } from "happy-dom";

const window = new Window();
// Newer versions of Node.js have a `navigator` that cannot be assigned to.
Object.defineProperty(globalThis, "navigator", { value: window.navigator, configurable: true });
Object.assign(globalThis, {
  window,
  document: window.document,
  HTMLElement: window.HTMLElement,
  HTMLIFrameElement: window.HTMLIFrameElement,
  customElements: window.customElements,
  CSSStyleSheet: window.CSSStyleSheet,
  CustomEvent: window.CustomEvent,
  IS_REACT_ACT_ENVIRONMENT: true,
});
