// Who is acting. There is no sign-in yet, so the name is asked for once, before the first
// action, and every action carries it.

import { prefs } from './prefs.svelte';

class Actor {
  /** Set while the question is open. */
  waiting = $state<((name: string | null) => void) | null>(null);

  /** The name to sign with; asks when there is none. Null when the person thought better of it. */
  name(): Promise<string | null> {
    if (prefs.by !== '') return Promise.resolve(prefs.by);
    return this.ask();
  }

  ask(): Promise<string | null> {
    this.waiting?.(null);
    return new Promise((resolve) => (this.waiting = resolve));
  }

  answer(name: string | null): void {
    if (name !== null) prefs.setBy(name);
    const done = this.waiting;
    this.waiting = null;
    done?.(name !== null && prefs.by !== '' ? prefs.by : null);
  }
}

export const actor = new Actor();
