// Names of signals as the models give them, for sentences on pages that show many assets.

import { api } from './api';
import type { SignalNamer } from './sentences';
import type { Label, SignalView } from './types';
import { live } from './live.svelte';
import { rules } from './rule-api';
import { failureMode, named, signalName } from './words';

type Known = Map<string, { label: Label; unit: string | null }>;

class Names {
  private models = $state.raw<Map<string, Known>>(new Map());
  private modes = $state.raw<Map<string, Label>>(new Map());
  private kinds = $state.raw<Map<string, Label>>(new Map());
  private rules = $state.raw<Map<string, Label>>(new Map());
  private asked = false;

  /** Reads the asset models once; until then names are made from the signals' own. */
  start(): void {
    if (this.asked) return;
    this.asked = true;
    api
      .models()
      .then((models) => {
        this.models = new Map(models.map((model) => [model.id, new Map(model.signals.map((signal) => [signal.signal, signal]))]));
        this.kinds = new Map(models.map((model) => [model.id, model.name]));
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

  /** What a signal is measured in; null where the model does not say. */
  unit(model: string, signal: string): string | null {
    return this.models.get(model)?.get(signal)?.unit ?? null;
  }

  /** The words of signals for rules, which are for kinds of machines or for all. */
  ofKinds(kinds: string[]): { name: (signal: string) => string; unit: (signal: string) => string | null } {
    const knowing = (signal: string): string => (kinds.length > 0 ? kinds : [...this.models.keys()]).find((kind) => this.models.get(kind)?.has(signal)) ?? '';
    return { name: (signal) => this.of(knowing(signal), signal), unit: (signal) => this.unit(knowing(signal), signal) };
  }

  /** Reads what rules are called; each time, because people change them. */
  startRules(): void {
    rules.list().then(
      (found) => (this.rules = new Map(found.map((rule) => [rule.id, rule.name]))),
      () => undefined,
    );
  }

  /** What a rule is called; one that was retired goes by its id. */
  rule(id: string): string {
    return named(this.rules.get(id), id);
  }

  /** What a kind of machine is called. */
  kind(model: string): string {
    return named(this.kinds.get(model), model);
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
