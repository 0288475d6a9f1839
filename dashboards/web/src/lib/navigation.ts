// The places of the main navigation, by how often one goes there.

import Stethoscope from '@lucide/svelte/icons/stethoscope';
import ChartSpline from '@lucide/svelte/icons/chart-spline';
import Gauge from '@lucide/svelte/icons/gauge';
import LayoutGrid from '@lucide/svelte/icons/layout-grid';
import ListChecks from '@lucide/svelte/icons/list-checks';
import PhoneCall from '@lucide/svelte/icons/phone-call';
import PiggyBank from '@lucide/svelte/icons/piggy-bank';
import RadioTower from '@lucide/svelte/icons/radio-tower';
import ShieldQuestionMark from '@lucide/svelte/icons/shield-question-mark';
import Wrench from '@lucide/svelte/icons/wrench';
import type { Component } from 'svelte';
import { m } from '../paraglide/messages.js';
import type { List } from './router';

export interface Place {
  page: List;
  /** Pages that belong to it. */
  pages: string[];
  icon: Component<{ size?: number; strokeWidth?: number; 'aria-hidden'?: 'true' }>;
  label: () => string;
  /** Whether it stands under the thumb on a phone. */
  near: boolean;
}

export const navigation = (): Place[] => [
  { page: 'fleet', pages: ['fleet', 'asset'], icon: LayoutGrid, label: m.nav_fleet, near: true },
  { page: 'cases', pages: ['cases', 'case', 'silences'], icon: Stethoscope, label: m.nav_cases, near: true },
  { page: 'orders', pages: ['orders', 'order'], icon: Wrench, label: m.nav_orders, near: true },
  { page: 'on-call', pages: ['on-call'], icon: PhoneCall, label: m.on_call, near: true },
  { page: 'rules', pages: ['rules', 'rule', 'rules-text', 'backtests', 'backtest'], icon: ListChecks, label: m.rules, near: false },
  { page: 'scoreboard', pages: ['scoreboard'], icon: Gauge, label: m.scoreboard, near: false },
  { page: 'savings', pages: ['savings'], icon: PiggyBank, label: m.savings, near: false },
  { page: 'devices', pages: ['devices', 'device', 'onboarding'], icon: RadioTower, label: m.nav_devices, near: false },
  { page: 'prognosis-models', pages: ['prognosis-models', 'prognosis-model', 'history'], icon: ChartSpline, label: m.nav_models, near: false },
  { page: 'quarantine', pages: ['quarantine'], icon: ShieldQuestionMark, label: m.nav_quarantine, near: false },
];
