// The answer before the evidence: what is the case with an asset, in one plain sentence.
// Each sentence is one message; nothing is glued together, because word order differs.

import { m } from '../paraglide/messages.js';
import { getLocale } from '../paraglide/runtime.js';
import { formatHealth, formatSigned } from './format';
import { formatDuration, formatTime } from './time';
import { isForecast, type AssetSummary, type Case, type Evidence, type Forecast, type NextOrder, type PrognosisView, type WorkOrder } from './types';
import { failureMode, named, signalName } from './words';

/** The name of a signal of an asset, for a sentence. */
export type SignalNamer = (signal: string) => string;

export const plainSignal: SignalNamer = (signal) => signalName(signal, null, null);

const time = (iso: string, zone: string): string => formatTime(Date.parse(iso), 'datetime', zone, getLocale());
const day = (iso: string, zone: string): string => formatTime(Date.parse(iso), 'day', zone, getLocale());

/** The state of an asset. `evidence` adds which signal tells, where it is at hand. */
export function stateSentence(asset: AssetSummary, evidence: Evidence | null, namer: SignalNamer = plainSignal): string {
  const zone = asset.site.time_zone;
  // A sensor that cannot be believed is told beside the state: it is not the machine's.
  const worst = asset.open_cases.find((item) => item.failure_mode !== 'sensor-fault');
  if (asset.state === 'no_data') return m.sentence_no_data({ since: time(asset.registered_at, zone) });
  if (asset.state === 'offline') {
    return asset.last_received_at === null
      ? m.sentence_no_data({ since: time(asset.registered_at, zone) })
      : m.sentence_offline({ since: time(asset.last_received_at, zone) });
  }
  if (asset.state === 'learning') {
    // A device that sends only snapshots has no rows to count.
    if (asset.learning === null) return m.sentence_learning_none();
    return m.sentence_learning({ rows: asset.learning.rows, needed: asset.learning.needed });
  }
  if (worst !== undefined) return verdict(worst.failure_mode, worst.failure_mode_name, worst.opened_at, evidence, zone, namer);
  if (asset.condition !== null && asset.condition.state !== 'normal' && asset.state !== 'healthy') {
    return m.sentence_watch({ since: time(asset.condition.since, zone) });
  }
  return asset.state === 'healthy' ? m.sentence_healthy() : m.sentence_degraded();
}

/** The verdict of a case, from the evidence frozen when it opened. */
export function caseSentence(item: Case, zone: string, namer: SignalNamer = plainSignal): string {
  return verdict(item.failure_mode, item.failure_mode_name, item.opened_at, item.evidence, zone, namer);
}

/** The reason of a case without its failure mode, for rows whose title names that already. */
export function caseReason(item: Case, zone: string, namer: SignalNamer = plainSignal): string {
  const top = item.evidence.contributions[0];
  const since = time(item.opened_at, zone);
  // What a rule or a sensor says has no contributions, but a reason in words.
  if (top === undefined) return named(item.explanation, m.reason_since({ since }));
  const told = { signal: namer(top.signal), deviation: formatSigned(Math.abs(top.deviation), getLocale()).replace('+', ''), since };
  return top.deviation >= 0 ? m.reason_above(told) : m.reason_below(told);
}

/** English writes a name inside a sentence small, unless it is an abbreviation. */
export function inside(name: string): string {
  return getLocale() === 'en' && /^[A-Z][a-z]/.test(name) ? name.charAt(0).toLowerCase() + name.slice(1) : name;
}

function verdict(
  mode: string,
  name: AssetSummary['open_cases'][number]['failure_mode_name'],
  since: string,
  evidence: Evidence | null,
  zone: string,
  namer: SignalNamer,
): string {
  // What the machine does says nothing about a sensor.
  const top = mode === 'sensor-fault' ? undefined : evidence?.contributions[0];
  const known = mode !== 'unclassified';
  const words = failureMode(name, mode);
  if (top === undefined) {
    return known ? m.verdict({ mode: words, since: time(since, zone) }) : m.verdict_unclassified({ since: time(since, zone) });
  }
  const told = {
    signal: inside(namer(top.signal)),
    deviation: formatSigned(Math.abs(top.deviation), getLocale()).replace('+', ''),
    since: time(since, zone),
  };
  if (known) return top.deviation >= 0 ? m.verdict_above({ mode: words, ...told }) : m.verdict_below({ mode: words, ...told });
  return top.deviation >= 0 ? m.verdict_unclassified_above(told) : m.verdict_unclassified_below(told);
}

