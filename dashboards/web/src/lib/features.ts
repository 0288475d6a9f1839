// Features as a table: a row a signal, a column a feature. Pure.

import type { Feature } from './types';

export interface FeatureRow {
  device: string;
  signal: string;
  /** A cell a column; null where the signal has no such feature. */
  cells: (Feature | null)[];
}

/** Level, spread, extremes, movement, shape, rarity, habit; unknown ones follow as they came. */
const ORDER = [
  'last', 'mean', 'ewma', 'std', 'ewma_std', 'min', 'max', 'range', 'slope', 'rate', 'crest', 'skewness', 'kurtosis', 'p05', 'p50', 'p95', 'hour_normal',
  'hour_deviation', 'weekday_deviation',
];

export function featureTable(features: Feature[]): { features: string[]; rows: FeatureRow[] } {
  const place = (feature: string): number => (ORDER.includes(feature) ? ORDER.indexOf(feature) : ORDER.length);
  const names = [...new Set(features.map((one) => one.feature))].sort((a, b) => place(a) - place(b));
  const rows = new Map<string, FeatureRow>();
  for (const one of features) {
    const key = `${one.device}/${one.signal}`;
    const row = rows.get(key) ?? { device: one.device, signal: one.signal, cells: names.map(() => null) };
    row.cells[names.indexOf(one.feature)] = one;
    rows.set(key, row);
  }
  return { features: names, rows: [...rows.values()] };
}
