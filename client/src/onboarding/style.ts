// The style of `<longwire-onboarding>`: light and dark, and custom properties to match the extension's own.

export const CSS = `
:host {
  color-scheme: light dark;
  --accent: var(--longwire-accent, light-dark(#0b57d0, #a8c7fa));
  --text: var(--longwire-text, light-dark(#1f1f1f, #e3e3e3));
  --muted: light-dark(#55595f, #b5b9c0);
  --surface: var(--longwire-surface, light-dark(#f3f5f9, #262a30));
  display: block;
  max-width: 40rem;
  color: var(--text);
  font: 1rem/1.5 system-ui, sans-serif;
}
.state { display: flex; gap: .75rem; align-items: baseline; font-size: 1.15rem; font-weight: 600; margin: 0; }
.light { flex: none; width: .75rem; height: .75rem; border-radius: 50%; background: light-dark(#8a9099, #8a9099); }
[data-state=ready] .light { background: light-dark(#188038, #6dd58c); }
[data-state=missing] .light, [data-state=forbidden] .light { background: light-dark(#b3690a, #ffb95a); }
[data-state=blocked] .light, [data-state=broken] .light, [data-state=unsupported] .light { background: light-dark(#b3261e, #f2b8b5); }
p, ol, ul { margin: .75rem 0; }
li { margin: .5rem 0; }
.muted { color: var(--muted); }
.command { display: flex; gap: .5rem; align-items: stretch; margin: .5rem 0; }
code { background: var(--surface); border-radius: .4rem; padding: .1rem .35rem; font: .9em/1.6 ui-monospace, monospace; }
.command code { flex: 1; padding: .5rem .75rem; white-space: pre-wrap; overflow-wrap: anywhere; }
button, a.button {
  font: inherit; font-weight: 600; color: light-dark(#fff, #1f1f1f); background: var(--accent);
  border: 0; border-radius: .4rem; padding: .45rem .9rem; cursor: pointer; text-decoration: none; display: inline-block;
}
button.plain { background: none; color: var(--accent); border: 1px solid currentColor; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
details { background: var(--surface); border-radius: .6rem; padding: .6rem 1rem; margin-top: 1rem; }
summary { cursor: pointer; font-weight: 600; }
`;
