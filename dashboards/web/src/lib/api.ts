// The HTTP API: one typed function a resource, problems (RFC 9457) as errors with words.

import type {
  Drift, ForecastScore, HistoryKind, HistoryRecord, HistoryReport, PastPrognosis, PrognosisModel, PrognosisModelDetail, Promotion, TrainingJob,
} from './prognosis-types';
import { littleEndian } from './waveform';
import type {
  Assessment, AssetDetail, AssetModel, AssetSummary, Buckets, Case, CaseDetail, Course, Credential, DeadLetter, DeadLetterSummary,
  DeclaredSignal, Device, Engineer, Feature, LateReadings, MadeCredential, NewDevice, OnboardReport, OrderKind, Outcome, Page, ReplayAnswer,
  Site, Spectrum, SystemStatus, WaveformInfo, WorkOrder, WorkOrderDetail,
} from './types';

const BASE = '/api/v1';
/** The server gives up after 30 s; a little longer than that, then the reader is told. */
const TIMEOUT_MS = 35_000;

/** What went wrong with a request: `status` 0 means that no answer came at all. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    title: string,
    readonly detail: string | null,
    /** The whole problem document, for those who read more of it. */
    readonly body: unknown = null,
  ) {
    super(title);
  }
}

/** What to tell a person about a failure. */
export function whatWentWrong(error: unknown, unreachable: string): string {
  return error instanceof ApiError && error.status !== 0 ? (error.detail ?? error.message) : unreachable;
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

async function ask(method: string, url: string, accept: string, body?: { text: string; type: string }): Promise<Response> {
  try {
    return await fetch(url, {
      method,
      headers: body === undefined ? { accept } : { accept, 'content-type': body.type },
      signal: AbortSignal.timeout(TIMEOUT_MS),
      ...(body === undefined ? {} : { body: body.text }),
    });
  } catch (error) {
    throw new ApiError(0, error instanceof Error ? error.message : String(error), null);
  }
}

async function answered<T>(response: Response): Promise<T> {
  const text = await response.text();
  let parsed: unknown = null;
  try {
    parsed = text === '' ? null : JSON.parse(text);
  } catch {
    throw new ApiError(response.status, response.statusText, text.slice(0, 200));
  }
  if (!response.ok) {
    const problem = (parsed ?? {}) as { title?: string; detail?: string };
    throw new ApiError(response.status, problem.title ?? response.statusText, problem.detail ?? null, parsed);
  }
  return parsed as T;
}

async function send<T>(method: string, url: string, body?: unknown): Promise<T> {
  const json = body === undefined ? undefined : { text: JSON.stringify(body), type: 'application/json' };
  return answered<T>(await ask(method, url, 'application/json', json));
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
  features: (asset: string) => all<Feature>(`/assets/${id(asset)}/features`),
  acceptNormal: (asset: string, by: string) => post<null>(`/assets/${id(asset)}/accept-normal`, { by }),
  changeAsset: (asset: string, change: AssetChange) => send<AssetSummary>('PATCH', address(`/assets/${id(asset)}`), change),
  sites: () => all<Site>('/sites'),
  models: () => all<AssetModel>('/models'),
  signals: (asset: string) => all<SignalExtent>('/signals', { asset }),
  buckets: (device: string, signal: string, from: number, to: number, buckets: number) =>
    get<Buckets>('/readings', { device, signal, from: iso(from), to: iso(to), buckets }),
  course: (asset: string, from: number, to: number, points: number) =>
    get<Course>(`/assets/${id(asset)}/course`, { from: iso(from), to: iso(to), points }),
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
  device: (device: string) => get<Device>(`/devices/${id(device)}`),
  addDevice: (device: NewDevice) => post<OnboardReport>('/devices', device),
  declaredSignals: (device: string) => all<DeclaredSignal>(`/devices/${id(device)}/signals`),
  lateReadings: (device: string) => get<Page<LateReadings>>(`/devices/${id(device)}/late-readings`),
  credentials: (device: string) => all<Credential>(`/devices/${id(device)}/credentials`),
  makeToken: (device: string) => post<MadeCredential>(`/devices/${id(device)}/credentials`, {}),
  revoke: (credential: number) => send<Credential>('DELETE', address(`/credentials/${credential}`)),
  onboard: (csv: string, options: { dry_run: boolean; tokens: boolean }) => table<OnboardReport>(address('/onboarding', options), csv),
  /** Takes in the past from another maintenance system. */
  importHistory: (kind: HistoryKind, csv: string, options: { dry_run: boolean; map: [string, string][]; ignore: string[] }) => {
    const query = new URLSearchParams({ dry_run: String(options.dry_run) });
    for (const [ours, theirs] of options.map) query.append('map', `${ours}:${theirs}`);
    for (const column of options.ignore) query.append('ignore', column);
    return table<HistoryReport>(`${address(`/history/${kind}`)}?${query.toString()}`, csv);
  },
  history: (query: { asset?: string; limit: number }) => get<Page<HistoryRecord>>('/history', query),
  /** Forecasts as they were made, the newest first. */
  prognoses: (asset: string, query: { limit: number }) => get<Page<PastPrognosis>>('/prognoses', { asset, order: 'desc', ...query }),
  prognosisModels: (asset_model?: string) => all<PrognosisModel>('/prognosis-models', { asset_model }),
  prognosisModel: (asset_model: string, version: number) => get<PrognosisModelDetail>(`/prognosis-models/${id(asset_model)}/${version}`),
  promote: (asset_model: string, version: number, act: { by: string; note?: string }) =>
    post<Promotion>(`/prognosis-models/${id(asset_model)}/${version}/promote`, act),
  rollBack: (asset_model: string, act: { by: string; note?: string }) => post<Promotion>(`/prognosis-models/${id(asset_model)}/roll-back`, act),
  forecastScores: (asset_model: string, version: number, asset?: string) => all<ForecastScore>(`/prognosis-models/${id(asset_model)}/${version}/scores`, { asset }),
  drift: (asset_model: string, version: number) => get<Drift>(`/prognosis-models/${id(asset_model)}/${version}/drift`),
  trainingJobs: (asset_model?: string) => all<TrainingJob>('/training-jobs', { asset_model }),
  train: (job: { asset_model: string; by: string }) => post<TrainingJob>('/training-jobs', job),
  deadLetters: (query: { state?: string; reason?: string; device?: string; cursor?: string | null; limit: number }) =>
    get<Page<DeadLetter>>('/dead-letters', query),
  deadLetter: (letter: number | string) => get<DeadLetter>(`/dead-letters/${letter}`),
  deadLetterSummary: () => get<DeadLetterSummary>('/dead-letters/summary'),
  replay: (request: { ids?: number[]; reason?: string; device?: string; cursor?: string }) => post<ReplayAnswer>('/dead-letters/replay', request),
  waveforms: (asset: string, query: { limit: number; cursor?: string | null }) => get<Page<WaveformInfo>>('/waveforms', { asset, ...query }),
  /** The samples of a waveform, as they were sent. */
  samples: async (waveform: number): Promise<Float32Array> => {
    const response = await ask('GET', address(`/waveforms/${waveform}/samples`), 'application/octet-stream');
    if (!response.ok) await answered(response);
    return littleEndian(await response.arrayBuffer());
  },
  spectrum: (waveform: number, query: { kind: string; points: number }) => get<Spectrum>(`/waveforms/${waveform}/spectrum`, query),
  status: () => get<SystemStatus>('/status'),
};

/** Hands in a table as CSV; what is said of a file with errors is an answer too. */
async function table<T>(url: string, csv: string): Promise<T> {
  const response = await ask('POST', url, 'application/json', { text: csv, type: 'text/csv' });
  try {
    return await answered<T>(response);
  } catch (error) {
    if (error instanceof ApiError && isReport(error.body)) return error.body as T;
    throw error;
  }
}

function isReport(body: unknown): boolean {
  return typeof body === 'object' && body !== null && Array.isArray((body as { errors?: unknown }).errors);
}

/** Where a file of the API is, for links that download it. */
export const fileOf = {
  history: () => address('/history', { format: 'csv', limit: PAGE_SIZE }),
  payload: (letter: number) => address(`/dead-letters/${letter}/payload`),
  samples: (waveform: number, format?: 'csv') => address(`/waveforms/${waveform}/samples`, { format }),
};

function iso(at: number): string {
  return new Date(at).toISOString();
}
