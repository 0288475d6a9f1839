// Tables of the past from another maintenance system: their columns, what each column of a file
// is taken for, and examples to begin with. Pure.

import type { HistoryKind, HistoryReport } from './prognosis-types';

/** Longer files are refused by the server. */
export { MAX_FILE_BYTES } from './onboard';

export const KINDS: HistoryKind[] = ['failures', 'maintenance', 'assets', 'errors'];

/** The columns of each table, those it must have first. */
export const COLUMNS: Record<HistoryKind, { needed: string[]; optional: string[] }> = {
  assets: { needed: ['asset'], optional: ['model', 'installed_at'] },
  failures: { needed: ['asset', 'at'], optional: ['component', 'code', 'note'] },
  maintenance: { needed: ['asset', 'at'], optional: ['component', 'action', 'note'] },
  errors: { needed: ['asset', 'at', 'code'], optional: [] },
};

export const EXAMPLES: Record<HistoryKind, string> = {
  assets: ['asset,model,installed_at,size', 'pump-1,centrifugal-pump,2022-03-01,80', 'pump-2,centrifugal-pump,2022-03-01,100'].join('\n'),
  failures: ['asset,at,component,note', 'pump-1,2024-05-17T09:30:00Z,bearing,drive end seized', 'pump-2,2025-01-08T22:10:00Z,seal,'].join('\n'),
  maintenance: ['asset,at,component,action,note', 'pump-1,2024-05-18T14:00:00Z,bearing,replace,', 'pump-2,2024-09-02T08:00:00Z,seal,inspect,'].join('\n'),
  errors: ['asset,at,code', 'pump-1,2024-05-16T20:00:00Z,E17', 'pump-2,2025-01-08T21:55:00Z,E04'].join('\n'),
};

/** What a column of a file is taken for: a column of ours, left out, a fact (of assets), or nobody has said. */
export type Use = { as: string } | 'ignore' | 'fact' | 'open';

/** The names in the header of a CSV; separators as the server takes them: comma, semicolon or tab. */
export function headerOf(csv: string): string[] {
  const line = (csv.replace(/^\uFEFF/, '').split(/\r?\n/).find((one) => one.trim() !== '') ?? '').trim();
  if (line === '') return [];
  const separator = [',', ';', '\t'].reduce((best, one) => (line.split(one).length > line.split(best).length ? one : best), ',');
  return line.split(separator).map((name) => name.trim().replace(/^"(.*)"$/, '$1').replaceAll('""', '"').trim());
}

/** What each column is for before a person says otherwise: its own name decides. */
export function firstUses(kind: HistoryKind, header: string[]): Use[] {
  const { needed, optional } = COLUMNS[kind];
  const known = [...needed, ...optional];
  return header.map((name) => {
    const own = known.find((one) => one === name.toLowerCase());
    return own !== undefined ? { as: own } : kind === 'assets' ? 'fact' : 'open';
  });
}

/** Columns that must be there and are taken from nowhere yet. */
export function missing(kind: HistoryKind, uses: Use[]): string[] {
  return COLUMNS[kind].needed.filter((one) => !uses.some((use) => typeof use === 'object' && use.as === one));
}

/** A use as the value of a choice, and back. */
export const useText = (use: Use): string => (typeof use === 'object' ? `as:${use.as}` : use);
export const useOf = (text: string): Use => (text.startsWith('as:') ? { as: text.slice(3) } : text === 'ignore' || text === 'fact' ? text : 'open');

/** What the server is asked: columns under another name, and columns left out. */
export function mapping(header: string[], uses: Use[]): { map: [string, string][]; ignore: string[] } {
  const map: [string, string][] = [];
  const ignore: string[] = [];
  header.forEach((name, index) => {
    const use = uses[index];
    if (use === 'ignore') ignore.push(name);
    else if (typeof use === 'object' && use.as !== name.toLowerCase()) map.push([use.as, name]);
  });
  return { map, ignore };
}

/** Whether a file would change anything. */
export const saysSomething = (report: HistoryReport): boolean => report.new + report.changed > 0;
