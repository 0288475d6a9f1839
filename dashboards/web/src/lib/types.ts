// The shapes of the HTTP API, as it serves them (see /api/openapi.json).

import type { CaseHandling } from './alert-types';
import type { Delivery, Planning } from './plan-types';
import type { ForecastDetail, PrognosisFamily } from './prognosis-types';

/** A text in both languages of the product. */
export interface Label {
  en: string;
  zh: string;
}

/** An ISO 8601 time in UTC. */
export type Iso = string;

export type AssetState = 'learning' | 'healthy' | 'watch' | 'warning' | 'critical' | 'no_data' | 'offline';
export type Severity = 'watch' | 'warning' | 'critical';
export type Zone = 'healthy' | 'watch' | 'warning' | 'critical';
export type OrderStatus = 'proposed' | 'approved' | 'scheduled' | 'in_progress' | 'completed' | 'cancelled';
export type OrderKind = 'predictive' | 'inspection' | 'corrective' | 'preventive';
export type Outcome = 'confirmed' | 'no_fault_found' | 'sensor_fault' | 'duplicate' | 'deferred' | 'other_fault_found';
export type CaseStatus = 'open' | 'acknowledged' | 'closed';

export interface Page<T> {
  items: T[];
  next: string | null;
}

export interface Customer {
  id: string;
  name: string;
}

export interface Site {
  id: string;
  name: string;
  time_zone: string;
}

export interface Engineer {
  id: string;
  name: string;
  skills: string[];
}

export interface Forecast {
  at: Iso;
  model: string;
  family: PrognosisFamily;
  /** Only of a trend: the health index that counts as failure. */
  limit: number | null;
  p10: Iso;
  p50: Iso;
  p90: Iso;
  rul_p10_s: number;
  rul_p50_s: number;
  rul_p90_s: number;
  loss_per_day: number | null;
  p_value: number | null;
  detail: ForecastDetail;
}

/** A forecast, or why there is none. */
export type PrognosisView = Forecast | { reason: string };

export interface OpenCase {
  id: string;
  failure_mode: string;
  failure_mode_name: Label | null;
  severity: Severity;
  opened_at: Iso;
}

export interface NextOrder {
  id: string;
  status: OrderStatus;
  scheduled_for: Iso | null;
  due_by: Iso | null;
}

export interface ConditionView {
  state: 'learning' | 'normal' | 'watch' | 'alarm';
  since: Iso;
  at: Iso;
  score: number | null;
  failure_mode: string | null;
  failure_mode_name: Label | null;
}

export interface AssetSummary {
  id: string;
  name: string;
  model: string;
  model_name: Label | null;
  customer: Customer;
  site: Site;
  discovered: boolean;
  registered_at: Iso;
  state: AssetState;
  health: { index: number; zone: Zone; at: Iso } | null;
  learning: { rows: number; needed: number } | null;
  condition: ConditionView | null;
  prognosis: PrognosisView | null;
  last_measured_at: Iso | null;
  last_received_at: Iso | null;
  open_cases: OpenCase[];
  next_order: NextOrder | null;
  devices: { id: string; online: boolean | null }[];
}

export interface SignalView {
  device: string;
  signal: string;
  unit: string | null;
  label: Label | null;
  last: { at: Iso; value: number } | null;
  normal: { low: number; high: number } | null;
  /** It only counts up, such as operating hours, and no verdict rests on it. */
  counter: boolean;
}

export interface Contribution {
  signal: string;
  share: number;
  deviation: number;
  value: number;
  normal: number;
  normal_low: number;
  normal_high: number;
}

export interface Evidence {
  model: string;
  window_from: Iso;
  window_to: Iso;
  baseline_from: Iso;
  baseline_to: Iso;
  baseline_rows: number;
  operating: OperatingState;
  statistics: { score: number; on: number; off: number };
  views: { view: string; version: number; score: number; limit: number }[];
  failure_mode: string;
  failure_mode_fit: number;
  contributions: Contribution[];
  suspects: string[];
  /** Machines of its kind it was compared with, 0 when too few; missing when nobody asked. */
  peers?: number;
}

/** What a machine is doing. */
export type OperatingState = { name: 'off' | 'idle' | 'start_up' | 'transition' | 'unknown' } | { name: 'running'; regime: number };

export type SensorFault = 'stuck' | 'spike' | 'step' | 'drift' | 'noise_collapse' | 'noise_burst' | 'saturation' | 'gap' | 'clock';

/** Whether a signal can be believed. */
export interface SensorVerdict {
  signal: string;
  state: 'good' | 'suspect' | 'faulty';
  since: Iso;
  fault: SensorFault | null;
  confidence: number;
  value: number | null;
  expected: number | null;
  detail: Record<string, number>;
}

/** The health of a part of an asset. */
export interface ComponentHealth {
  component: string;
  health: number;
  weight: number;
}

/** A component's health with its name. */
export interface ComponentView extends ComponentHealth {
  name: Label;
  zone: Zone;
}

/** A sensor that cannot be believed now. */
export interface SensorView extends SensorVerdict {
  device: string;
  label: Label;
}

/** How often a device alarms while all is well; null before there is a day to tell from. */
export interface FalseAlarms {
  device: string;
  episodes: number | null;
  months: number | null;
  per_month: number | null;
  upper_per_month: number | null;
  budget_per_month: number;
  limit: number;
}

