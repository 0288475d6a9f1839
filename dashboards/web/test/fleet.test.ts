import { describe, expect, it } from 'vitest';
import { sortOrders } from '../src/lib/board';
import { fleetRows } from '../src/lib/fleet-rows';
import { filterAssets, orderActions, rankAssets, rankCases } from '../src/lib/rank';
import { visibleRange } from '../src/lib/virtual';
import { aCase, anAsset, anOrder, NO_DETAIL } from './samples';

describe('cases', () => {
  it('rank by severity, then by the sooner limit, then by age; cleared and closed come last', () => {
    const soon = { at: '', model: '', family: 'trend' as const, limit: 30, p10: '2026-12-02T00:00:00Z', p50: '', p90: '', rul_p10_s: 1, rul_p50_s: 2, rul_p90_s: 3, loss_per_day: 1, p_value: 0, detail: NO_DETAIL };
    const list = [
      aCase({ id: 'closed', severity: 'critical', status: 'closed' }),
      aCase({ id: 'watch', severity: 'watch' }),
      aCase({ id: 'young', severity: 'warning', opened_at: '2026-12-01T09:00:00Z' }),
      aCase({ id: 'old', severity: 'warning', opened_at: '2026-12-01T08:00:00Z' }),
      aCase({ id: 'soon', severity: 'warning', asset: 'b', opened_at: '2026-12-01T10:00:00Z' }),
      aCase({ id: 'cleared', severity: 'critical', cleared_at: '2026-12-01T11:00:00Z' }),
      aCase({ id: 'critical', severity: 'critical' }),
    ];
    const assets = new Map([['b', anAsset({ id: 'b', prognosis: soon })]]);
    expect(rankCases(list, assets).map((item) => item.id)).toEqual(['critical', 'soon', 'old', 'young', 'watch', 'cleared', 'closed']);
  });
});

describe('the health map', () => {
  const assets = [
    anAsset({ id: 'a10', name: 'Pump 10' }),
    anAsset({ id: 'a2', name: 'Pump 2' }),
    anAsset({ id: 'bad', name: 'Pump 3', state: 'critical' }),
    anAsset({ id: 'far', name: 'Fan', site: { id: 's2', name: 'Alpha', time_zone: 'UTC' }, model: 'induction-motor' }),
  ];
  it('puts the worst first and counts like people do', () =>
    expect(rankAssets(assets.slice(0, 3)).map((asset) => asset.id)).toEqual(['bad', 'a2', 'a10']));
  it('is made of rows of known height, site by site', () => {
    const rows = fleetRows(assets, 2);
    expect(rows.map((row) => (row.kind === 'site' ? row.site.name : row.assets.length))).toEqual(['Alpha', 1, 'North', 2, 1]);
    expect(rows.every((row) => row.height > 0)).toBe(true);
  });
  it.each([
    [{ q: 'pump 3' }, ['bad']],
    [{ site: 's2' }, ['far']],
    [{ model: 'induction-motor' }, ['far']],
    [{ state: 'critical' }, ['bad']],
    [{ q: 'nothing' }, []],
    [{}, ['a10', 'a2', 'bad', 'far']],
  ])('filtered by %o shows %o', (filter, ids) =>
    expect(filterAssets(assets, { q: '', site: '', model: '', state: '', ...filter }).map((asset) => asset.id)).toEqual(ids),
  );
});

describe('orders', () => {
  it('offer the legal steps only', () => {
    expect(orderActions('proposed')).toEqual(['approve', 'cancel']);
    expect(orderActions('approved')).toEqual(['schedule', 'cancel']);
    expect(orderActions('scheduled')).toEqual(['start', 'schedule', 'cancel']);
    expect(orderActions('in_progress')).toEqual(['complete', 'cancel']);
    expect(orderActions('completed')).toEqual([]);
    expect(orderActions('cancelled')).toEqual([]);
  });
  it('stand by severity, then due date; those without come last', () => {
    const list = [
      anOrder({ id: '4' }),
      anOrder({ id: '3', severity: 'warning' }),
      anOrder({ id: '2', severity: 'warning', due_by: '2026-12-04T00:00:00Z' }),
      anOrder({ id: '1', severity: 'critical' }),
    ];
    expect(sortOrders(list).map((order) => order.id)).toEqual(['1', '2', '3', '4']);
  });
});

describe('a long list', () => {
  it('is drawn whole up to 200 rows', () => expect(visibleRange(Array(200).fill(50), 0, 800).to).toBe(200));
  it('is drawn around the window beyond that, and keeps its full height', () => {
    const range = visibleRange(Array(10_000).fill(50), 100_000, 100_800);
    expect(range.to - range.from).toBeLessThan(60);
    expect(range.before + range.after + (range.to - range.from) * 50).toBe(500_000);
    expect(range.before).toBeLessThanOrEqual(100_000);
  });
});
