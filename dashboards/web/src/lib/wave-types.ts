// The shapes of the API of vibration snapshots and their spectra.

import type { Iso } from './types';

/** A vibration snapshot without its samples. */
export interface WaveformInfo {
  id: number;
  device: string;
  signal: string;
  axis: string | null;
  unit: string | null;
  measured_at: Iso;
  received_at: Iso;
  sample_rate_hz: number;
  samples: number;
  duration_s: number;
  rms: number;
  peak: number;
}

/** Points of a spectrum in two columns. */
export interface SpectrumPoints {
  at: number[];
  amplitude: number[];
}

/** A line that was found near a defect frequency. */
export interface SpectrumLine {
  at: number;
  amplitude: number;
  floor: number;
}

/** The lines of one bearing, by part. */
export interface BearingSpectrum {
  name: string;
  defects: { defect: string; at: number; order: number; prominence: number | null; harmonics: SpectrumLine[]; sidebands: SpectrumLine[] }[];
}

/** The spectrum of a snapshot and what is read off it. */
export interface Spectrum {
  waveform: number;
  kind: string;
  unit: string | null;
  axis_unit: string;
  window: string;
  resolution: number;
  averages: number;
  points: SpectrumPoints;
  peaks: { at: number; amplitude: number; order: number | null }[];
  bands: { name: string; low_hz: number; high_hz: number; rms: number; unit: string | null }[];
  shape: { rms: number; peak: number; crest: number | null; kurtosis: number | null; skewness: number | null; unit: string | null };
  severity: {
    zone: string;
    velocity_mm_s: number;
    displacement_um: number;
    velocity_limits_mm_s: [number, number, number];
    source: string;
  } | null;
  no_severity: string | null;
  speed: { rpm: number; source: string; steady: boolean } | null;
  bearings: BearingSpectrum[];
  envelope: { low_hz: number; high_hz: number; source: string; spectral_kurtosis: number | null } | null;
}
