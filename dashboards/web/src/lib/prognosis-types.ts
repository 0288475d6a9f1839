// The shapes of the API of prognosis: forecasts of trained models, the registry they come from,
// and the imported past they learn from.

import type { Iso, Label, OnboardError } from './types';

export type PrognosisFamily = 'trend' | 'fleet' | 'life_data' | 'combined' | 'classifier';

/** How a number about failure may be read. */
export type Shown = 'nominal' | 'calibrated' | 'rank';

/** A quantile of remaining life. */
export interface FanQuantile {
  level: number;
  rul_s: number;
}

/** Failure within a horizon; `rank` is the part of past forecasts that were less alarming. */
export interface FailureWithin {
  horizon_s: number;
  probability: number | null;
  rank: number | null;
  shown: Shown;
  /** Which family said it, when that is another than of the whole forecast. */
  family?: PrognosisFamily | null;
  reason?: Label | null;
}

/** What a trained model says beyond three quantiles; empty for a trend. */
export interface ForecastDetail {
  asset_model: string | null;
  version: number | null;
  component: string | null;
  fan: FanQuantile[];
  within: FailureWithin[];
  hazard_per_day: number | null;
  contributions: { feature: string; rul_s: number }[];
  similar: SimilarLife[];
  notes: string[];
}

/** A past life that looked like this one; what it still had is told in running time. */
export interface SimilarLife {
  asset: string;
  failed: boolean;
  rul_s: number;
  similarity: number;
}

/** A stored forecast, or why there was none, as analytics said it. */
export type PastPrognosis =
  | { outcome: 'none'; asset: string; device: string; at: Iso; reason: string }
  | {
      outcome: 'forecast';
      asset: string;
      device: string;
      at: Iso;
      model: string;
      family: PrognosisFamily;
      rul_p10_s: number;
      rul_p50_s: number;
      rul_p90_s: number;
    };

/** A forecast against what happened; `shadow` was made beside the serving model. */
export interface ForecastScore {
  asset: string;
  device: string;
  forecast_at: Iso;
  ended_at: Iso;
  shadow: boolean;
  failed: boolean;
  truth_s: number;
  quantiles_s: number[];
  crps_s: number;
  in_interval: boolean;
  within_alpha: boolean;
  brier: { horizon_s: number; error: number }[];
}

/** A bin of a reliability table: what was said on average, and how often it happened. */
export interface ReliabilityBin {
  rows: number;
  said: number;
  happened: number;
}

/** How well "fails within the horizon" came true. */
export interface Reliability {
  bins: ReliabilityBin[];
  rows: number;
  base_rate: number;
  brier: number;
  brier_of_base_rate: number;
  ece: number;
}

/** What is known about a model's honesty; lengths are in cycles. */
export interface Calibration {
  assets: number;
  rows: number;
  coverage: number;
  coverage_error: number;
  width: number;
  pit: number[];
  pit_p: number;
  horizons: { horizon: number; reliability: Reliability }[];
}

/** How long machines last by their records, and what of them counts. */
export interface LifeReport {
  lives: number;
  failures: number;
  shape: number;
  with_covariates: boolean;
  effects: { name: string; per: number; hazard_ratio: number; hazard_ratio_low: number; hazard_ratio_high: number; time_ratio: number }[];
  left_out: { name: string; why: 'too_rare' | 'too_seldom_known' | 'too_many_values' | 'too_few_failures' }[];
}

/** How a model did in training; members are missing where an older program trained it. */
export interface ModelMetrics {
  rows?: number;
  rmse_cycles?: number;
  baseline_rmse_cycles?: number;
  /** Running time of a cycle. */
  cycle_s?: number;
  /** Usual calendar time of a cycle. */
  calendar_cycle_s?: number;
  cap_cycles?: number;
  /** What the records alone say; null with fewer than three failures. */
  life?: LifeReport | null;
  /** Why the records are the whole model; null where a fleet model serves. */
  fleet_problem?: string | null;
  served?: { served: 'probability' } | { served: 'rank'; reason: Label };
}

export interface Provenance {
  program: string;
  seed: number;
  data_from: Iso | null;
  data_to: Iso | null;
  assets: number;
  lives: number;
  failures: number;
  cycles: number;
  settings: string;
  by: string;
}

/** What the forecasts of a version were worth on lives that ended since. */
export interface ModelScores {
  forecasts: number;
  lives: number;
  crps_s: number | null;
  coverage: number | null;
  alpha: number | null;
  brier: { horizon_s: number; error: number }[];
  lead_s: number | null;
}

export type Standing = 'champion' | 'challenger' | 'retired';

/** A version of a model. */
export interface PrognosisModel {
  asset_model: string;
  name: Label | null;
  version: number;
  state: Standing;
  checksum: string;
  bytes: number;
  trained_at: Iso;
  provenance: Provenance;
  features: string[];
  metrics: ModelMetrics;
  calibration: Calibration | null;
  scores: ModelScores;
}

/** A version began to serve. */
export interface Promotion {
  asset_model: string;
  version: number;
  checksum: string;
  at: Iso;
  by: string;
  note: string;
}

export interface PrognosisModelDetail extends PrognosisModel {
  promotions: Promotion[];
}

export interface TrainingJob {
  id: number;
  asset_model: string;
  state: 'queued' | 'running' | 'done' | 'failed';
  by: string;
  seed: number;
  horizon_s: number | null;
  requested_at: Iso;
  started_at: Iso | null;
  ended_at: Iso | null;
  step: string;
  progress: number;
  version: number | null;
  problem: string | null;
}

export type HistoryKind = 'assets' | 'failures' | 'maintenance' | 'errors';

/** What came of a file of the past or, in a dry run, would. */
export interface HistoryReport {
  dry_run: boolean;
  applied: boolean;
  rows: number;
  new: number;
  changed: number;
  unchanged: number;
  not_in_ledger: string[];
  errors: OnboardError[];
  more_errors: number;
}

export interface HistoryRecord {
  asset: string;
  at: Iso;
  kind: string;
  component: string;
  code: string;
  note: string;
}

/** What machines measure now against the training of a model; `outside` is a part of the machines. */
export interface Drift {
  signals: { signal: string; low: number; high: number; outside: number | null; machines: { asset: string; device: string; mean: number; outside: boolean }[] }[];
  truncated: boolean;
}
