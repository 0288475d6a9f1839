import { describe, expect, it } from 'vitest';
import { costAt, costTop } from '../src/lib/cost-curve';

const point = (day: number, run_on: number, planned: number) => ({ at: `2026-03-0${day}T00:00:00Z`, run_on, planned, total: run_on + planned });
const curve = [point(1, 0, 900), point(3, 200, 500), point(5, 8_000, 400)];

describe('a cost curve', () => {
  it('is read between its points by proportion', () => {
    const read = costAt(curve, Date.parse('2026-03-02T00:00:00Z'));
    expect(read).toMatchObject({ run_on: 100, planned: 700, total: 800 });
    expect(costAt(curve, Date.parse('2026-03-01T00:00:00Z'))?.total).toBe(900);
    expect(costAt(curve, Date.parse('2026-03-05T00:00:00Z'))?.total).toBe(8_400);
  });
  it('says nothing outside of itself', () => {
    expect(costAt(curve, Date.parse('2026-02-28T00:00:00Z'))).toBeNull();
    expect(costAt(curve, Date.parse('2026-03-06T00:00:00Z'))).toBeNull();
    expect(costAt([], 0)).toBeNull();
  });
  it('is cut where it says only that it is too dear', () => {
    // The lowest total is 700: three times that is shown, the 8,400 is not.
    expect(costTop(curve)).toBeCloseTo(700 * 3 * 1.08);
    expect(costTop([])).toBe(1);
  });
});
