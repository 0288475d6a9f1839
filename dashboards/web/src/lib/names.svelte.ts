// Names of signals as the models give them, for sentences on pages that show many assets.

import { api } from './api';
import type { SignalNamer } from './sentences';
import type { Label, SignalView } from './types';
import { live } from './live.svelte';
import { failureMode, signalName } from './words';

type Known = Map<string, { label: Label; unit: string | null }>;

class Names {
  private models = $state.raw<Map<string, Known>>(new Map());
  private modes = $state.raw<Map<string, Label>>(new Map());
  private asked = false;

  /** Reads the asset models once; until then names are made from the signals' own. */
  start(): void {
    if (this.asked) return;
    this.asked = true;
    api
      .models()
      .then((models) => {
        this.models = new Map(models.map((model) => [model.id, new Map(model.signals.map((signal) => [signal.signal, signal]))]));
        this.modes = new Map(models.flatMap((model) => model.failure_modes.map((mode) => [mode.failure_mode, mode.name])));
      })
      .catch(() => (this.asked = false));
  }

  /** The name of a failure mode, as the models give it. */
  mode(mode: string | null): string {
    return failureMode(mode === null ? null : this.modes.get(mode), mode);
  }

  of(model: string, signal: string): string {
    const known = this.models.get(model)?.get(signal);
    return signalName(signal, known?.label ?? null, known?.unit ?? null);
  }
}

export const names = new Names();

/** Names the signals of an asset the page knows. */
export function namer(asset: string): SignalNamer {
  names.start();
  return (signal) => names.of(live.assets.get(asset)?.model ?? '', signal);
}

/** Names the signals a page has read with their labels. */
export function namerOf(signals: SignalView[]): SignalNamer {
  const known = new Map(signals.map((signal) => [signal.signal, signal]));
  return (signal) => signalName(signal, known.get(signal)?.label ?? null, known.get(signal)?.unit ?? null);
}
