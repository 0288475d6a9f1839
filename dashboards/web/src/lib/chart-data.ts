// Shapes what the API serves into what the charts draw. Pure.

import { DAY, HOUR, ms } from './time';
import type { Bucket, Case } from './types';

/** Columns of an envelope chart; null at a time means: nothing was measured here. */
export interface Envelope {
  at: number[];
  low: (number | null)[];
  high: (number | null)[];
  mid: (number | null)[];
}

export interface Span {
  from: number;
  to: number;
}

/** Neighbours further apart than this many usual steps have a gap between them. */
const GAP_STEPS = 3.5;

/** The usual distance between neighbours: their median. */
export function usualStep(at: number[]): number {
  if (at.length < 2) return 0;
  const steps = at.slice(1).map((time, index) => time - (at[index] as number));
  steps.sort((a, b) => a - b);
  return steps[Math.floor(steps.length / 2)] as number;
}

/**
 * Buckets as columns in milliseconds. Each bucket stands at its middle. Empty buckets are left
 * out by the API; where that leaves a hole, a null is put so that no line bridges it.
 */
export function envelope(buckets: Bucket[]): Envelope {
  const middles = buckets.map((bucket) => (Date.parse(bucket.from) + Date.parse(bucket.to)) / 2);
  const limit = usualStep(middles) * GAP_STEPS;
  const out: Envelope = { at: [], low: [], high: [], mid: [] };
  buckets.forEach((bucket, index) => {
    const at = middles[index] as number;
    const before = middles[index - 1];
    if (before !== undefined && limit > 0 && at - before > limit) push(out, (at + before) / 2, null);
    push(out, at, bucket);
  });
  return out;
}

function push(out: Envelope, at: number, bucket: Bucket | null): void {
  out.at.push(at);
  out.low.push(bucket?.min ?? null);
  out.high.push(bucket?.max ?? null);
  out.mid.push(bucket?.mean ?? null);
}

/** Spans that touch or overlap become one; sorted. */
export function mergeSpans(spans: Span[]): Span[] {
  const sorted = spans.filter((span) => span.to >= span.from).sort((a, b) => a.from - b.from);
  const merged: Span[] = [];
  for (const span of sorted) {
    const last = merged.at(-1);
    if (last !== undefined && span.from <= last.to) last.to = Math.max(last.to, span.to);
    else merged.push({ ...span });
  }
  return merged;
}

/** The spans cases tell of: from the rise of their alarm to its clearing. */
export function caseSpans(cases: Case[], end: number): Span[] {
  return mergeSpans(
    cases.map((item) => ({
      from: Date.parse(item.opened_at),
      to: ms(item.cleared_at) ?? ms(item.closed_at) ?? Math.max(end, Date.parse(item.opened_at)),
    })),
  );
}

/** Only what lies inside a window, cut to it. */
export function clip(spans: Span[], from: number, to: number): Span[] {
  return spans
    .filter((span) => span.to >= from && span.from <= to)
    .map((span) => ({ from: Math.max(span.from, from), to: Math.min(span.to, to) }));
}

/**
 * The window to show first: the last day of what was measured, or everything where there is
 * less than a day. "Now" plays no part, because recordings are old and the demo's time runs fast.
 */
export function firstWindow(first: number | null, last: number, spanMs: number): Span {
  const from = last - spanMs;
  return { from: first !== null && first > from && first < last ? first : from, to: last };
}

/** Spans a chart offers, in milliseconds; null is everything. */
export const SPANS: Record<string, number | null> = { '1h': HOUR, '6h': 6 * HOUR, '24h': DAY, '7d': 7 * DAY, '30d': 30 * DAY, all: null };

/**
 * The span to offer first: a day, or as many as it takes to see an alarm that still stands rise
 * out of the calm before it.
 */
export function usualSpan(alarmFrom: number | null, last: number): string {
  const needed = alarmFrom === null ? DAY : (last - alarmFrom) * 1.5;
  if (needed <= DAY) return '24h';
  if (needed <= 7 * DAY) return '7d';
  return needed <= 30 * DAY ? '30d' : 'all';
}

/** The range of an axis: the data and, where near, the normal band; never flat. */
export function valueRange(low: number, high: number, normal: { low: number; high: number } | null): [number, number] {
  let from = low;
  let to = high;
  if (normal !== null) {
    // A band far from the data must not squeeze the line flat.
    const reach = Math.max(high - low, normal.high - normal.low) * 1.5;
    if (normal.low >= low - reach) from = Math.min(from, normal.low);
    if (normal.high <= high + reach) to = Math.max(to, normal.high);
  }
  const pad = to > from ? (to - from) * 0.08 : Math.max(Math.abs(to) * 0.05, 0.5);
  return [from - pad, to + pad];
}

/** Points of a polyline in a box of 0..width × 0..height; top is the highest value. */
export function polyline(values: (number | null)[], width: number, height: number, range: [number, number]): string[] {
  const lines: string[] = [];
  let points: string[] = [];
  const step = values.length > 1 ? width / (values.length - 1) : 0;
  const scale = range[1] - range[0] || 1;
  values.forEach((value, index) => {
    if (value === null) {
      if (points.length > 1) lines.push(points.join(' '));
      points = [];
      return;
    }
    const y = height - ((Math.min(range[1], Math.max(range[0], value)) - range[0]) / scale) * height;
    points.push(`${(index * step).toFixed(1)},${y.toFixed(1)}`);
  });
  if (points.length > 1) lines.push(points.join(' '));
  return lines;
}
