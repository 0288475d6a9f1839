// Where the reader is: the path picks the page, the query holds its filters. Pure, so that
// the whole state of a view can be tested as text.

export type Route =
  | { page: 'fleet' }
  | { page: 'asset'; id: string }
  | { page: 'cases' }
  | { page: 'case'; id: string }
  | { page: 'orders' }
  | { page: 'order'; id: string }
  | { page: 'devices' }
  | { page: 'device'; id: string }
  | { page: 'onboarding' }
  | { page: 'quarantine' }
  | { page: 'prognosis-models' }
  | { page: 'prognosis-model'; id: string }
  | { page: 'history' }
  | { page: 'status' }
  | { page: 'missing'; path: string };

const LISTS: Record<string, Route> = {
  '': { page: 'fleet' },
  cases: { page: 'cases' },
  'work-orders': { page: 'orders' },
  devices: { page: 'devices' },
  onboarding: { page: 'onboarding' },
  quarantine: { page: 'quarantine' },
  'prognosis-models': { page: 'prognosis-models' },
  history: { page: 'history' },
  status: { page: 'status' },
};

const DETAILS: Record<string, 'asset' | 'case' | 'order' | 'device' | 'prognosis-model'> = {
  assets: 'asset',
  cases: 'case',
  'work-orders': 'order',
  devices: 'device',
  'prognosis-models': 'prognosis-model',
};

/** The page a path names. */
export function match(path: string): Route {
  const parts = path.split('/').filter((part) => part !== '');
  const [head = '', id] = parts;
  if (parts.length <= 1) return LISTS[head] ?? { page: 'missing', path };
  const page = DETAILS[head];
  if (parts.length > 2 || page === undefined || id === undefined) return { page: 'missing', path };
  try {
    return { page, id: decodeURIComponent(id) };
  } catch {
    return { page: 'missing', path };
  }
}

/** The path of a page; the inverse of `match`. */
export function path(route: Route): string {
  switch (route.page) {
    case 'fleet':
      return '/';
    case 'asset':
      return `/assets/${encodeURIComponent(route.id)}`;
    case 'cases':
      return '/cases';
    case 'case':
      return `/cases/${encodeURIComponent(route.id)}`;
    case 'orders':
      return '/work-orders';
    case 'order':
      return `/work-orders/${encodeURIComponent(route.id)}`;
    case 'devices':
      return '/devices';
    case 'device':
      return `/devices/${encodeURIComponent(route.id)}`;
    case 'onboarding':
      return '/onboarding';
    case 'quarantine':
      return '/quarantine';
    case 'prognosis-models':
      return '/prognosis-models';
    case 'prognosis-model':
      return `/prognosis-models/${encodeURIComponent(route.id)}`;
    case 'history':
      return '/history';
    case 'status':
      return '/status';
    case 'missing':
      return route.path;
  }
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
