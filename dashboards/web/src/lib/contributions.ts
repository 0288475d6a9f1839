// Arithmetic behind the contribution bars. Pure.

import type { Contribution } from './types';

/** Half the width of the normal range, in healthy spreads; what is beyond is told as abnormal. */
export const NORMAL_SPREADS = 3;

/** How many healthy spreads the normal range reaches to each side. */
export function normalSpreads(item: Contribution): number {
  const spread = item.deviation === 0 ? 0 : (item.value - item.normal) / item.deviation;
  const half = (item.normal_high - item.normal_low) / 2;
  if (!(spread > 0) || !(half > 0)) return NORMAL_SPREADS;
  const spreads = half / spread;
  return spreads > 0.5 && spreads < 20 ? spreads : NORMAL_SPREADS;
}

/** The deviation at the end of the bars: the largest there is, never less than the normal range. */
export function contributionScale(items: Contribution[]): number {
  return Math.max(1, ...items.map((item) => Math.max(Math.abs(item.deviation), normalSpreads(item) * 1.15)));
}
