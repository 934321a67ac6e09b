// What is shown: the view and its filters live in the URL, the clock ticks, the theme is remembered.

import { computed, effect, signal } from "@preact/signals";
import { type Address, type Filters, formatAddress, parseAddress, type View } from "./address";
import { state } from "./api";

export const address = signal<Address>(parseAddress(location.hash));
export const filters = computed(() => address.value.filters);

/** The time in ms, every second, for ages. */
export const now = signal(Date.now());
setInterval(() => {
  now.value = Date.now();
}, 1000);

/** What is said of a denied flow where the mode lets it pass; null where it is dropped. */
export const passing = computed(() => {
  const mode = state.data.value?.mode;
  return mode === "audit" ? "AUDIT" : mode === "off" ? "OFF" : null;
});

window.addEventListener("hashchange", () => {
  address.value = parseAddress(location.hash);
});

/** Change what is shown without a new entry in the browser's history. */
export function adjust(change: Partial<Omit<Address, "filters">> & { filters?: Partial<Filters> }): void {
  const { filters: some, ...rest } = change;
  address.value = { ...address.value, ...rest, filters: { ...address.value.filters, ...some } };
  history.replaceState(null, "", formatAddress(address.value));
}

/** Where a view is, with the filters of now. */
export function link(view: View, more: Partial<Address> = {}): string {
  return formatAddress({ ...address.value, client: "", server: "", ...more, view });
}

// ---- theme

export const THEMES = ["auto", "light", "dark"] as const;
export type Theme = (typeof THEMES)[number];

const remembered = (): Theme => {
  try {
    return THEMES.find((name) => name === localStorage.getItem("theme")) ?? "auto";
  } catch {
    return "auto"; // Storage may be forbidden.
  }
};

export const theme = signal<Theme>(remembered());
const prefersDark = matchMedia("(prefers-color-scheme: dark)");
const systemDark = signal(prefersDark.matches);
prefersDark.addEventListener("change", (event) => {
  systemDark.value = event.matches;
});

export const dark = computed(() => theme.value === "dark" || (theme.value === "auto" && systemDark.value));

effect(() => {
  document.documentElement.dataset.theme = dark.value ? "dark" : "light";
  try {
    if (theme.value === "auto") localStorage.removeItem("theme");
    else localStorage.setItem("theme", theme.value);
  } catch {
    // Not remembered, then.
  }
});
