// The shapes of the API of rules and of what came of them: versions, recalibration, the
// scoreboard, back-tests and savings.

import type { Verdict } from './alert-types';
import type { Iso, Label, OperatingState, SensorFault, SensorVerdict, Severity } from './types';

/** An estimate with the span it lies in, 95 %; without an end where too few cases are known. */
export interface Interval {
  value: number;
  low: number | null;
  high: number | null;
}

/** How much further a value must go before it alarms, for one kind of machine. */
export interface Factor {
  asset_model: string;
  factor: number;
}

/** How long alerts for a failure mode wait for themselves to pass, on one kind of machine. */
export interface Wait {
  asset_model: string;
  failure_mode: string;
  /** Of alarms that rose abruptly, or of those that grew. */
  abrupt: boolean;
  days: number;
}

export interface Recalibration {
  id: number;
  source: AlertSource;
  asset_model: string;
  /** What was moved: a limit, from and to as factors, or how long alerts wait, in days. */
  lever: 'limit' | 'patience' | 'abrupt_patience';
  failure_mode: string | null;
  at: Iso;
  from: number;
  to: number;
  reverts: number | null;
  because: Label;
  reverted: boolean;
}

/** A level with the one at which it is over. */
export interface Level {
  above: boolean;
  on: number;
  off: number;
}

type Doing = OperatingState['name'];
type States = ({ operating: Doing } | { condition: 'learning' | 'normal' | 'watch' | 'alarm' })[];

/** What must hold. */
export type Condition =
  | { kind: 'threshold'; signal: string; level: Level }
  | { kind: 'rate'; signal: string; level: Level; over_s: number; per_s: number }
  | { kind: 'no_data'; signal: string | null; for_s: number }
  | { kind: 'state'; states: States; for_s: number }
  | { kind: 'count'; of: { count_of: 'crossings'; signal: string; level: Level } | { count_of: 'states'; states: States }; within_s: number; at_least: number }
  | { kind: 'zone'; signal: string; zone: 'B' | 'C' | 'D' }
  | { kind: 'score'; level: Level }
  | { kind: 'health'; level: Level }
  | { kind: 'sensor'; signal: string | null; states: SensorVerdict['state'][]; faults: SensorFault[] }
  | { kind: 'failure_within'; horizon_s: number; level: Level };

/** What a rule judges by. */
export interface RuleWhole {
  condition: Condition;
  on_delay_s: number;
  off_delay_s: number;
  /** The operating states in which it judges; all where there are none. */
  while: Doing[];
}

export interface Rule {
  id: string;
  name: Label;
  kind: string;
  enabled: boolean;
  /** Kinds of machine it is for; every kind where there are none. */
  asset_models: string[];
  /** Assets it is for alone; all where there are none. */
  assets: string[];
  verdict: Verdict;
  failure_mode: string;
  severity: Severity;
  version: number;
  source: string;
  changed_at: Iso;
  changed_by: string;
  overrides: number;
  factors: Factor[];
  waits: Wait[];
  rule: RuleWhole;
}

export interface RuleDetail {
  /** As in the list; null when it was retired. */
  rule: Rule | null;
  /** Its own lines of the rules; null when it was retired. */
  text: string | null;
  history: { version: number; set_version: number; at: Iso; by: string; reason: string; text: string | null }[];
  recalibrations: Recalibration[];
}

/** Which rules a text adds, changes and removes. */
export interface RuleChanges {
  added: string[];
  changed: string[];
  removed: string[];
}

/** A version of all rules together. */
export interface RuleVersion {
  version: number;
  at: Iso;
  by: string;
  reason: string;
  changes: RuleChanges;
}

export interface RulesText {
  version: number;
  text: string;
}

export interface RuleError {
  line: number;
  column: number;
  message: string;
}

export interface RulesCheck {
  ok: boolean;
  rules: number;
  errors: RuleError[];
  changes: RuleChanges | null;
}

export const SCORED_BY = ['rule', 'both', 'asset_model'] as const;
export type ScoredBy = (typeof SCORED_BY)[number];

/** Who raises an alert: the models' own detectors, or a rule. */
export type AlertSource = { kind: 'model' } | { kind: 'rule'; rule: string };

export interface Score {
  source: AlertSource | null;
  asset_model: string | null;
  alerts: number;
  confirmed: number;
  no_fault_found: number;
  sensor_fault: number;
  open: number;
  missed: number;
  precision: Interval | null;
  recall: Interval | null;
  lead_time_s: Interval | null;
  false_alarms_per_asset_month: Interval | null;
  asset_months: number;
  factor: number | null;
  waits: Wait[];
}

/** How a signal of an asset, or the score of its detectors, is spread now against when they were in order. */
export interface DriftOfInput {
  asset: string;
  asset_model: string;
  device: string;
  /** The detectors that look at it. */
  model: string;
  what: { kind: 'signal'; signal: string } | { kind: 'score'; signal: null };
  /** Population stability index, at least 0. */
  psi: number;
  word: 'stable' | 'moving' | 'drifted';
  /** Null unless it drifted. */
  since: Iso | null;
  reference: { from: Iso; to: Iso; points: number };
  recent: { from: Iso; to: Iso; points: number };
  /** A fault stands on the asset, which may be what moved it. */
  alarm_stands: boolean;
  /** What moved and what to do. */
  words: Label;
}

/** What one rule would have done; the models' own alarms where it is null. */
export interface BacktestRule {
  rule: string | null;
  cases: number;
  confirmed: number;
  false_alarms: number;
}

/** A case that would have been opened. */
export interface BacktestCase {
  case: string;
  asset: string;
  failure_mode: string;
  signal: string | null;
  rule: string | null;
  opened_at: Iso;
  order: boolean;
  verdict: 'confirmed' | 'false' | 'unknown';
  lead_time_s: number | null;
}

/** What a set of rules would have done, judged by what was found. */
export interface BacktestSide {
  cases: number;
  orders: number;
  orders_per_week: number;
  confirmed: number;
  false_alarms: number;
  unknown: number;
  problems: number;
  missed: number;
  precision: Interval | null;
  recall: Interval | null;
  lead_time_s: number | null;
  net_money: number | null;
  by_rule: BacktestRule[];
  items: BacktestCase[];
}

export interface Backtest {
  id: number;
  state: 'queued' | 'running' | 'done' | 'failed' | 'cancelled';
  by: string;
  from: Iso;
  to: Iso;
  /** Whether the models' own alarms were left out. */
  rules_only: boolean;
  requested_at: Iso;
  started_at: Iso | null;
  ended_at: Iso | null;
  progress: number;
  readings: number;
  problem: string | null;
  /** Null in lists. */
  result: { proposed: BacktestSide; in_force: BacktestSide; currency: string; readings: number; seconds: number } | null;
}

export const SAVING_KINDS = ['avoided', 'false_alarms', 'missed', 'too_late', 'sensors'] as const;
export type SavingKind = (typeof SAVING_KINDS)[number];

/** How often, for how much; `unpriced` are those whose costs nobody has told. */
export interface Saving {
  count: number;
  money: number;
  unpriced: number;
}

export interface SavingsRow extends Record<SavingKind, Saving> {
  customer: string | null;
  customer_name: string | null;
  model: string | null;
  model_name: Label | null;
  month: string | null;
  currency: string;
  net: number;
}

export interface SavingsEntry {
  kind: string;
  asset: string;
  asset_name: string;
  customer: string;
  model: string;
  month: string;
  case: string | null;
  work_order: string | null;
  failure_mode: string | null;
  at: Iso;
  money: number | null;
  currency: string;
  words: Label;
}
