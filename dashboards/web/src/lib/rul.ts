// Geometry of remaining life: the fan of a forecast with what was forecast before, the
// distribution of the date of failure, and past forecasts against what happened. Pure.

import type { FanQuantile, ForecastScore } from './prognosis-types';

export interface Box {
  width: number;
  height: number;
  left: number;
  right: number;
  top: number;
  bottom: number;
}

/** A forecast of the past: when it was made and what was left by it, in milliseconds. */
export interface Told {
  at: number;
  p10: number;
  p50: number;
  p90: number;
}

export interface RulInput {
  now: number;
  fan: FanQuantile[];
  told: Told[];
  box: Box;
}

export interface RulFan {
  /** Nested bands from the widest to the narrowest, each from the present to its dates. */
  bands: { low: number; high: number; points: string }[];
  median: string;
  /** Past forecasts: the span and the median, in pieces where there were none between. */
  past: { band: string; median: string }[];
  now: { x: number; y: number };
  from: number;
  to: number;
  /** Remaining life at the upper edge, in milliseconds. */
  top: number;
}

/** Share of the width that shows the past, at most. */
const PAST_SHARE = 0.5;
/** How far past the median the picture may reach for the slowest quantile, in medians. */
const TAIL = 2.5;
/** Forecasts further apart than so many usual steps are not joined. */
const GAP_STEPS = 6;
/** How much higher than the present forecast its past may reach. */
const PAST_TOP = 2;
/** Least time ahead that is drawn, so that a picture has a width. */
const LEAST_MS = 60_000;

/** Remaining life in milliseconds at a level, between the quantiles that are known. */
export function quantileAt(fan: FanQuantile[], level: number): number | null {
  const above = fan.findIndex((one) => one.level >= level - 1e-9);
  const high = fan[above];
  if (high === undefined) return null;
  const low = fan[above - 1];
  if (low === undefined || high.level - level < 1e-9) return high.level - level < 1e-9 ? high.rul_s * 1_000 : null;
  const part = (level - low.level) / (high.level - low.level);
  return (low.rul_s + part * (high.rul_s - low.rul_s)) * 1_000;
}

/** The span of time a picture shows: as much of the past as of what lies ahead, at most. */
export function rulSpan(input: Omit<RulInput, 'box'>): { from: number; to: number } {
  const median = quantileAt(input.fan, 0.5) ?? (input.fan.at(-1)?.rul_s ?? 0) * 1_000;
  const longest = (input.fan.at(-1)?.rul_s ?? 0) * 1_000;
  const ahead = Math.max(LEAST_MS, Math.min(longest, median > 0 ? median * TAIL : longest) * 1.06);
  const first = Math.min(input.now, ...input.told.map((one) => one.at));
  const from = Math.max(first, input.now - (ahead * PAST_SHARE) / (1 - PAST_SHARE));
  return { from: Math.min(from, input.now - ahead * 0.02), to: input.now + ahead };
}

export function rulFan(input: RulInput): RulFan {
  const { box, now } = input;
  const { from, to } = rulSpan(input);
  const told = input.told.filter((one) => one.at >= from && one.at <= now).sort((a, b) => a.at - b.at);
  const median = quantileAt(input.fan, 0.5) ?? 0;
  // An early forecast of a long life must not squeeze the present one flat: it is cut at the edge.
  const most = Math.max(to - now, median) * PAST_TOP;
  const top = Math.max(LEAST_MS, (to - now) * 0.9, median, ...told.map((one) => Math.min(most, one.p50 * 1.05)));
  const x = (at: number): number => box.left + ((at - from) / (to - from)) * (box.width - box.left - box.right);
  const bottom = box.height - box.bottom;
  const y = (left: number): number => bottom - (Math.min(top, Math.max(0, left)) / top) * (bottom - box.top);
  const at = (time: number, left: number): string => `${x(Math.min(to, time)).toFixed(1)},${y(left).toFixed(1)}`;
  // A life of q that is left now is used up at now + q: each quantile is a straight way down.
  const down = (rul: number): [string, string] => [at(now, rul), at(Math.min(to, now + rul), Math.max(0, now + rul - to))];
  const bands = pairs(input.fan).map(({ low, high }) => {
    const [a, b] = down(low.rul_s * 1_000);
    const [c, d] = down(high.rul_s * 1_000);
    const corner = now + high.rul_s * 1_000 > to ? ` ${at(to, 0)}` : '';
    return { low: low.level, high: high.level, points: `${a} ${c} ${d}${corner} ${b}` };
  });
  const [start, end] = down(median);
  return {
    bands,
    median: median > 0 ? `${start} ${end}` : '',
    past: pieces(told).map((piece) => ({
      band: [...piece.map((one) => at(one.at, one.p10)), ...[...piece].reverse().map((one) => at(one.at, one.p90))].join(' '),
      median: piece.map((one) => at(one.at, one.p50)).join(' '),
    })),
    now: { x: x(now), y: y(median) },
    from,
    to,
    top,
  };
}

