// Words of enumerations in the reader's language. One table each, so that the compiler says
// when the API learns a new word and the page has none for it.

import { m } from '../paraglide/messages.js';
import { signalWords } from './format';
import type { AssetState, CaseStatus, Label, OperatingState, OrderKind, OrderStatus, Outcome, SensorFault, SensorVerdict } from './types';
import { getLocale } from '../paraglide/runtime.js';

const STATE: Record<AssetState, () => string> = {
  critical: m.state_critical,
  warning: m.state_warning,
  watch: m.state_watch,
  healthy: m.state_healthy,
  learning: m.state_learning,
  offline: m.state_offline,
  no_data: m.state_no_data,
};
const CASE: Record<CaseStatus, () => string> = {
  open: m.case_open,
  acknowledged: m.case_acknowledged,
  closed: m.case_closed,
};
const ORDER: Record<OrderStatus, () => string> = {
  proposed: m.order_proposed,
  approved: m.order_approved,
  scheduled: m.order_scheduled,
  in_progress: m.order_in_progress,
  completed: m.order_completed,
  cancelled: m.order_cancelled,
};
const KIND: Record<OrderKind, () => string> = {
  predictive: m.kind_predictive,
  inspection: m.kind_inspection,
  corrective: m.kind_corrective,
  preventive: m.kind_preventive,
};
const OUTCOME: Record<Outcome, () => string> = {
  confirmed: m.outcome_confirmed,
  no_fault_found: m.outcome_no_fault_found,
  sensor_fault: m.outcome_sensor_fault,
  other_fault_found: m.outcome_other_fault_found,
  duplicate: m.outcome_duplicate,
  deferred: m.outcome_deferred,
};
/** A word and what it says, in a sentence. */
type Told = { name: string; what: string };
type Tolds = Record<string, [() => string, () => string]>;

const told = (table: Tolds, key: string, unknown: string): Told => {
  const words = table[key];
  return words === undefined ? { name: unknown, what: '' } : { name: words[0](), what: words[1]() };
};

/** A detector's name and what it tells; one the page does not know goes by its own name. */
const VIEW: Tolds = {
  level: [m.view_level, m.view_level_told],
  innovation: [m.view_innovation, m.view_innovation_told],
  agreement: [m.view_agreement, m.view_agreement_told],
  pca: [m.view_pca, m.view_pca_told],
  cusum: [m.view_cusum, m.view_cusum_told],
  tail: [m.view_tail, m.view_tail_told],
  fleet: [m.view_fleet, m.view_fleet_told],
  t2: [m.statistic_t2, m.statistic_t2_told],
  q: [m.statistic_q, m.statistic_q_told],
};

export function viewWords(view: string, name: (signal: string) => string = (signal) => signal): Told {
  // A crossed limit is named with its signal, `limit_above:temperature_c`.
  const limit = /^limit_(above|below):(.+)$/.exec(view);
  if (limit !== null) {
    return { name: `${m.view_limits()}: ${name(limit[2] ?? '')} ${limit[1] === 'above' ? '>' : '<'}`, what: m.view_limits_told() };
  }
  // So is the fault of a sensor, `sensor_stuck:temperature_c`, and what it read.
  const sensor = /^sensor_(\w+):(.+)$/.exec(view);
  if (sensor !== null) {
    const fault = sensor[1] === 'reads' ? { name: m.view_sensor_reads(), what: m.view_sensor_reads_told() } : faultWords(sensor[1] as SensorFault);
    return { name: `${fault.name}: ${name(sensor[2] ?? '')}`, what: fault.what };
  }
  // And what a rule looked at, `rule_too-hot:temperature_c`.
  const rule = /^rule_[^:]+(?::(.+))?$/.exec(view);
  if (rule !== null) return { name: rule[1] === undefined ? m.view_rule() : name(rule[1]), what: m.view_rule_told() };
  return told(VIEW, view, view);
}

const FAULT: Record<SensorFault, [() => string, () => string]> = {
  stuck: [m.fault_stuck, m.fault_stuck_told],
  spike: [m.fault_spike, m.fault_spike_told],
  step: [m.fault_step, m.fault_step_told],
  drift: [m.fault_drift, m.fault_drift_told],
  noise_collapse: [m.fault_noise_collapse, m.fault_noise_collapse_told],
  noise_burst: [m.fault_noise_burst, m.fault_noise_burst_told],
  saturation: [m.fault_saturation, m.fault_saturation_told],
  gap: [m.fault_gap, m.fault_gap_told],
  clock: [m.fault_clock, m.fault_clock_told],
};
const SENSOR: Record<SensorVerdict['state'], () => string> = {
  good: m.sensor_good,
  suspect: m.sensor_suspect,
  faulty: m.sensor_faulty,
};
const DOING: Record<OperatingState['name'], () => string> = {
  off: m.doing_off,
  idle: m.doing_idle,
  start_up: m.doing_start_up,
  running: m.doing_running,
  transition: m.doing_transition,
  unknown: m.doing_unknown,
};

const FEATURE: Record<string, () => string> = {
  last: m.feature_last,
  mean: m.feature_mean,
  ewma: m.feature_ewma,
  std: m.feature_std,
  ewma_std: m.feature_ewma_std,
  min: m.feature_min,
  max: m.feature_max,
  range: m.feature_range,
  slope: m.feature_slope,
  rate: m.feature_rate,
  crest: m.feature_crest,
  skewness: m.feature_skewness,
  kurtosis: m.feature_kurtosis,
  p05: m.feature_p05,
  p50: m.feature_p50,
  p95: m.feature_p95,
  hour_normal: m.feature_hour_normal,
  hour_deviation: m.feature_hour_deviation,
  weekday_deviation: m.feature_weekday_deviation,
};

