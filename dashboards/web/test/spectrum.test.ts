import { describe, expect, it } from 'vitest';
import { cursorsOf, firstView, shaftCursors } from '../src/lib/spectrum';
import type { BearingSpectrum } from '../src/lib/types';

const line = (at: number) => ({ at, amplitude: 1, floor: 0.1 });
const bearings: BearingSpectrum[] = [
  {
    name: 'de',
    defects: [
      { defect: 'bpfo', at: 100, order: 4, prominence: 9, harmonics: [line(99), line(198)], sidebands: [] },
      { defect: 'ftf', at: 0, order: 0, prominence: null, harmonics: [], sidebands: [] },
    ],
  },
];

describe('cursors', () => {
  it('stand where lines were found and where geometry puts the others', () => {
    const found = cursorsOf(bearings, 'de', 'bpfo', 350);
    expect(found.map((one) => [one.at, one.label])).toEqual([[99, 'BPFO'], [198, '2×'], [300, '3×']]);
  });
  it('are none for a part that is not known', () => {
    expect(cursorsOf(bearings, 'nde', 'bpfo', 350)).toEqual([]);
    expect(cursorsOf(bearings, 'de', 'ftf', 350)).toEqual([]);
    expect(shaftCursors(null, 100)).toEqual([]);
    expect(shaftCursors(25, 60).map((one) => one.at)).toEqual([25, 50]);
  });
});

describe('the first view', () => {
  it('shows where the power is and every mark', () => {
    const at = Array.from({ length: 1000 }, (_, n) => n);
    const amplitude = at.map((n) => (n === 50 ? 10 : 0.001));
    expect(firstView({ at, amplitude }, 0)).toBe(100);
    expect(firstView({ at, amplitude }, 300)).toBe(300);
    expect(firstView({ at, amplitude }, 5000)).toBe(999);
    expect(firstView({ at: [], amplitude: [] }, 0)).toBe(1);
  });
});
