// Comparing two sides of a back-test. Pure.

import type { BacktestCase } from './rule-types';

/** Two sides open the same case when they open it on one asset for one thing, this close together. */
const SAME_MS = 86_400_000;

/** Cases of one side that the other one has nothing like. */
export function onlyIn(side: BacktestCase[], other: BacktestCase[]): BacktestCase[] {
  const key = (item: BacktestCase): string => `${item.asset}\n${item.failure_mode}\n${item.signal ?? ''}`;
  const known = new Map<string, number[]>();
  for (const item of other) known.set(key(item), [...(known.get(key(item)) ?? []), Date.parse(item.opened_at)]);
  return side.filter((item) => !(known.get(key(item)) ?? []).some((at) => Math.abs(at - Date.parse(item.opened_at)) <= SAME_MS));
}
