// What prognosis says, in the reader's language: families, notes, features, and why a number is
// no probability. A word the page does not know is shown as it came.

import { m } from '../paraglide/messages.js';
import { getLocale } from '../paraglide/runtime.js';
import { formatPercent } from './format';
import type { FailureWithin, HistoryKind, PrognosisFamily, Standing, TrainingJob } from './prognosis-types';
import { formatDuration } from './time';
import { named } from './words';

const FAMILY: Record<PrognosisFamily, [() => string, () => string]> = {
  trend: [m.family_trend, m.family_trend_told],
  fleet: [m.family_fleet, m.family_fleet_told],
  life_data: [m.family_life_data, m.family_life_data_told],
  combined: [m.family_combined, m.family_combined_told],
  classifier: [m.family_classifier, m.family_classifier_told],
};
const NOTE: Record<string, () => string> = {
  window_only: m.note_window_only,
  beyond_cap: m.note_beyond_cap,
  missing_signals: m.note_missing_signals,
};
const ASPECT: Record<string, (named: { signal: string }) => string> = {
  level: m.aspect_level,
  trend: m.aspect_trend,
  spread: m.aspect_spread,
  since_new: m.aspect_since_new,
  course: m.aspect_course,
};
const ASPECT_OF_ALL: Record<string, () => string> = {
  age: m.aspect_age,
  level: m.aspect_all_level,
  trend: m.aspect_all_trend,
  spread: m.aspect_all_spread,
  since_new: m.aspect_all_since_new,
  course: m.aspect_all_course,
};
const STANDING: Record<Standing, [() => string, () => string]> = {
  champion: [m.standing_champion, m.standing_champion_told],
  challenger: [m.standing_challenger, m.standing_challenger_told],
  retired: [m.standing_retired, m.standing_retired_told],
};
const JOB: Record<TrainingJob['state'], () => string> = {
  queued: m.job_queued,
  running: m.job_running,
  done: m.job_done,
  failed: m.job_failed,
};
const STEP: Record<string, () => string> = {
  gathering: m.step_gathering,
  fitting: m.step_fitting,
  calibrating: m.step_calibrating,
};
const HISTORY: Record<HistoryKind, [() => string, () => string]> = {
  assets: [m.history_assets, m.history_assets_told],
  failures: [m.history_failures, m.history_failures_told],
  maintenance: [m.history_maintenance, m.history_maintenance_told],
  errors: [m.history_errors_kind, m.history_errors_told],
};

const RECORD: Record<string, () => string> = {
  failure: m.record_failure,
  maintenance: m.record_maintenance,
  error: m.record_error,
};

const spaced = (word: string): string => word.replaceAll('_', ' ');

/** A family of models: its name, and what its forecasts rest on. */
export const familyWords = (family: PrognosisFamily): { name: string; what: string } => ({ name: FAMILY[family]?.[0]() ?? spaced(family), what: FAMILY[family]?.[1]() ?? '' });
export const noteWords = (note: string): string => NOTE[note]?.() ?? spaced(note);
export const standingWords = (state: Standing): { name: string; what: string } => ({ name: STANDING[state]?.[0]() ?? spaced(state), what: STANDING[state]?.[1]() ?? '' });
export const jobWord = (state: TrainingJob['state']): string => JOB[state]?.() ?? spaced(state);
export const stepWord = (step: string): string => STEP[step]?.() ?? spaced(step);
/** What happened, in a word. */
export const recordWord = (kind: string): string => RECORD[kind]?.() ?? spaced(kind);
export const historyWords = (kind: HistoryKind): { name: string; what: string } => ({ name: HISTORY[kind][0](), what: HISTORY[kind][1]() });

/** What the records know of a machine is told under this name. */
const OF_RECORDS = 'record/';

/** A fact of a machine, as a model of life data names it. */
export function factWord(name: string): string {
  if (name === 'age_at_start_days') return m.record_age();
  if (name === 'earlier_lives') return m.record_earlier();
  return name.replace(' is ', ' = ');
}

/** A contributing feature in plain words: `age`, or `<signal>:<aspect>`. */
export function contributionWord(feature: string, name: (signal: string) => string): string {
  if (feature.startsWith(OF_RECORDS)) return factWord(feature.slice(OF_RECORDS.length));
  const cut = feature.lastIndexOf(':');
  if (cut < 0) return ASPECT_OF_ALL[feature]?.() ?? name(feature);
  const signal = name(feature.slice(0, cut));
  const aspect = feature.slice(cut + 1);
  return ASPECT[aspect]?.({ signal }) ?? `${signal}: ${spaced(aspect)}`;
}

/** What may be said about failure within a horizon: a probability only where it has come true. */
export function withinWords(within: FailureWithin): { value: string; how: string } {
  const locale = getLocale();
  if (within.shown === 'calibrated' && within.probability !== null) {
    return { value: chanceWord(within.probability), how: m.within_calibrated() };
  }
  const value = within.rank === null ? m.within_unknown() : m.within_rank({ share: formatPercent(within.rank, locale) });
  const how = within.shown === 'rank' ? m.within_no_probability({ why: named(within.reason, '') }) : m.within_nominal();
  return { value, how };
}

/** A probability to the percent; what lies within half a percent of certainty is not called certain. */
export function chanceWord(probability: number): string {
  const locale = getLocale();
  if (probability < 0.005) return m.chance_below({ share: formatPercent(0.01, locale) });
  if (probability > 0.995) return m.chance_above({ share: formatPercent(0.99, locale) });
  return formatPercent(probability, locale);
}

/** A length of time of remaining life, with its sign. */
export function signedDuration(seconds: number, locale: string): string {
  const text = formatDuration(Math.abs(seconds) * 1_000, locale);
  return seconds < 0 ? `−${text}` : `+${text}`;
}
