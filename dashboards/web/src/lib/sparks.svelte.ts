// Courses of health for sparklines: read once when an asset comes into view, a few at a
// time, then kept up from the event stream.

import { SvelteMap } from 'svelte/reactivity';
import { api } from './api';
import { sparkValues } from './fan';
import { live } from './live.svelte';

const POINTS = 48;
/** Enough findings that the line tells a course, few enough to read for a whole plant. */
const FINDINGS = 200;
/** Reads at once: the browser allows six connections, and the page needs some itself. */
const READERS = 3;

class Sparks {
  private values = new SvelteMap<string, number[]>();
  private last = new Map<string, string>();
  private wanted: string[] = [];
  private reading = 0;

  constructor() {
    live.listen({
      asset: (asset) => {
        const known = this.values.get(asset.id);
        if (known === undefined || asset.health === null || this.last.get(asset.id) === asset.health.at) return;
        this.last.set(asset.id, asset.health.at);
        this.values.set(asset.id, [...known, asset.health.index].slice(-POINTS));
      },
    });
  }

  of(asset: string): number[] {
    return this.values.get(asset) ?? [];
  }

  want(asset: string): void {
    if (this.values.has(asset) || this.wanted.includes(asset)) return;
    this.wanted.push(asset);
    void this.next();
  }

  private async next(): Promise<void> {
    if (this.reading >= READERS) return;
    const asset = this.wanted.shift();
    if (asset === undefined) return;
    this.reading += 1;
    try {
      const page = await api.assessments(asset, { limit: FINDINGS });
      const all = sparkValues(page.items, FINDINGS);
      const step = Math.max(1, Math.floor(all.length / POINTS));
      this.values.set(asset, all.filter((_, at) => (all.length - 1 - at) % step === 0).slice(-POINTS));
    } catch {
      // A sparkline that is missing says nothing wrong; the page tells when the server is away.
    } finally {
      this.reading -= 1;
      void this.next();
    }
  }
}

export const sparks = new Sparks();
