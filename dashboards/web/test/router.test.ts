import { describe, expect, it } from 'vitest';
import { match, path, withQuery, type Route } from '../src/lib/router';

const ROUTES: [string, Route][] = [
  ['/', { page: 'fleet' }],
  ['/assets/pump-1', { page: 'asset', id: 'pump-1' }],
  ['/assets/%E6%B3%B5%2F1', { page: 'asset', id: '泵/1' }],
  ['/cases', { page: 'cases' }],
  ['/cases/abc', { page: 'case', id: 'abc' }],
  ['/work-orders', { page: 'orders' }],
  ['/work-orders/WO-000001', { page: 'order', id: 'WO-000001' }],
  ['/devices', { page: 'devices' }],
  ['/devices/pump-1-sensor', { page: 'device', id: 'pump-1-sensor' }],
  ['/onboarding', { page: 'onboarding' }],
  ['/quarantine', { page: 'quarantine' }],
  ['/rules', { page: 'rules' }],
  ['/rules/bearing-hot', { page: 'rule', id: 'bearing-hot' }],
  ['/rules-text', { page: 'rules-text' }],
  ['/backtests/7', { page: 'backtest', id: '7' }],
  ['/scoreboard', { page: 'scoreboard' }],
  ['/savings', { page: 'savings' }],
  ['/on-call', { page: 'on-call' }],
  ['/status', { page: 'status' }],
];

describe('addresses', () => {
  it.each(ROUTES)('%s names its page and comes back', (address, route) => {
    expect(match(address)).toEqual(route);
    expect(path(route)).toBe(address);
  });
  it.each(['/assets', '/assets/a/b', '/nowhere', '/assets/%zz', '/quarantine/1', '/toString', '/constructor/1'])('%s leads nowhere', (address) =>
    expect(match(address)).toEqual({ page: 'missing', path: address }),
  );
  it('forgive a slash at the end', () => expect(match('/cases/')).toEqual({ page: 'cases' }));
});

describe('filters in the address', () => {
  it('are set, changed and removed; what is there stays', () => {
    expect(withQuery('?lang=zh-CN', { q: '泵 1' })).toBe('?lang=zh-CN&q=%E6%B3%B5+1');
    expect(withQuery('?q=a&site=x', { q: '' })).toBe('?site=x');
    expect(withQuery('?q=a', { q: null })).toBe('');
  });
});
