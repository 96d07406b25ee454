// `longwire/onboarding`: the element that helps users install Longwire. Importing it defines `<longwire-onboarding>`.

import { LongwireOnboarding } from "./element.js";

export {
  LongwireOnboarding,
  type OnboardingOptions,
  type OnboardingState,
  type SystemName,
} from "./element.js";
export { type Strings, strings } from "./strings.js";

if (globalThis.customElements && !customElements.get("longwire-onboarding")) {
  customElements.define("longwire-onboarding", LongwireOnboarding);
}

declare global {
  interface HTMLElementTagNameMap {
    "longwire-onboarding": LongwireOnboarding;
  }
}
