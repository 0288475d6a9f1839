// The HTTP API of rules and of what came of them.

import { address, all, get, id, post, send } from './http';
import type { Backtest, DriftOfInput, Recalibration, Rule, RuleChanges, RuleDetail, RulesCheck, RulesText, RuleVersion, SavingsEntry, SavingsRow, Score, ScoredBy } from './rule-types';
import type { Page } from './types';

interface Because {
  by: string;
  reason: string;
}

export const rules = {
  list: async () => (await get<Page<Rule>>('/rules')).items,
  one: (rule: string) => get<RuleDetail>(`/rules/${id(rule)}`),
  text: () => get<RulesText>('/rules/text'),
  write: (change: Because & { text: string; version: number }) => send<{ version: number; changes: RuleChanges }>('PUT', address('/rules/text'), change),
  validate: (text: string) => post<RulesCheck>('/rules/validate', { text }),
  versions: async () => (await get<Page<RuleVersion>>('/rules/versions')).items,
  version: (version: number) => get<RuleVersion & RulesText>(`/rules/versions/${version}`),
  restore: (version: number, because: Because) => post<{ version: number }>(`/rules/versions/${version}/restore`, because),
  revert: (recalibration: number, by: string) => post<{ value: number }>(`/recalibrations/${recalibration}/revert`, { by }),
  recalibrations: () => all<Recalibration>('/recalibrations'),
  scoreboard: (by: ScoredBy, days: number) => get<Page<Score>>('/scoreboard', { by: by === 'both' ? 'source,asset_model' : by, days }),
  drifts: async () => (await get<Page<DriftOfInput>>('/drifts')).items,
  backtests: () => all<Backtest>('/backtests'),
  backtest: (run: string) => get<Backtest>(`/backtests/${id(run)}`),
  startBacktest: (run: { rules: string; from: string; to: string; by: string; rules_only: boolean }) => post<Backtest>('/backtests', run),
  cancelBacktest: (run: number) => post<Backtest>(`/backtests/${run}/cancel`, {}),
  savings: (query: { by: string; customer?: string; model?: string; from?: string; to?: string }) => all<SavingsRow>('/savings', query),
  savingsEntries: (query: { kind: string; customer?: string; model?: string; month?: string }) => all<SavingsEntry>('/savings/entries', query),
};
