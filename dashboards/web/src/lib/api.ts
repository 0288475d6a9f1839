// The HTTP API of assets, devices, orders and models: one typed function a resource.

import type {
  Drift, ForecastScore, HistoryKind, HistoryRecord, HistoryReport, PastPrognosis, PrognosisModel, PrognosisModelDetail, Promotion, TrainingJob,
} from './prognosis-types';
import type { Connector, Delivery } from './plan-types';
import { address, all, answered, ask, get, id, iso, PAGE_SIZE, post, send, table } from './http';
import { littleEndian } from './waveform';
import type {
  Assessment, AssetDetail, AssetModel, AssetSummary, Buckets, Course, Credential, DeadLetter, DeadLetterSummary,
  DeclaredSignal, Device, Engineer, Feature, LateReadings, MadeCredential, NewDevice, OnboardReport, OrderKind, Outcome, Page, ReplayAnswer,
  Site, Spectrum, SystemStatus, WaveformInfo, WorkOrder, WorkOrderDetail,
} from './types';

export { ApiError, whatWentWrong } from './http';

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
  /** What it really was, and the part of it. */
  failure_mode?: string;
  part?: string;
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
  orders: (query: { asset?: string; case?: string } = {}) => all<WorkOrder>('/work-orders', query),
  order: (order: string) => get<WorkOrderDetail>(`/work-orders/${id(order)}`),
  createOrder: (order: { asset: string; kind: OrderKind; note: string; by: string; due_by?: string }) =>
    post<WorkOrder>('/work-orders', order),
  step: (order: string, action: string, step: OrderStep) => post<WorkOrder>(`/work-orders/${id(order)}/${action}`, step),
  connectors: async () => (await get<Page<Connector>>('/connectors')).items,
  retryDelivery: (delivery: number) => post<Delivery>(`/deliveries/${delivery}/retry`, {}),
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

/** Where a file of the API is, for links that download it. */
export const fileOf = {
  history: () => address('/history', { format: 'csv', limit: PAGE_SIZE }),
  /** What a case was opened from. */
  capsule: (item: string) => address(`/cases/${id(item)}/capsule`),
  payload: (letter: number) => address(`/dead-letters/${letter}/payload`),
  samples: (waveform: number, format?: 'csv') => address(`/waveforms/${waveform}/samples`, { format }),
};
