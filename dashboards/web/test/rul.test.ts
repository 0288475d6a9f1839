import { describe, expect, it } from 'vitest';
import type { FanQuantile, ForecastScore } from '../src/lib/prognosis-types';
import { cone, density, lengthTicks, lives, quantileAt, rulFan, rulSpan, type Box } from '../src/lib/rul';

const DAY = 86_400;
/** A life that is uniform between 1 and 9 days: its quantiles are known in the head. */
const uniform: FanQuantile[] = [0.1, 0.25, 0.5, 0.75, 0.9].map((level) => ({ level, rul_s: (1 + 8 * level) * DAY }));
const box: Box = { width: 520, height: 220, left: 20, right: 0, top: 0, bottom: 20 };
const xs = (points: string): number[] => points.split(' ').map((point) => Number(point.split(',')[0]));
const ys = (points: string): number[] => points.split(' ').map((point) => Number(point.split(',')[1]));

describe('a quantile', () => {
  it.each([
    [0.1, 1.8],
    [0.5, 5],
    // Between two that are known it lies on the straight line.
    [0.6, 5.8],
    [0.9, 8.2],
  ])('at %d is %d days of a uniform life', (level, days) => expect(quantileAt(uniform, level)).toBeCloseTo(days * DAY * 1_000, 3));
  it.each([0.05, 0.95])('at %d is not guessed beyond the ones that are known', (level) => expect(quantileAt(uniform, level)).toBeNull());
});

describe('the fan', () => {
  const now = 1_000 * DAY * 1_000;
  const picture = rulFan({ now, fan: uniform, told: [], box });
  it('has a band for each pair of quantiles alike on both sides, the widest first', () => {
    expect(picture.bands.map((band) => [band.low, band.high])).toEqual([
      [0.1, 0.9],
      [0.25, 0.75],
    ]);
  });
  it('reaches zero where each quantile says the life is used up', () => {
    const [start, end] = xs(picture.median);
    const width = (end as number) - (start as number);
    const inner = picture.bands[0]?.points ?? '';
    // Points run: low now, high now, high used up, low used up.
    const [, , high, low] = xs(inner) as [number, number, number, number];
    expect((high - (start as number)) / width).toBeCloseTo(8.2 / 5, 2);
    expect((low - (start as number)) / width).toBeCloseTo(1.8 / 5, 2);
    expect(ys(picture.median)[1]).toBe(200);
  });
  it('cuts a long tail at the edge instead of squeezing the rest', () => {
    const tail = [...uniform.slice(0, 4), { level: 0.9, rul_s: 4_000 * DAY }];
    const span = rulSpan({ now, fan: tail, told: [] });
    expect((span.to - now) / (DAY * 1_000)).toBeCloseTo(5 * 2.5 * 1.06, 3);
    const cut = rulFan({ now, fan: tail, told: [], box });
    expect(Math.max(...xs(cut.bands[0]?.points ?? ''))).toBeLessThanOrEqual(520);
  });
  it('shows the past beside it, no wider than what lies ahead, with its gaps', () => {
    const hour = 3_600_000;
    const told = [20, 7.2, 7.1, 7, ...[4, 3, 2, 1, 0].map((one) => one / 10)].map((days) => ({ at: now - days * 24 * hour, p10: hour, p50: 2 * hour, p90: 3 * hour }));
    const shown = rulFan({ now, fan: uniform, told, box });
    expect(now - shown.from).toBeLessThanOrEqual(shown.to - now + 1);
    expect(shown.past.map((piece) => piece.median.split(' ').length)).toEqual([3, 5]);
  });
  it('without any life ahead still has a width', () => {
    const used = rulFan({ now, fan: uniform.map((one) => ({ ...one, rul_s: 0 })), told: [], box });
    expect(used.median).toBe('');
    expect(used.to).toBeGreaterThan(used.from);
  });
});

describe('the density of the date', () => {
  it('is flat where the life is uniform, and holds the mass between the outer quantiles', () => {
    const bars = density(uniform);
    expect(bars.map((bar) => bar.height)).toEqual([1, 1, 1, 1].map((one) => expect.closeTo(one, 9)));
    expect(bars.reduce((sum, bar) => sum + bar.mass, 0)).toBeCloseTo(0.8, 12);
  });
  it('of quantiles on one instant stays finite', () => {
    expect(density([{ level: 0.1, rul_s: 5 }, { level: 0.9, rul_s: 5 }])).toEqual([{ from: 5_000, to: 6_000, height: 1, mass: 0.8 }]);
  });
});

it.each([
  [10 * 1_000, 5, 2_000],
  [26 * 3_600_000, 5, 21_600_000],
  [700 * DAY * 1_000, 4, 200 * DAY * 1_000],
])('steps of a length of %d are round and few', (top, most, step) => {
  const ticks = lengthTicks(top, most);
  expect(ticks[1]).toBe(step);
  expect(ticks.length).toBeLessThanOrEqual(most + 1);
});

const score = (at: string, truth_s: number, change: Partial<ForecastScore> = {}): ForecastScore => ({
  asset: 'a', device: 'd', forecast_at: at, ended_at: '2026-03-10T00:00:00Z', shadow: false, failed: true, truth_s,
  quantiles_s: [truth_s * 0.8, truth_s, truth_s * 1.3], crps_s: 1, in_interval: true, within_alpha: true, brier: [], ...change,
});

describe('past forecasts', () => {
  it('are told by life, the newest life first, each by time', () => {
    const found = lives([
      score('2026-03-02T00:00:00Z', 8),
      score('2026-05-01T00:00:00Z', 3, { ended_at: '2026-05-04T00:00:00Z' }),
      score('2026-03-01T00:00:00Z', 9),
    ]);
    expect(found.map((life) => life.scores.map((one) => one.truth_s))).toEqual([[3], [9, 8]]);
  });
  it('that are right lie on the line of the truth, and the cone is a fifth of it', () => {
    const picture = cone([score('2026-03-01T00:00:00Z', 100), score('2026-03-02T00:00:00Z', 50)], box);
    const [x1, x2] = xs(picture.truth) as [number, number];
    const [y1, y2] = ys(picture.truth) as [number, number];
    for (const point of picture.points) expect((point.mid - y1) / (y2 - y1)).toBeCloseTo((point.x - x1) / (x2 - x1), 3);
    const [upper, end, lower] = ys(picture.cone) as [number, number, number];
    expect((end - upper) / (end - y1)).toBeCloseTo(1.2, 2);
    expect((end - lower) / (end - y1)).toBeCloseTo(0.8, 2);
  });
});
