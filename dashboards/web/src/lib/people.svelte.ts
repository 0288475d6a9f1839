// The register of people: read once a page needs it, so that ids are shown as names. Where nobody
// is registered, names are what people type.

import { alerts } from './alert-api';
import type { Person } from './alert-types';

class People {
  all = $state.raw<Person[]>([]);
  readonly names: ReadonlyMap<string, string> = $derived(new Map(this.all.map((person) => [person.id, person.name])));
  private asked = false;

  /** Reads the register, the first time it is needed. */
  need(): void {
    if (this.asked) return;
    this.asked = true;
    alerts.people().then(
      (people) => (this.all = people),
      () => (this.asked = false),
    );
  }

  name(id: string): string {
    return this.names.get(id) ?? id;
  }

  /** Everything a name may be called by: itself, and the id of who bears it. */
  me(name: string): string[] {
    if (name === '') return [];
    return [name, ...this.all.filter((person) => person.name === name || person.id === name).flatMap((person) => [person.id, person.name])];
  }
}

export const people = new People();