export const featureWord = (feature: string): string => word(FEATURE, feature);

/** What is wrong with a sensor, in a word and in a sentence. */
export const faultWords = (fault: SensorFault | null): Told => told(FAULT, fault ?? '', fault ?? m.sensor_suspect());

export const sensorWord = (state: SensorVerdict['state']): string => word(SENSOR, state);

/** What a machine is doing. A regime is named where there is more than one to tell apart. */
export function doingWord(state: OperatingState, regimes: boolean): string {
  // Regimes are counted from 0; people count from 1.
  return state.name === 'running' && regimes ? m.doing_running_regime({ regime: state.regime + 1 }) : word(DOING, state.name);
}

const REASON: Record<string, () => string> = {
  unknown_topic: m.dead_unknown_topic,
  unknown_device: m.dead_unknown_device,
  malformed_payload: m.dead_malformed_payload,
  empty_payload: m.dead_empty_payload,
  invalid_value: m.dead_invalid_value,
  invalid_signal: m.dead_invalid_signal,
  invalid_timestamp: m.dead_invalid_timestamp,
  too_large: m.dead_too_large,
  unit_mismatch: m.dead_unit_mismatch,
  out_of_range: m.dead_out_of_range,
  rate_of_change: m.dead_rate_of_change,
  clock_ahead: m.dead_clock_ahead,
  cardinality_limit: m.dead_cardinality_limit,
  unknown_alias: m.dead_unknown_alias,
  not_authorized: m.dead_not_authorized,
  unsupported_format: m.dead_unsupported_format,
};
/** What a person does about each reason. */
const REMEDY: Record<string, () => string> = {
  unknown_topic: m.remedy_unknown_topic,
  unknown_device: m.remedy_unknown_device,
  malformed_payload: m.remedy_format,
  empty_payload: m.remedy_format,
  invalid_value: m.remedy_value,
  invalid_signal: m.remedy_format,
  invalid_timestamp: m.remedy_clock,
  too_large: m.remedy_too_large,
  unit_mismatch: m.remedy_unit,
  out_of_range: m.remedy_limits,
  rate_of_change: m.remedy_limits,
  clock_ahead: m.remedy_clock,
  cardinality_limit: m.remedy_cardinality,
  unknown_alias: m.remedy_alias,
  not_authorized: m.remedy_authorized,
  unsupported_format: m.remedy_format,
};
const EVENT: Record<string, () => string> = {
  opened: m.event_opened,
  severity_raised: m.event_severity_raised,
  cleared: m.event_cleared,
  returned: m.event_returned,
  acknowledged: m.event_acknowledged,
  order_raised: m.event_order_raised,
  order_deferred: m.event_order_deferred,
  order_completed: m.event_order_completed,
  order_cancelled: m.event_order_cancelled,
  assigned: m.event_assigned,
  commented: m.event_commented,
  handed_over: m.event_handed_over,
  escalated: m.event_escalated,
  shelved: m.event_shelved,
  unshelved: m.event_unshelved,
  reopened: m.event_reopened,
  amended: m.event_amended,
  withdrawn: m.event_withdrawn,
  suppressed: m.event_suppressed,
  unsuppressed: m.event_unsuppressed,
  watch_listed: m.event_watch_listed,
};

export const OUTCOMES = Object.keys(OUTCOME) as Outcome[];

const word = (table: Record<string, () => string>, key: string): string => table[key]?.() ?? key.replaceAll('_', ' ');

export const stateWord = (state: AssetState): string => word(STATE, state);
export const caseWord = (status: CaseStatus): string => word(CASE, status);
export const orderWord = (status: OrderStatus): string => word(ORDER, status);
export const kindWord = (kind: OrderKind): string => word(KIND, kind);
export const outcomeWord = (outcome: Outcome): string => word(OUTCOME, outcome);
export const reasonWord = (reason: string): string => word(REASON, reason);
export const remedy = (reason: string): string => word(REMEDY, reason);
export const eventWord = (kind: string): string => word(EVENT, kind);

/** A name the server has in both languages. */
export function named(label: Label | null | undefined, fallback: string): string {
  if (!label) return fallback;
  return (getLocale() === 'zh-CN' ? label.zh : label.en) || fallback;
}

/** Failure modes of rules that no asset model names. */
const MODE: Record<string, () => string> = { lubrication: m.mode_lubrication, idling: m.mode_idling };

/** A failure mode; one that fits no signature has no name of its own. */
export function failureMode(label: Label | null | undefined, mode: string | null): string {
  if (mode === null || mode === 'unclassified') return m.failure_unclassified();
  if (!label && Object.hasOwn(MODE, mode)) return MODE[mode]?.() ?? mode;
  const words = mode.replaceAll('-', ' ');
  return named(label, words.charAt(0).toUpperCase() + words.slice(1));
}

/** A signal: its label, else the words of its name. */
export function signalName(signal: string, label: Label | null | undefined, unit: string | null): string {
  return named(label, signalWords(signal, unit));
}

/** The name of an asset model; a discovered asset has none yet. */
export function modelName(label: Label | null | undefined, model: string): string {
  return model === 'unknown' ? m.model_unknown() : named(label, model);
}
