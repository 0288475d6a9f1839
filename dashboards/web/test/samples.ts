// Small but complete objects of the API for tests.

import type { ForecastDetail } from '../src/lib/prognosis-types';
import type { AssetSummary, Case, Evidence, WorkOrder } from '../src/lib/types';

export const EVIDENCE: Evidence = {
  model: 'level/1',
  window_from: '2026-12-01T07:50:00Z',
  window_to: '2026-12-01T08:00:00Z',
  baseline_from: '2026-11-20T00:00:00Z',
  baseline_to: '2026-11-22T00:00:00Z',
  baseline_rows: 2000,
  operating: { name: 'running', regime: 0 },
  statistics: { score: 2.2, on: 1, off: 0.8 },
  views: [{ view: 'level', version: 1, score: 2.2, limit: 1 }],
  failure_mode: 'bearing-wear',
  failure_mode_fit: 0.9,
  contributions: [
    { signal: 'bearing_temperature_c', share: 0.7, deviation: 6.24, value: 70, normal: 58, normal_low: 52, normal_high: 64 },
    { signal: 'vibration_mm_s', share: 0.3, deviation: -2, value: 2, normal: 2.5, normal_low: 2, normal_high: 3 },
  ],
  suspects: [],
};

/** What a trend adds: nothing. */
export const NO_DETAIL: ForecastDetail = {
  asset_model: null, version: null, component: null, fan: [], within: [], hazard_per_day: null, contributions: [], similar: [], notes: [],
};

export function anAsset(change: Partial<AssetSummary> = {}): AssetSummary {
  return {
    id: 'a',
    name: 'Pump 1',
    model: 'centrifugal-pump',
    model_name: { en: 'Centrifugal pump', zh: '离心泵' },
    customer: { id: 'default', name: 'Northport' },
    site: { id: 's1', name: 'North', time_zone: 'Europe/Amsterdam' },
    discovered: false,
    registered_at: '2026-11-20T00:00:00Z',
    state: 'healthy',
    health: null,
    learning: null,
    condition: null,
    prognosis: null,
    last_measured_at: null,
    last_received_at: null,
    open_cases: [],
    next_order: null,
    devices: [],
    ...change,
  };
}

export function aCase(change: Partial<Case> = {}): Case {
  return {
    id: 'c',
    asset: 'a',
    asset_name: 'Pump 1',
    device: 'd',
    failure_mode: 'bearing-wear',
    failure_mode_name: { en: 'Bearing wear', zh: '轴承磨损' },
    signal: null,
    severity: 'warning',
    status: 'open',
    opened_at: '2026-12-01T08:00:00Z',
    updated_at: '2026-12-01T08:00:00Z',
    cleared_at: null,
    closed_at: null,
    score: 2,
    peak_score: 2,
    evidence: EVIDENCE,
    explanation: { en: 'Bearing wear likely.', zh: '疑似轴承磨损。' },
    prognosis: null,
    work_order: null,
    outcome: null,
    verdict: 'machine',
    why: null,
    source: { kind: 'model', name: 'correlation' },
    assignee: null,
    parent: null,
    children: 0,
    suppressed: null,
    watch_list: null,
    expected_avoided_cost: null,
    currency: null,
    stale: false,
    ...change,
  };
}

export function anOrder(change: Partial<WorkOrder> = {}): WorkOrder {
  return {
    id: 'WO-000001',
    asset: 'a',
    asset_name: 'Pump 1',
    case: null,
    kind: 'predictive',
    status: 'proposed',
    severity: null,
    failure_mode: null,
    failure_mode_name: null,
    opened_at: null,
    signals: [],
    due_by: null,
    engineer: null,
    engineer_name: null,
    scheduled_for: null,
    outcome: null,
    note: null,
    created_at: '2026-12-01T08:00:00Z',
    updated_at: '2026-12-01T08:00:00Z',
    found_mode: null,
    found_mode_name: null,
    part: null,
    priority: null,
    plan: null,
    due_from: null,
    costs: null,
    date: null,
    ...change,
  };
}
