// Where the reader is: the path picks the page, the query holds its filters. Pure, so that
// the whole state of a view can be tested as text.

/** Pages of one thing, by the first part of their path. */
const DETAILS = {
  assets: 'asset',
  cases: 'case',
  'work-orders': 'order',
  devices: 'device',
  'prognosis-models': 'prognosis-model',
  rules: 'rule',
  backtests: 'backtest',
} as const;

/** Pages that stand alone, by their path. */
const LISTS = {
  '': 'fleet',
  cases: 'cases',
  silences: 'silences',
  'work-orders': 'orders',
  devices: 'devices',
  onboarding: 'onboarding',
  quarantine: 'quarantine',
  'prognosis-models': 'prognosis-models',
  history: 'history',
  rules: 'rules',
  'rules-text': 'rules-text',
  backtests: 'backtests',
  scoreboard: 'scoreboard',
  savings: 'savings',
  'on-call': 'on-call',
  status: 'status',
  more: 'more',
} as const;

export type Detail = (typeof DETAILS)[keyof typeof DETAILS];
export type List = (typeof LISTS)[keyof typeof LISTS];

export type Route = { page: List } | { page: Detail; id: string } | { page: 'missing'; path: string };

/** The page a path names. */
export function match(path: string): Route {
  const parts = path.split('/').filter((part) => part !== '');
  const [head = '', id] = parts;
  if (parts.length <= 1) {
    const page = own(LISTS, head);
    return page === undefined ? { page: 'missing', path } : { page };
  }
  const page = own(DETAILS, head);
  if (parts.length > 2 || page === undefined || id === undefined) return { page: 'missing', path };
  try {
    return { page, id: decodeURIComponent(id) };
  } catch {
    return { page: 'missing', path };
  }
}

function own<T extends object>(table: T, key: string): T[keyof T] | undefined {
  return Object.hasOwn(table, key) ? table[key as keyof T] : undefined;
}

function headOf(table: object, page: string): string {
  return Object.entries(table).find(([, named]) => named === page)?.[0] ?? '';
}

/** The path of a page; the inverse of `match`. */
export function path(route: Route): string {
  if ('path' in route) return route.path;
  if ('id' in route) return `/${headOf(DETAILS, route.page)}/${encodeURIComponent(route.id)}`;
  return `/${headOf(LISTS, route.page)}`;
}

/** A query with some values changed; null and the empty text remove a key. */
export function withQuery(search: string, changes: Record<string, string | null>): string {
  const query = new URLSearchParams(search);
  for (const [key, value] of Object.entries(changes)) {
    if (value === null || value === '') query.delete(key);
    else query.set(key, value);
  }
  query.sort();
  const text = query.toString();
  return text === '' ? '' : `?${text}`;
}
