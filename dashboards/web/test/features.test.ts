import { expect, it } from 'vitest';
import { featureTable } from '../src/lib/features';
import type { Feature } from '../src/lib/types';

const feature = (signal: string, name: string, value: number, device = 'd'): Feature => ({ name: `${signal}.${name}`, device, signal, feature: name, unit: 'bar', value, at: '2026-12-01T08:00:00Z' });

it('features stand in one order, whatever order they come in, and gaps stay gaps', () => {
  const table = featureTable([feature('p', 'slope', 0.1), feature('p', 'mean', 2), feature('q', 'mean', 3), feature('q', 'novel', 9), feature('p', 'mean', 7, 'e')]);
  expect(table.features).toEqual(['mean', 'slope', 'novel']);
  expect(table.rows.map((row) => [row.device, row.signal, ...row.cells.map((cell) => cell?.value ?? null)])).toEqual([
    ['d', 'p', 2, 0.1, null],
    ['d', 'q', 3, null, 9],
    ['e', 'p', 7, null, null],
  ]);
  expect(featureTable([])).toEqual({ features: [], rows: [] });
});