/** Quantiles that lie alike on both sides of the median, the widest pair first. */
function pairs(fan: FanQuantile[]): { low: FanQuantile; high: FanQuantile }[] {
  return fan.flatMap((low) => {
    const high = low.level < 0.5 ? fan.find((one) => Math.abs(one.level - (1 - low.level)) < 1e-6) : undefined;
    return high === undefined ? [] : [{ low, high }];
  });
}

function pieces(told: Told[]): Told[][] {
  const steps = told.slice(1).map((one, index) => one.at - (told[index] as Told).at);
  const usual = [...steps].sort((a, b) => a - b)[Math.floor(steps.length / 2)] ?? 0;
  const found: Told[][] = [];
  told.forEach((one, index) => {
    if (index === 0 || (steps[index - 1] as number) > usual * GAP_STEPS) found.push([]);
    found.at(-1)?.push(one);
  });
  return found.filter((piece) => piece.length > 1);
}

/**
 * The density of the date of failure between the quantiles, as bars: from and to in
 * milliseconds of remaining life, height 0 to 1. Nothing is drawn beyond the outer quantiles,
 * where only the mass is known.
 */
export function density(fan: FanQuantile[]): { from: number; to: number; height: number; mass: number }[] {
  const bars = fan.slice(1).flatMap((high, index) => {
    const low = fan[index] as FanQuantile;
    const mass = high.level - low.level;
    // Two quantiles on one instant would be infinitely dense: they get the width of a second.
    const to = Math.max(high.rul_s, low.rul_s + 1);
    return mass > 0 ? [{ from: low.rul_s * 1_000, to: to * 1_000, height: mass / (to - low.rul_s), mass }] : [];
  });
  const most = Math.max(...bars.map((bar) => bar.height));
  return bars.map((bar) => ({ ...bar, height: bar.height / most }));
}

/** Round steps of a length of time, in milliseconds, at most `most` of them. */
export function lengthTicks(top: number, most: number): number[] {
  const units = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400, 172_800, 432_000, 864_000, 1_728_000, 4_320_000, 8_640_000, 17_280_000, 43_200_000, 86_400_000];
  const step = (units.find((unit) => top / (unit * 1_000) <= most) ?? top / 1_000) * 1_000;
  return Array.from({ length: Math.floor(top / step) + 1 }, (_, index) => index * step);
}

/** The lives that ended, the newest first, each with its forecasts by time. */
export function lives(scores: ForecastScore[]): { asset: string; ended_at: string; failed: boolean; scores: ForecastScore[] }[] {
  const found = new Map<string, ForecastScore[]>();
  for (const score of scores) {
    const key = `${score.asset} ${score.ended_at}`;
    found.set(key, [...(found.get(key) ?? []), score]);
  }
  return [...found.values()]
    .map((all) => [...all].sort((a, b) => Date.parse(a.forecast_at) - Date.parse(b.forecast_at)))
    .flatMap((all) => (all[0] === undefined ? [] : [{ asset: all[0].asset, ended_at: all[0].ended_at, failed: all[0].failed, scores: all }]))
    .sort((a, b) => Date.parse(b.ended_at) - Date.parse(a.ended_at));
}

/** The part of the truth a median may be off by and still count as near. */
export const ALPHA = 0.2;

export interface Cone {
  truth: string;
  cone: string;
  points: { x: number; low: number; mid: number; high: number; near: boolean; held: boolean }[];
  xTicks: { x: number; left: number }[];
  yTicks: { y: number; left: number }[];
}

/** Forecasts against what happened: time to the end runs down to the right, the truth is a straight line. */
export function cone(scores: ForecastScore[], box: Box): Cone {
  const longest = Math.max(1, ...scores.map((score) => score.truth_s)) * 1_000;
  const top = Math.max(longest * (1 + ALPHA), ...scores.map((score) => (score.quantiles_s[1] ?? 0) * 1_000)) * 1.04;
  const right = box.width - box.right;
  const bottom = box.height - box.bottom;
  const x = (left: number): number => right - (left / longest) * (right - box.left);
  const y = (value: number): number => bottom - (Math.min(top, Math.max(0, value)) / top) * (bottom - box.top);
  const point = (left: number, value: number): string => `${x(left).toFixed(1)},${y(value).toFixed(1)}`;
  return {
    truth: `${point(longest, longest)} ${point(0, 0)}`,
    cone: `${point(longest, longest * (1 + ALPHA))} ${point(0, 0)} ${point(longest, longest * (1 - ALPHA))}`,
    points: scores.map((score) => {
      const [low = 0, mid = 0, high = 0] = score.quantiles_s.map((value) => y(value * 1_000));
      return { x: x(score.truth_s * 1_000), low, mid, high, near: score.within_alpha, held: score.in_interval };
    }),
    xTicks: lengthTicks(longest, 6).map((left) => ({ x: x(left), left })),
    yTicks: lengthTicks(top, 4).map((left) => ({ y: y(left), left })),
  };
}
