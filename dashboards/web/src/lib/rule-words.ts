// Words of rules, scores and back-tests in the reader's language.

import { m } from '../paraglide/messages.js';
import { getLocale } from '../paraglide/runtime.js';
import { formatNumber, formatPercent } from './format';
import type { Backtest, DriftOfInput, Interval, Recalibration } from './rule-types';
import { formatDuration } from './time';

/** "× 1.25": how much further something has to go before it alarms. */
export const timesText = (factor: number): string => `× ${new Intl.NumberFormat(getLocale(), { minimumFractionDigits: 2, maximumFractionDigits: 2 }).format(factor)}`;

const JOB: Record<Backtest['state'], () => string> = {
  queued: m.job_queued,
  running: m.backtest_running,
  done: m.job_done,
  failed: m.backtest_failed,
  cancelled: m.backtest_cancelled,
};
export const backtestWord = (state: Backtest['state']): string => JOB[state]?.() ?? state;

const DRIFT: Record<DriftOfInput['word'], () => string> = { stable: m.drifts_word_stable, moving: m.drifts_word_moving, drifted: m.drifts_word_drifted };
export const driftWord = (word: DriftOfInput['word']): string => DRIFT[word]?.() ?? word;

export type Figure = 'share' | 'length' | 'rate';

/** A figure of the scoreboard. */
export function figureText(value: number, as: Figure): string {
  if (as === 'share') return formatPercent(value, getLocale());
  return as === 'length' ? formatDuration(value * 1_000, getLocale()) : formatNumber(value, getLocale());
}

/** An estimate with its span, as a sentence for those who cannot see the bar. */
export function intervalText(interval: Interval | null, as: Figure): string {
  if (interval === null) return m.not_known();
  if (interval.low === null || interval.high === null) return m.interval_unknown({ value: figureText(interval.value, as) });
  return m.interval_text({ value: figureText(interval.value, as), low: figureText(interval.low, as), high: figureText(interval.high, as) });
}

export const lengthText = (seconds: number | null): string => (seconds === null ? '–' : formatDuration(seconds * 1_000, getLocale()));

/** What is in force of a lever: how far a limit lies from where it was written, or how long alerts wait. */
export const leverText = (lever: Recalibration['lever'], value: number): string => (lever === 'limit' ? timesText(value) : lengthText(value * 86_400));
