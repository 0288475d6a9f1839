// What needs a person first: the worse, then the sooner, then the longer it has stood.

import { isForecast, type AssetState, type AssetSummary, type Case, type OrderStatus, type Severity } from './types';

const SEVERITY: Record<Severity, number> = { critical: 0, warning: 1, watch: 2 };

/** States from the one that needs most attention to the one that needs least. */
export const STATES: AssetState[] = ['critical', 'warning', 'watch', 'offline', 'no_data', 'learning', 'healthy'];

function limitAt(item: Case, asset: AssetSummary | undefined): number {
  // The asset's forecast is of now; the one frozen in the case is of its opening.
  const forecast = asset?.prognosis ?? item.prognosis;
  return isForecast(forecast) ? Date.parse(forecast.p10) : Number.POSITIVE_INFINITY;
}

/** Open cases before closed ones, each by urgency. */
export function rankCases(cases: Case[], assets: ReadonlyMap<string, AssetSummary>): Case[] {
  const key = (item: Case): number[] => [
    item.status === 'closed' ? 1 : 0,
    item.cleared_at === null ? 0 : 1,
    SEVERITY[item.severity],
    limitAt(item, assets.get(item.asset)),
    Date.parse(item.opened_at),
  ];
  return cases
    .map((item) => ({ item, key: key(item) }))
    .sort((a, b) => compare(a.key, b.key))
    .map(({ item }) => item);
}

function compare(a: number[], b: number[]): number {
  for (let at = 0; at < a.length; at++) {
    const left = a[at] as number;
    const right = b[at] as number;
    if (left !== right) return left < right ? -1 : 1;
  }
  return 0;
}

/** Assets of one site: worst state first, then least healthy, then by name. */
export function rankAssets(assets: AssetSummary[]): AssetSummary[] {
  return [...assets].sort(
    (a, b) =>
      STATES.indexOf(a.state) - STATES.indexOf(b.state) ||
      (a.health?.index ?? 101) - (b.health?.index ?? 101) ||
      a.name.localeCompare(b.name, undefined, { numeric: true }),
  );
}

export interface FleetFilter {
  q: string;
  site: string;
  model: string;
  state: string;
}

/** Filters of the fleet, as its address holds them. */
export function filterAssets(assets: AssetSummary[], filter: FleetFilter): AssetSummary[] {
  const words = filter.q.toLowerCase().split(/\s+/).filter(Boolean);
  return assets.filter((asset) => {
    if (filter.site !== '' && asset.site.id !== filter.site) return false;
    if (filter.model !== '' && asset.model !== filter.model) return false;
    if (filter.state !== '' && asset.state !== filter.state) return false;
    const text = [
      asset.id,
      asset.name,
      asset.model,
      asset.model_name?.en,
      asset.model_name?.zh,
      asset.site.name,
      asset.customer.name,
      ...asset.devices.map((device) => device.id),
      ...asset.open_cases.flatMap((item) => [item.failure_mode, item.failure_mode_name?.en, item.failure_mode_name?.zh]),
    ]
      .join(' ')
      .toLowerCase();
    return words.every((word) => text.includes(word));
  });
}

/** The columns of the board. */
export const BOARD: OrderStatus[] = ['proposed', 'approved', 'scheduled', 'in_progress', 'completed', 'cancelled'];

export type OrderAction = 'approve' | 'schedule' | 'start' | 'complete' | 'cancel';

/** What a person may do next with an order; the first is the usual next step. */
export function orderActions(status: OrderStatus): OrderAction[] {
  switch (status) {
    case 'proposed':
      return ['approve', 'cancel'];
    case 'approved':
      return ['schedule', 'cancel'];
    case 'scheduled':
      return ['start', 'schedule', 'cancel'];
    case 'in_progress':
      return ['complete', 'cancel'];
    default:
      return [];
  }
}
