import { describe, expect, it } from 'vitest';
import { countViews, inView, rows, VIEWS } from '../src/lib/inbox';
import { aCase } from './samples';

const shelved = { reason: 'shelved' as const, until: '2026-03-03T06:00:00Z', by: 'Wang Li', parent: null };
const ids = (list: { item: { id: string } }[]): string => list.map(({ item }) => item.id).join(' ');

describe('the inbox', () => {
  it('keeps what is suppressed or waits out of the open cases, and in a view of its own', () => {
    const cases = [
      aCase({ id: 'plain' }),
      aCase({ id: 'quiet', suppressed: shelved }),
      aCase({ id: 'waits', watch_list: { reason: { en: 'the crew is full', zh: '人手已满' } } }),
      aCase({ id: 'mine', assignee: 'wang-li', status: 'acknowledged' }),
      aCase({ id: 'done', status: 'closed', suppressed: shelved, assignee: 'wang-li' }),
    ];
    const of = (view: (typeof VIEWS)[number]): string => cases.filter((item) => inView(item, view, ['Wang Li', 'wang-li'])).map((item) => item.id).join(' ');
    expect(of('open')).toBe('plain mine');
    expect(of('suppressed')).toBe('quiet');
    expect(of('watch')).toBe('waits');
    expect(of('mine')).toBe('mine');
    expect(of('closed')).toBe('done');
    expect(countViews(cases, [])).toEqual({ open: 2, watch: 1, suppressed: 1, mine: 0, closed: 1, all: 5 });
  });
  it('puts what costs most to leave first, and before that a critical case whose costs nobody told', () => {
    const cases = [
      aCase({ id: 'cheap', severity: 'warning', expected_avoided_cost: 200 }),
      aCase({ id: 'unpriced', severity: 'watch' }),
      aCase({ id: 'dear', severity: 'watch', expected_avoided_cost: 9_000 }),
      aCase({ id: 'weekly', severity: 'watch', expected_avoided_cost: 10_000 }),
      aCase({ id: 'grave', severity: 'critical' }),
      aCase({ id: 'closed', status: 'closed', expected_avoided_cost: 99_000 }),
    ];
    expect(ids(rows(cases, cases, new Set()))).toBe('grave weekly dear cheap unpriced closed');
  });
  it('lists five thousand children under one parent, unfolded on request, even those out of view', () => {
    const parent = aCase({ id: 'site', children: 5_000 });
    const children = Array.from({ length: 5_000 }, (_, at) => aCase({ id: `pump-${at}`, parent: 'site', suppressed: { ...shelved, reason: 'parent', parent: 'site' } }));
    const other = aCase({ id: 'other' });
    const all = [parent, other, ...children];
    expect(ids(rows([parent, other], all, new Set()))).toBe('site other');
    const open = rows([parent, other], all, new Set(['site']));
    expect(open.length).toBe(5_002);
    expect(open.slice(0, 2).map(({ item, child }) => [item.id, child])).toEqual([['site', false], ['pump-0', true]]);
    // In the view of suppressed ones the parent is not listed: each stands for itself.
    expect(rows(children, all, new Set()).length).toBe(5_000);
    expect(rows(all, all, new Set()).length).toBe(2);
  });
});