/** A feature of a signal as it stands. */
export interface Feature {
  name: string;
  device: string;
  signal: string;
  feature: string;
  unit: string | null;
  value: number;
  at: Iso;
}

export interface AssetDetail extends AssetSummary {
  signals: SignalView[];
  evidence: Evidence | null;
  /** The verdict in words, as the server puts it. */
  explanation: Label | null;
  operating: OperatingState | null;
  components: ComponentView[];
  sensors: SensorView[];
  false_alarms: FalseAlarms[];
}

/** How far one signal was from its normal, and where that lay; each normal until the next. */
export interface SignalCourse {
  signal: string;
  deviation: (number | null)[];
  normal: { from: Iso; low: number; high: number }[];
}

/** What was said of the machine from one device; each point holds until the next. */
export interface DeviceCourse {
  device: string;
  at: Iso[];
  score: (number | null)[];
  limit: number | null;
  alarms: { from: Iso; to: Iso | null }[];
  operating: { from: Iso; state: OperatingState }[];
  baselines: { from: Iso; learned_from: Iso; learned_to: Iso; rows: number }[];
  signals: SignalCourse[];
}

/** A stretch in which a sensor could not be believed, with its last verdict. */
export interface SensorSpan extends SensorVerdict {
  device: string;
  to: Iso | null;
}

/** What analytics said over a span. */
export interface Course {
  from: Iso;
  to: Iso;
  complete: boolean;
  devices: DeviceCourse[];
  sensors: SensorSpan[];
}

export interface Bucket {
  from: Iso;
  to: Iso;
  count: number;
  min: number;
  max: number;
  mean: number;
  first: number;
  last: number;
}

export interface Buckets extends Page<Bucket> {
  device: string;
  signal: string;
  unit: string | null;
  from: Iso;
  to: Iso;
}

export interface Assessment {
  asset: string;
  device: string;
  at: Iso;
  health: number;
  zone: Zone;
  score: number;
  components: ComponentHealth[];
}

export interface Case extends CaseHandling {
  id: string;
  asset: string;
  asset_name: string;
  device: string;
  failure_mode: string;
  failure_mode_name: Label | null;
  /** The signal whose sensor cannot be believed; null for a problem of the machine. */
  signal: string | null;
  severity: Severity;
  status: CaseStatus;
  opened_at: Iso;
  updated_at: Iso;
  cleared_at: Iso | null;
  closed_at: Iso | null;
  score: number;
  peak_score: number;
  evidence: Evidence;
  /** The reason in words, as the server puts it. */
  explanation: Label;
  prognosis: PrognosisView | null;
  work_order: string | null;
  outcome: Outcome | null;
}

export interface CaseEvent {
  at: Iso;
  kind: string;
  by: string | null;
  detail: Record<string, unknown> | null;
}

export interface CaseDetail extends Case {
  events: CaseEvent[];
}

export interface WorkOrder extends Planning {
  id: string;
  asset: string;
  asset_name: string;
  case: string | null;
  kind: OrderKind;
  status: OrderStatus;
  severity: Severity | null;
  failure_mode: string | null;
  failure_mode_name: Label | null;
  opened_at: Iso | null;
  signals: { signal: string; deviation: number; share: number }[];
  due_by: Iso | null;
  engineer: string | null;
  engineer_name: string | null;
  scheduled_for: Iso | null;
  outcome: Outcome | null;
  /** What it really was, and the part that was changed. */
  found_mode: string | null;
  found_mode_name: Label | null;
  part: string | null;
  note: string | null;
  created_at: Iso;
  updated_at: Iso;
}

export interface WorkOrderDetail extends WorkOrder {
  log: { at: Iso; by: string; from: OrderStatus | null; to: OrderStatus; note: string | null }[];
  deliveries: Delivery[];
}

/** A kind of machine, as the server knows it. */
export interface AssetModel {
  id: string;
  name: Label;
  signals: { signal: string; unit: string | null; label: Label }[];
  failure_modes: { failure_mode: string; name: Label }[];
}

export interface SystemStatus {
  version: string;
  started_at: Iso;
  now: Iso;
  readings_acknowledged: number;
  readings_stored: number;
  messages_acknowledged: number;
  connections: number;
  waveforms_acknowledged: number;
  dead_letters: number;
  dead_letters_open: number;
  dead_letters_dropped: number;
  noticed: { late: number; duplicate: number; out_of_order: number; stuck: number };
  access: { handshakes_failed: number; logins_refused: number; sessions_revoked: number; quota_pauses: number; tls_reload_errors: number };
  damaged_chunks: { device: string; signal: string; tier: string; from: Iso; to: Iso; count: number; found_at: Iso; reason: string }[];
  influx: {
    state: 'starting' | 'running' | 'retrying' | 'unauthorized' | 'not_found' | 'stopped';
    lag: number;
    points_written: number;
    refused: number;
    last_error: string | null;
  } | null;
  journal: {
    committed: number;
    oldest: number;
    bytes: number;
    readers: { name: string; position: number; lag: number }[];
  };
  subscribers: Record<string, unknown>[];
  registration: string;
  demo: boolean;
}

export function isForecast(prognosis: PrognosisView | null): prognosis is Forecast {
  return prognosis !== null && 'p50' in prognosis;
}

export type * from './device-types';
export type * from './wave-types';
