// The HTTP API: one typed function a resource, problems (RFC 9457) as errors with words.

import type {
  Assessment, AssetDetail, AssetModel, AssetSummary, Buckets, Case, CaseDetail, Condition, DeadLetter, DeadLetterSummary, Device,
  Engineer, OrderKind, Outcome, Page, Site, SystemStatus, WorkOrder, WorkOrderDetail,
} from './types';

const BASE = '/api/v1';
/** Longer than any answer takes on a slow plant network; then the reader is told. */
const TIMEOUT_MS = 20_000;

/** What went wrong with a request: `status` 0 means that no answer came at all. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    title: string,
    readonly detail: string | null,
  ) {
    super(title);
  }
}

type Query = Record<string, string | number | boolean | null | undefined>;

function address(path: string, query: Query = {}): string {
  const search = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) {
    if (value !== null && value !== undefined && value !== '') search.set(key, String(value));
  }
  const text = search.toString();
  return `${BASE}${path}${text === '' ? '' : `?${text}`}`;
}

async function send<T>(method: string, url: string, body?: unknown): Promise<T> {
  let response: Response;
  try {
    response = await fetch(url, {
      method,
      headers: body === undefined ? { accept: 'application/json' } : { accept: 'application/json', 'content-type': 'application/json' },
      signal: AbortSignal.timeout(TIMEOUT_MS),
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  } catch (error) {
    throw new ApiError(0, error instanceof Error ? error.message : String(error), null);
  }
  const text = await response.text();
  let parsed: unknown = null;
  try {
    parsed = text === '' ? null : JSON.parse(text);
  } catch {
    throw new ApiError(response.status, response.statusText, text.slice(0, 200));
  }
  if (!response.ok) {
    const problem = (parsed ?? {}) as { title?: string; detail?: string };
    throw new ApiError(response.status, problem.title ?? response.statusText, problem.detail ?? null);
  }
  return parsed as T;
}

const get = <T>(path: string, query?: Query): Promise<T> => send<T>('GET', address(path, query));
const post = <T>(path: string, body: unknown): Promise<T> => send<T>('POST', address(path), body);

/** Most items a list may hold in the page; a plant beyond this needs a filter. */
const LIST_MAX = 20_000;
const PAGE_SIZE = 1_000;

/** Every page of a list. */
async function all<T>(path: string, query: Query = {}): Promise<T[]> {
  const items: T[] = [];
  let cursor: string | null = null;
  do {
    const page: Page<T> = await get<Page<T>>(path, { ...query, limit: PAGE_SIZE, cursor });
    items.push(...page.items);
    cursor = page.next;
  } while (cursor !== null && items.length < LIST_MAX);
  return items;
}

const id = encodeURIComponent;

export interface AssetChange {
  name?: string;
  site?: string;
  model?: string;
}

export interface SignalExtent {
  device: string;
  signal: string;
  first_at?: string | null;
  last_at?: string | null;
}

export interface OrderStep {
  by: string;
  note?: string;
  engineer?: string;
  scheduled_for?: string;
  outcome?: Outcome;
}

export const api = {
  assets: () => all<AssetSummary>('/assets'),
  asset: (asset: string) => get<AssetDetail>(`/assets/${id(asset)}`),
  changeAsset: (asset: string, change: AssetChange) => send<AssetSummary>('PATCH', address(`/assets/${id(asset)}`), change),
  sites: () => all<Site>('/sites'),
  models: () => all<AssetModel>('/models'),
  signals: (asset: string) => all<SignalExtent>('/signals', { asset }),
  buckets: (device: string, signal: string, from: number, to: number, buckets: number) =>
    get<Buckets>('/readings', { device, signal, from: iso(from), to: iso(to), buckets }),
  conditions: (asset: string, from: number, to: number) =>
    get<Page<Condition>>('/conditions', { asset, from: iso(from), to: iso(to), order: 'desc', limit: PAGE_SIZE }),
  assessments: (asset: string, query: { from?: number; to?: number; limit: number }) =>
    get<Page<Assessment>>('/assessments', {
      asset,
      order: 'desc',
      limit: query.limit,
      from: query.from === undefined ? null : iso(query.from),
      to: query.to === undefined ? null : iso(query.to),
    }),
  cases: (query: { status?: string; asset?: string } = {}) => all<Case>('/cases', query),
  case: (item: string) => get<CaseDetail>(`/cases/${id(item)}`),
  acknowledge: (item: string, by: string) => post<Case>(`/cases/${id(item)}/acknowledge`, { by }),
  orders: (query: { asset?: string; case?: string } = {}) => all<WorkOrder>('/work-orders', query),
  order: (order: string) => get<WorkOrderDetail>(`/work-orders/${id(order)}`),
  createOrder: (order: { asset: string; kind: OrderKind; note: string; by: string; due_by?: string }) =>
    post<WorkOrder>('/work-orders', order),
  step: (order: string, action: string, step: OrderStep) => post<WorkOrder>(`/work-orders/${id(order)}/${action}`, step),
  engineers: () => all<Engineer>('/engineers'),
  addEngineer: (name: string) => post<Engineer>('/engineers', { name, skills: [] }),
  devices: () => all<Device>('/devices'),
  deadLetters: (query: { reason?: string; cursor?: string | null; limit: number }) => get<Page<DeadLetter>>('/dead-letters', query),
  deadLetterSummary: () => get<DeadLetterSummary>('/dead-letters/summary'),
  status: () => get<SystemStatus>('/status'),
};

function iso(at: number): string {
  return new Date(at).toISOString();
}
