// What happened to a case, as entries of a timeline in the reader's language.

import { m } from '../paraglide/messages.js';
import { recipientWords, suppressionWord } from './alert-words';
import type { CaseEvent, Severity } from './types';
import { eventWord, named, OUTCOMES, outcomeWord, stateWord } from './words';

export interface TimelineEntry {
  at: string;
  by: string | null;
  title: string;
  note: string | null;
}

const SEVERITIES: readonly Severity[] = ['watch', 'warning', 'critical'];

/** A word of the API in the reader's language; nothing when it is none of those known. */
function known<T extends string>(all: readonly T[], value: unknown, word: (value: T) => string): string | null {
  const found = all.find((entry) => entry === value);
  return found === undefined ? null : word(found);
}

const text = (value: unknown): string | null => (typeof value === 'string' && value !== '' ? value : null);

/** A text in both languages. */
function both(value: unknown): string | null {
  const label = value as { en?: unknown; zh?: unknown } | null;
  return typeof label === 'object' && label !== null && typeof label.en === 'string' && typeof label.zh === 'string' ? named({ en: label.en, zh: label.zh }, '') : null;
}

/** Whom something went to: somebody by name, or a target such as `{"role": "planner"}`. */
function whom(value: unknown, names: ReadonlyMap<string, string>): string | null {
  const [kind, name] = typeof value === 'object' && value !== null ? (Object.entries(value)[0] ?? []) : [];
  const to = kind === undefined ? text(value) : typeof name === 'string' ? `${kind}:${name}` : 'on_call';
  return to === null || (SEVERITIES as readonly string[]).includes(to) ? null : m.event_to({ name: recipientWords(to, names) });
}

function noteOf(told: Record<string, unknown> | null, names: ReadonlyMap<string, string>, modeName: (mode: string) => string): string | null {
  if (told === null) return null;
  const mode = text(told.failure_mode);
  const parts = [
    text(told.work_order),
    known(SEVERITIES, told.severity ?? told.to, stateWord),
    whom(told.to, names),
    known(OUTCOMES, told.outcome, outcomeWord),
    mode === null ? null : modeName(mode),
    text(told.part),
    both(told.words) ?? both(told.reason) ?? suppressionWord(text(told.reason) ?? '') ?? text(told.reason)?.replaceAll('_', ' ') ?? null,
    text(told.note),
    text(told.text),
  ];
  const words = parts.filter((part): part is string => part !== null);
  return words.length === 0 ? null : words.join(' · ');
}

export function timelineOf(events: CaseEvent[], names: ReadonlyMap<string, string>, modeName: (mode: string) => string): TimelineEntry[] {
  return events.map((event) => ({ at: event.at, by: event.by === null ? null : (names.get(event.by) ?? event.by), title: eventWord(event.kind), note: noteOf(event.detail, names, modeName) }));
}