/** Forecasts beyond this are told as "more than": the trend says little that far ahead. */
const FAR_MS = 2 * 365 * 86_400_000;

/** Forecasts that end within three days are told to the minute. */
export const NEAR_S = 3 * 86_400;

/** When health crosses its limit: a span, never one date alone. */
export function forecastSentence(prognosis: PrognosisView | null, zone: string): string {
  if (prognosis === null) return m.forecast_none();
  if (!isForecast(prognosis)) {
    if (prognosis.reason === 'too_little_history') return m.forecast_too_little_history();
    if (prognosis.reason === 'recovered') return m.forecast_recovered();
    return m.forecast_no_trend();
  }
  if (prognosis.limit === null) return failureSentence(prognosis, zone);
  const limit = formatHealth(prognosis.limit, getLocale());
  if (prognosis.rul_p50_s <= 0) return m.forecast_reached({ limit });
  if (prognosis.rul_p10_s * 1_000 > FAR_MS) return m.forecast_far({ limit });
  // Close ones need the hour, far ones only the day.
  const near = prognosis.rul_p90_s < NEAR_S;
  const say = near ? time : day;
  return m.forecast({
    limit,
    p10: say(prognosis.p10, zone),
    p50: say(prognosis.p50, zone),
    p90: prognosis.rul_p90_s * 1_000 > FAR_MS ? m.forecast_later() : say(prognosis.p90, zone),
  });
}

/** When the machine fails, by what became of its like. */
function failureSentence(prognosis: Forecast, zone: string): string {
  if (prognosis.rul_p10_s * 1_000 > FAR_MS) return m.forecast_failure_far();
  const say = prognosis.rul_p90_s < NEAR_S ? time : day;
  return m.forecast_failure({
    p10: say(prognosis.p10, zone),
    p50: say(prognosis.p50, zone),
    p90: prognosis.rul_p90_s * 1_000 > FAR_MS ? m.forecast_later() : say(prognosis.p90, zone),
  });
}

/** The forecast of an asset, where its state says more than the absence of one. */
export function outlookSentence(asset: AssetSummary): string {
  if (asset.state === 'learning') return m.forecast_learning();
  // Once health lies flat at the bottom there is no trend any more; "no trend" would comfort.
  if (!isForecast(asset.prognosis) && asset.health?.zone === 'critical') return m.forecast_critical();
  return forecastSentence(asset.prognosis, asset.site.time_zone);
}

/** The forecast in the fewest words, for a list. */
export function forecastShort(prognosis: PrognosisView | null): string | null {
  if (!isForecast(prognosis)) return null;
  if (prognosis.rul_p50_s <= 0) return m.forecast_short_reached();
  const locale = getLocale();
  const span = {
    p10: formatDuration(Math.max(0, prognosis.rul_p10_s) * 1_000, locale),
    p90: formatDuration(prognosis.rul_p90_s * 1_000, locale),
  };
  return prognosis.limit === null ? m.forecast_failure_short(span) : m.forecast_short(span);
}

/** What happens next, by order. */
export function orderSentence(order: NextOrder | WorkOrder | null, zone: string): string {
  if (order === null) return m.next_order_none();
  switch (order.status) {
    case 'proposed':
      return order.due_by === null ? m.next_order_proposed() : m.next_order_proposed_due({ due: day(order.due_by, zone) });
    case 'approved':
      return order.due_by === null ? m.next_order_approved() : m.next_order_approved_due({ due: day(order.due_by, zone) });
    case 'scheduled':
      return order.scheduled_for === null ? m.order_scheduled() : m.next_order_scheduled({ at: time(order.scheduled_for, zone) });
    case 'in_progress':
      return m.next_order_in_progress();
    case 'completed':
      return m.order_completed();
    case 'cancelled':
      return m.order_cancelled();
  }
}
