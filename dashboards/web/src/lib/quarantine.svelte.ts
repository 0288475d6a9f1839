// The quarantine as a page shows it: what is listed, what is chosen, and what came of taking
// letters again.

import { m } from '../paraglide/messages.js';
import { api, whatWentWrong } from './api';
import { Resource } from './resource.svelte';
import type { DeadLetter, DeadLetterSummary, ReplayAnswer, StillRefused } from './types';

const PAGE = 100;
/** Letters taken again before the page asks whether to go on: the server takes 500 a request. */
const ROUNDS = 40;

export interface Filter {
  state: string;
  reason: string;
  device: string;
}

export interface Outcome extends Omit<ReplayAnswer, 'next'> {
  /** Why it ended early; empty when it did not. */
  failed: string;
}

export class Quarantine {
  summary = new Resource<DeadLetterSummary>();
  letters = new Resource<DeadLetter[]>();
  next = $state<string | null>(null);
  chosen = $state.raw<ReadonlySet<number>>(new Set());
  working = $state(false);
  outcome = $state.raw<Outcome | null>(null);

  async read(filter: Filter): Promise<void> {
    await Promise.all([
      this.summary.read(() => api.deadLetterSummary()),
      this.letters.read(async () => {
        const page = await api.deadLetters({ ...filter, limit: PAGE });
        this.next = page.next;
        return page.items;
      }),
    ]);
    // What is not listed any more is not chosen any more.
    const listed = new Set((this.letters.data ?? []).map((letter) => letter.id));
    this.chosen = new Set([...this.chosen].filter((id) => listed.has(id)));
  }

  async more(filter: Filter): Promise<void> {
    const before = this.letters.data ?? [];
    await this.letters.read(async () => {
      const page = await api.deadLetters({ ...filter, cursor: this.next, limit: PAGE });
      this.next = page.next;
      return [...before, ...page.items];
    });
  }

  choose(id: number, yes: boolean): void {
    const chosen = new Set(this.chosen);
    if (yes) chosen.add(id);
    else chosen.delete(id);
    this.chosen = chosen;
  }

  chooseAll(yes: boolean): void {
    this.chosen = new Set(yes ? (this.letters.data ?? []).filter((letter) => letter.whole).map((letter) => letter.id) : []);
  }

  /** Takes letters again and tells what became of each. */
  async replay(request: { ids?: number[]; reason?: string; device?: string }): Promise<void> {
    this.working = true;
    const outcome: Outcome = { replayed: 0, readings: 0, waveforms: 0, still_refused: [], missing: [], failed: '' };
    let cursor: string | null = null;
    try {
      for (let round = 0; round < ROUNDS; round++) {
        const answer: ReplayAnswer = await api.replay(cursor === null ? request : { ...request, cursor });
        outcome.replayed += answer.replayed;
        outcome.readings += answer.readings;
        outcome.waveforms += answer.waveforms;
        outcome.still_refused.push(...answer.still_refused);
        outcome.missing.push(...answer.missing);
        cursor = answer.next;
        if (cursor === null) break;
      }
    } catch (error) {
      outcome.failed = whatWentWrong(error, m.error_unreachable());
    }
    this.outcome = outcome;
    this.chosen = new Set(outcome.still_refused.map((still: StillRefused) => still.id));
    this.working = false;
  }
}
