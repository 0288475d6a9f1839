import { describe, expect, it } from 'vitest';
import type { Calibration, PrognosisModel } from '../src/lib/prognosis-types';
import { coverageSpan, doubtOf, gain, isCalibrated, kindsOf, reliabilityPoints, shownVersion } from '../src/lib/reliability';

function aModel(change: Partial<PrognosisModel> = {}): PrognosisModel {
  return {
    asset_model: 'pump', name: null, version: 1, state: 'challenger', checksum: 'c', bytes: 1, trained_at: '2026-12-01T08:00:00Z',
    provenance: { program: 'bellwether 0', seed: 1, data_from: null, data_to: null, assets: 1, lives: 1, failures: 1, cycles: 1, settings: '{}', by: 'a' },
    features: [], metrics: {}, calibration: null, scores: { forecasts: 0, lives: 0, crps_s: null, coverage: null, alpha: null, brier: [], lead_s: null },
    ...change,
  };
}

it('points of a calibration plot: what came true lies on the diagonal, empty bins say nothing', () => {
  const points = reliabilityPoints({ bins: [{ rows: 100, said: 0.1, happened: 0.1 }, { rows: 0, said: 0, happened: 0 }, { rows: 25, said: 0.8, happened: 0.4 }], rows: 125, base_rate: 0.2, brier: 0.1, brier_of_base_rate: 0.16, ece: 0.08 }, 200);
  expect(points.map(({ x, y, rows }) => [x, y, rows])).toEqual([
    [20, 180, 100],
    [160, 120, 25],
  ]);
  // A quarter of the forecasts is a quarter of the area.
  expect((points[1]?.r ?? 0) / (points[0]?.r ?? 1)).toBeCloseTo(0.5, 12);
});

describe('a model', () => {
  it.each([
    [{ rmse_cycles: 5, baseline_rmse_cycles: 20 }, 0.75],
    [{ rmse_cycles: 22, baseline_rmse_cycles: 20 }, -0.1],
    [{ rmse_cycles: 5 }, null],
    [{ rmse_cycles: 0, baseline_rmse_cycles: 0 }, null],
  ])('%o gains %s on a forecast without a look', (metrics, expected) => {
    const found = gain(aModel({ metrics }));
    if (expected === null) expect(found).toBeNull();
    else expect(found).toBeCloseTo(expected, 12);
  });
  it('speaks of probability only when training said that it may', () => {
    expect(isCalibrated(aModel({ metrics: { served: { served: 'probability' } } }))).toBe(true);
    expect(isCalibrated(aModel({ metrics: {} }))).toBe(false);
    const ranked = aModel({ metrics: { served: { served: 'rank', reason: { en: 'why', zh: '原因' } } } });
    expect([isCalibrated(ranked), doubtOf(ranked)]).toEqual([false, { en: 'why', zh: '原因' }]);
  });
});

it('a measured coverage is told with two standard errors, inside 0 and 1', () => {
  const calibration = { coverage: 0.95, coverage_error: 0.04 } as Calibration;
  expect(coverageSpan(calibration)).toEqual([expect.closeTo(0.87, 9), 1]);
});

it('versions are told by kind, and the one shown is the one asked for, else what serves, else the newest', () => {
  const kinds = kindsOf([aModel({ version: 1, state: 'champion' }), aModel({ version: 3 }), aModel({ version: 2 }), aModel({ asset_model: 'fan', version: 7 })]);
  expect(kinds.map((kind) => [kind.asset_model, kind.versions.map((one) => one.version), kind.champion?.version ?? null, kind.challengers])).toEqual([
    ['fan', [7], null, 1],
    ['pump', [3, 2, 1], 1, 2],
  ]);
  const [fan, pump] = kinds;
  if (fan === undefined || pump === undefined) throw new Error('two kinds');
  expect([shownVersion(pump, '2')?.version, shownVersion(pump, null)?.version, shownVersion(pump, '9')?.version, shownVersion(fan, null)?.version]).toEqual([2, 1, 1, 7]);
});
