// The health map as rows of known height, so that a plant of thousands scrolls like one of ten.

import { rankAssets } from './rank';
import type { AssetSummary, Site } from './types';

export type FleetRow =
  | { kind: 'site'; key: string; height: number; site: Site; count: number }
  | { kind: 'assets'; key: string; height: number; assets: AssetSummary[] };

const SITE_PX = 48;
const ASSETS_PX = 92;

export function fleetRows(assets: AssetSummary[], columns: number): FleetRow[] {
  const sites = new Map<string, AssetSummary[]>();
  for (const asset of assets) {
    const list = sites.get(asset.site.id);
    if (list === undefined) sites.set(asset.site.id, [asset]);
    else list.push(asset);
  }
  const groups = [...sites.values()].sort((a, b) => (a[0] as AssetSummary).site.name.localeCompare((b[0] as AssetSummary).site.name));
  return groups.flatMap((group) => {
    const site = (group[0] as AssetSummary).site;
    const rows: FleetRow[] = [{ kind: 'site', key: `site ${site.id}`, height: SITE_PX, site, count: group.length }];
    const ranked = rankAssets(group);
    for (let at = 0; at < ranked.length; at += columns) {
      rows.push({ kind: 'assets', key: `${site.id} ${at / columns}`, height: ASSETS_PX, assets: ranked.slice(at, at + columns) });
    }
    return rows;
  });
}
