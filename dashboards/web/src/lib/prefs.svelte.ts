// What the reader chose: language, theme, and the name actions are signed with. Each is
// remembered on this machine; the address may ask for a language.

import { baseLocale, isLocale, locales, overwriteGetLocale, type Locale } from '../paraglide/runtime.js';
import { place } from './location.svelte';

export type Theme = 'system' | 'light' | 'dark';

function recall(key: string): string | null {
  try {
    return localStorage.getItem(`bellwether.${key}`);
  } catch {
    return null; // Storage may be forbidden; the choice then lasts as long as the page.
  }
}

function remember(key: string, value: string): void {
  try {
    localStorage.setItem(`bellwether.${key}`, value);
  } catch {
    /* See recall. */
  }
}

function firstLocale(): Locale {
  const stored = recall('lang');
  if (isLocale(stored)) return stored;
  const wished = navigator.languages.map((tag) => tag.toLowerCase());
  for (const tag of wished) {
    const found = locales.find((locale) => tag === locale.toLowerCase() || tag.split('-')[0] === locale.split('-')[0]);
    if (found !== undefined) return found;
  }
  return baseLocale;
}

class Prefs {
  private chosen = $state<Locale>(firstLocale());
  /** The language of the page: the address decides, then the last choice, then the browser. */
  readonly locale: Locale = $derived.by(() => {
    const asked = place.query.get('lang');
    return isLocale(asked) ? asked : this.chosen;
  });
  theme = $state<Theme>(asTheme(recall('theme')));
  /** The name actions are signed with; empty until it was asked for. */
  by = $state(recall('by') ?? '');
  private systemDark = $state(window.matchMedia('(prefers-color-scheme: dark)').matches);
  readonly dark: boolean = $derived(this.theme === 'dark' || (this.theme === 'system' && this.systemDark));

  constructor() {
    overwriteGetLocale(() => this.locale);
    window
      .matchMedia('(prefers-color-scheme: dark)')
      .addEventListener('change', (event) => (this.systemDark = event.matches));
  }

  setLocale(locale: Locale): void {
    this.chosen = locale;
    remember('lang', locale);
    place.set({ lang: locale === baseLocale ? null : locale });
  }

  setTheme(theme: Theme): void {
    this.theme = theme;
    remember('theme', theme);
  }

  setBy(name: string): void {
    this.by = name.trim();
    remember('by', this.by);
  }
}

function asTheme(text: string | null): Theme {
  return text === 'light' || text === 'dark' ? text : 'system';
}

export const prefs = new Prefs();
