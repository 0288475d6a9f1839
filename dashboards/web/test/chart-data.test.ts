import { describe, expect, it } from 'vitest';
import { caseWindow } from '../src/lib/case-window';
import { caseSpans, clip, envelope, firstWindow, mergeSpans, polyline, usualSpan, valueRange } from '../src/lib/chart-data';
import { contributionScale, normalSpreads } from '../src/lib/contributions';
import { fanGeometry } from '../src/lib/fan';
import type { Bucket, Case, Evidence } from '../src/lib/types';

const iso = (minute: number): string => new Date(minute * 60_000).toISOString();
const bucket = (minute: number, value: number): Bucket => ({
  from: iso(minute), to: iso(minute + 1), count: 3, min: value - 1, max: value + 1, mean: value, first: value, last: value,
});

describe('an envelope', () => {
  it('keeps minimum and maximum and stands in the middle of its bucket', () => {
    const out = envelope([bucket(0, 5), bucket(1, 6)]);
    expect(out).toEqual({ at: [30_000, 90_000], low: [4, 5], high: [6, 7], mid: [5, 6] });
  });
  it('breaks where nothing was measured', () => {
    const out = envelope([0, 1, 2, 10, 11, 12].map((minute) => bucket(minute, minute)));
    expect(out.mid).toEqual([0, 1, 2, null, 10, 11, 12]);
    expect(out.at).toEqual([...out.at].sort((a, b) => a - b));
  });
  it('does not break where a slow signal fills every third bucket', () => {
    expect(envelope([0, 3, 6, 9].map((minute) => bucket(minute, 1))).mid).toEqual([1, 1, 1, 1]);
  });
  it('of nothing is empty', () => expect(envelope([]).at).toEqual([]));
});

describe('alarm spans', () => {
  it('come from cases', () => {
    const cases = [{ opened_at: iso(1), cleared_at: iso(3), closed_at: null }, { opened_at: iso(8), cleared_at: null, closed_at: null }] as Case[];
    expect(caseSpans(cases, 600_000)).toEqual([{ from: 60_000, to: 180_000 }, { from: 480_000, to: 600_000 }]);
  });
  it('merge and clip', () => {
    const merged = mergeSpans([{ from: 5, to: 8 }, { from: 1, to: 5 }, { from: 20, to: 10 }]);
    expect(merged).toEqual([{ from: 1, to: 8 }]);
    expect(clip(merged, 2, 4)).toEqual([{ from: 2, to: 4 }]);
    expect(clip(merged, 9, 12)).toEqual([]);
  });
});

describe('the first window', () => {
  it('ends at the last reading, not now', () => expect(firstWindow(0, 1_000, 100)).toEqual({ from: 900, to: 1_000 }));
  it('shrinks to a short recording', () => expect(firstWindow(950, 1_000, 100)).toEqual({ from: 950, to: 1_000 }));
  it.each([
    [null, '24h'],
    [10, '24h'],
    [48, '7d'],
    [15 * 24, '30d'],
    [90 * 24, 'all'],
  ])('shows how an alarm %d h old rose: %s', (hours, span) => {
    const last = Date.parse('2026-12-01T00:00:00Z');
    expect(usualSpan(hours === null ? null : last - hours * 3_600_000, last)).toBe(span);
  });
  it('of a case shows calm before and some after', () => {
    const evidence = { window_from: iso(110), window_to: iso(120), baseline_from: iso(0), baseline_rows: 400 } as Evidence;
    expect(caseWindow(iso(120), evidence, 1e12)).toEqual({ from: 0, to: 240 * 60_000 });
    // What a rule says rests on no baseline that could cut it off.
    const ruled = { window_from: iso(119), window_to: iso(120), baseline_from: iso(119), baseline_rows: 0 } as Evidence;
    expect(caseWindow(iso(120), ruled, 1e12)).toEqual({ from: 80 * 60_000, to: 132 * 60_000 });
  });
});

describe('an axis', () => {
  it('is never flat', () => {
    const [low, high] = valueRange(5, 5, null);
    expect(high).toBeGreaterThan(low);
  });
  it('takes in the normal band where it is near, not where it would squeeze the line', () => {
    expect(valueRange(10, 12, { low: 9, high: 11 })[0]).toBeLessThan(9);
    expect(valueRange(100, 101, { low: 1, high: 2 })[0]).toBeGreaterThan(99);
  });
});

it('a sparkline breaks at a gap', () => {
  expect(polyline([0, 10, null, 10, 0], 40, 10, [0, 10])).toEqual(['0.0,10.0 10.0,0.0', '30.0,0.0 40.0,10.0']);
});

describe('contribution bars', () => {
  const item = { signal: 'a', share: 1, deviation: 6, value: 70, normal: 58, normal_low: 52, normal_high: 64 };
  it('know how many spreads normal is wide', () => expect(normalSpreads(item)).toBeCloseTo(3));
  it('fall back where a signal does not deviate', () => expect(normalSpreads({ ...item, deviation: 0, value: 58 })).toBe(3));
  it('end at the largest deviation', () => expect(contributionScale([item, { ...item, deviation: -9 }])).toBe(9));
});

describe('a forecast fan', () => {
  const day = 86_400_000;
  const fan = fanGeometry({
    points: [{ at: -2 * day, value: 95 }, { at: -day, value: 80 }], now: { at: 0, value: 60 }, limit: 30, p10: day, p50: 2 * day, p90: 4 * day, width: 400, height: 200,
  });
  it('crosses its limit at the median', () => expect(fan.cross?.y).toBeCloseTo(fan.limit));
  it('starts at the last reading and lies right of it', () => {
    const xs = fan.fan.split(' ').map((point) => Number(point.split(',')[0]));
    expect(Math.min(...xs)).toBeCloseTo(fan.now.x, 0);
    expect(Math.max(...xs)).toBeLessThanOrEqual(fan.right);
  });
  it('stays finite when the limit is reached already', () => {
    const reached = fanGeometry({ points: [{ at: -day, value: 60 }], now: { at: 0, value: 20 }, limit: 30, p10: 0, p50: 0, p90: 0, width: 400, height: 200 });
    expect([reached.fan, reached.median, ...reached.history].join(' ')).not.toMatch(/NaN|Infinity/);
    expect(reached.cross).toBeNull();
    expect(reached.fan).toBe('');
    expect(reached.history).toHaveLength(1);
    expect(reached.now.x).toBeLessThanOrEqual(reached.right);
  });
});
