// The shapes of the API of devices: who publishes, what is declared, and what could not be read.

import type { Iso, Site } from './types';

export interface Device {
  id: string;
  asset: string | null;
  asset_name: string | null;
  site: Site | null;
  online: boolean | null;
  last_measured_at: Iso | null;
  last_received_at: Iso | null;
  reading_count: number;
  late_readings: number;
  tokens: number;
  certificates: number;
  registered_at: Iso;
}

export interface Quota {
  messages_per_s: number;
  bytes_per_s: number;
}

/** Who may publish in a device's name; everything but the secret. */
export interface Credential {
  id: number;
  device: string;
  kind: 'token' | 'certificate' | 'certificate_name';
  fingerprint: string | null;
  topic_prefix: string | null;
  quota: Quota;
  created_at: Iso;
  last_used_at: Iso | null;
  revoked_at: Iso | null;
}

/** A credential that was just made; the only time its token is seen. */
export interface MadeCredential {
  device: string;
  credential: number;
  token: string | null;
}

export interface DeclaredSignal {
  name: string;
  signal: string;
  unit: string | null;
  sent_unit: string | null;
  limits: { min?: number; max?: number; max_rate_per_s?: number; stuck_after_s?: number };
  declared_by: 'model' | 'device';
}

export interface LateReadings {
  device: string;
  readings: number;
  from: Iso;
  to: Iso;
  newest: Iso;
  at: Iso;
}

/** A device as it shall be; what is left out stays as it is. */
export interface NewDevice {
  device: string;
  asset?: string;
  asset_name?: string;
  model?: string;
  site?: string;
}

export interface OnboardError {
  line: number;
  column_number: number;
  column: string;
  value: string;
  problem: string;
}

export interface OnboardReport {
  dry_run: boolean;
  applied: boolean;
  rows: number;
  unchanged: number;
  created: { customers: string[]; sites: string[]; assets: string[]; devices: string[] };
  changed: { assets: string[]; devices: string[] };
  without_credential: number;
  tokens: { device: string; credential: number; token: string }[];
  errors: OnboardError[];
  more_errors: number;
}

export interface DeadLetter {
  id: number;
  reason: string;
  detail: string;
  device: string | null;
  topic: string;
  received_at: Iso;
  replayed_at: Iso | null;
  content_type: string | null;
  properties: { name: string; value: string }[];
  payload: string;
  payload_base64?: string;
  payload_len: number;
  whole: boolean;
}

export interface DeadLetterSummary {
  total: number;
  by_reason: Record<string, number>;
  open: number;
  open_by_reason: Record<string, number>;
  kept: number;
  kept_bytes: number;
  dropped: number;
}

export interface StillRefused {
  id: number;
  reason: string;
  detail: string;
}

/** What became of letters that were taken again. */
export interface ReplayAnswer {
  replayed: number;
  readings: number;
  waveforms: number;
  still_refused: StillRefused[];
  missing: number[];
  next: string | null;
}
