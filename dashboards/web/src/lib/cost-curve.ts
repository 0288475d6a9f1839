// Reading a cost curve. Pure.

import type { CostPoint } from './plan-types';

/** What a date costs, between the points of the curve; null outside of it. */
export function costAt(curve: CostPoint[], at: number): { at: number; run_on: number; planned: number; total: number } | null {
  const next = curve.findIndex((point) => Date.parse(point.at) >= at);
  const right = curve[next];
  if (right === undefined) return null;
  const left = curve[Math.max(0, next - 1)] as CostPoint;
  const [from, to] = [Date.parse(left.at), Date.parse(right.at)];
  if (at < from) return null;
  const share = to === from ? 0 : (at - from) / (to - from);
  const between = (key: 'run_on' | 'planned' | 'total'): number => left[key] + (right[key] - left[key]) * share;
  return { at, run_on: between('run_on'), planned: between('planned'), total: between('total') };
}

/** Beyond this many times the lowest total a curve says only "too dear", and would flatten the rest. */
const DEAR = 3;

/** The top of the axis: what matters is where the sum is low. */
export function costTop(curve: CostPoint[]): number {
  const totals = curve.map((point) => point.total);
  const low = Math.min(...totals);
  const top = Math.min(Math.max(...totals), Math.max(low * DEAR, ...curve.map((point) => point.planned)));
  return top > 0 ? top * 1.08 : 1;
}
