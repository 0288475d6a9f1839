// The shapes of the API of planned work: job plans, the date as a cost decision, delivery.

import type { Iso, Label } from './types';

export interface PlanPart {
  part: string;
  name: Label;
  quantity: number;
  unit_cost: number;
}

export interface PlanStep {
  text: Label;
  minutes: number;
}

/** What a repair takes; the copy an order carries does not change with the plan. */
export interface JobPlan {
  id: string;
  version: number;
  name: Label;
  /** How many people it takes. */
  crew: number;
  duration_s: number;
  skills: string[];
  safety: Label[];
  steps: PlanStep[];
  parts: PlanPart[];
}

export interface Costs {
  planned: number;
  failure: number;
  inspection: number;
  expected_avoided: number | null;
  currency: string;
}

/** What each date costs: running on until it fails, the planned work, and both. */
export interface CostPoint {
  at: Iso;
  run_on: number;
  planned: number;
  total: number;
}

export interface DateDecision {
  chosen: Iso;
  basis: 'calibrated' | 'severity';
  curve: CostPoint[];
  delay_week_cost: number | null;
  words: Label;
  currency: string;
}

/** Where the order went: the service system that carries it out. */
export interface Delivery {
  connector: string;
  state: 'waiting' | 'delivered' | 'stuck' | 'withdrawn';
  reference: string | null;
  attempts: number;
  last_error: string | null;
}

/** What an order carries beyond its asset and its dates. */
export interface Planning {
  priority: number | null;
  plan: JobPlan | null;
  due_from: Iso | null;
  costs: Costs | null;
  date: DateDecision | null;
  delivery: Delivery | null;
}
