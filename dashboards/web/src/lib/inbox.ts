// The case inbox: its views, its filters, and the order of its rows. Pure.

import type { Case } from './types';

export const VIEWS = ['open', 'watch', 'suppressed', 'mine', 'closed', 'all'] as const;
export type View = (typeof VIEWS)[number];

const closed = (item: Case): boolean => item.status === 'closed';
const held = (item: Case): boolean => item.suppressed !== null && item.suppressed !== undefined;
const waits = (item: Case): boolean => item.watch_list !== null && item.watch_list !== undefined;

/** Whether a case belongs to a view. What is suppressed or waits keeps out of the open ones, not out of sight. */
export function inView(item: Case, view: View, me: string[]): boolean {
  switch (view) {
    case 'open':
      return !closed(item) && !held(item) && !waits(item);
    case 'watch':
      return !closed(item) && waits(item) && !held(item);
    case 'suppressed':
      return !closed(item) && held(item);
    case 'mine':
      return !closed(item) && item.assignee !== null && me.includes(item.assignee);
    case 'closed':
      return closed(item);
    case 'all':
      return true;
  }
}

/** How many cases each view has. */
export function countViews(cases: Iterable<Case>, me: string[]): Record<View, number> {
  const counts = Object.fromEntries(VIEWS.map((view) => [view, 0])) as Record<View, number>;
  for (const item of cases) for (const view of VIEWS) if (inView(item, view, me)) counts[view] += 1;
  return counts;
}

/** What acting is expected to avoid; null where nobody has told costs. */
export const worth = (item: Case): number | null => item.expected_avoided_cost ?? null;

/**
 * Rows as they are listed: dearest to leave first where costs are known, in the given order else. Cases
 * that belong to another one stand under it where it is in the list, once its group is unfolded.
 */
export function rows(cases: Case[], all: Iterable<Case>, unfolded: ReadonlySet<string>): { item: Case; child: boolean }[] {
  const here = new Set(cases.map((item) => item.id));
  const under = new Map<string, Case[]>([...unfolded].map((id) => [id, []]));
  for (const item of all) under.get(parentOf(item) ?? '')?.push(item);
  const tops = cases.filter((item) => !here.has(parentOf(item) ?? ''));
  return byWorth(tops).flatMap((item) => [{ item, child: false }, ...byWorth(under.get(item.id) ?? []).map((child) => ({ item: child, child: true }))]);
}

/** The case another one belongs to; null where it stands alone. */
export function parentOf(item: Case): string | null {
  const parent = item.parent ?? item.suppressed?.parent ?? null;
  return parent === item.id ? null : parent;
}

/** A critical case whose costs nobody has told comes first: nobody can say that it may wait. */
export function byWorth(cases: Case[]): Case[] {
  const key = (item: Case): number => {
    if (item.status === 'closed') return -2;
    return worth(item) ?? (item.severity === 'critical' ? Number.MAX_VALUE : -1);
  };
  return cases.map((item, at) => ({ item, at })).sort((a, b) => key(b.item) - key(a.item) || a.at - b.at).map(({ item }) => item);
}
