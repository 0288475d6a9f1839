// How much time around the rise of an alarm tells its story. Pure.

import type { Span } from './chart-data';
import type { Evidence } from './types';

/** Windows of the detector shown before and after: enough calm to compare with. */
const BEFORE = 40;
const AFTER = 12;
/** At least this much, where the window is a single row. */
const LEAST_MS = 5 * 60_000;

export function caseWindow(openedAt: string, evidence: Evidence, last: number): Span {
  const opened = Date.parse(openedAt);
  const size = Math.max(LEAST_MS / BEFORE, Date.parse(evidence.window_to) - Date.parse(evidence.window_from));
  // A rule learns from nothing: there is no baseline to begin at.
  const learned = evidence.baseline_rows > 0 ? Date.parse(evidence.baseline_from) : -Infinity;
  const from = Math.max(learned, opened - size * BEFORE);
  const to = Math.max(opened + size, Math.min(last, opened + size * AFTER));
  return { from: Math.min(from, opened - size), to };
}
