// What the server says by itself: one event stream for the page, and the state of the
// fleet kept current from it. Lists that show other things listen here and read anew.

import { SvelteMap } from 'svelte/reactivity';
import { alerts } from './alert-api';
import { api, ApiError } from './api';
import type { AssetSummary, Case, SystemStatus, WorkOrder } from './types';

export type Connection = 'connecting' | 'live' | 'broken';

interface Listener {
  asset?(asset: AssetSummary): void;
  case?(item: Case): void;
  order?(order: WorkOrder): void;
  /** Some cases changed; said once however many. */
  cases?(): void;
  /** Events may have been missed: read everything anew. */
  lagged?(): void;
}

/** Waits between attempts to connect: quick at first, then easy on the server. */
const RETRY_MS = [500, 1_000, 2_000, 5_000, 10_000];
/** The server sends a comment every 15 s, which a page cannot see; its status is asked for instead. */
const STATUS_MS = 5_000;
/** Below what an eye calls at once, above what a full list takes to draw. */
const FLUSH_MS = 150;

class Live {
  connection = $state<Connection>('connecting');
  readonly assets = new SvelteMap<string, AssetSummary>();
  readonly cases = new SvelteMap<string, Case>();
  readonly orders = new SvelteMap<string, WorkOrder>();
  /** Whether the fleet, cases and orders were read once. */
  loaded = $state(false);
  error = $state<ApiError | null>(null);
  status = $state<SystemStatus | null>(null);
  /** The server's clock; ages must not depend on a wrong clock of the phone. */
  now = $state(Date.now());
  private offset = 0;
  private attempts = 0;
  private listeners = new Set<Listener>();
  private fresh = { assets: new Map<string, AssetSummary>(), cases: new Map<string, Case>(), orders: new Map<string, WorkOrder>() };
  private flushing: ReturnType<typeof setTimeout> | null = null;

  start(): void {
    this.connect();
    void this.refresh();
    void this.readStatus();
    setInterval(() => (this.now = Date.now() + this.offset), 1_000);
    setInterval(() => void this.readStatus(), STATUS_MS);
  }

  /** Registers a listener; the return value ends it (fits an effect). */
  listen(listener: Listener): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  async refresh(): Promise<void> {
    try {
      const [assets, cases, orders] = await Promise.all([api.assets(), alerts.cases({ status: 'all' }), api.orders()]);
      replace(this.assets, assets);
      replace(this.cases, cases);
      replace(this.orders, orders);
      this.error = null;
      this.loaded = true;
    } catch (error) {
      this.error = error instanceof ApiError ? error : new ApiError(0, String(error), null);
    }
  }

  private async readStatus(): Promise<void> {
    try {
      const status = await api.status();
      this.status = status;
      this.offset = Date.parse(status.now) - Date.now();
      this.now = Date.now() + this.offset;
      if (this.error !== null) await this.refresh();
    } catch {
      this.status = null;
    }
  }

  private connect(): void {
    const source = new EventSource('/api/v1/stream');
    source.onopen = () => {
      const again = this.attempts > 0;
      this.attempts = 0;
      this.connection = 'live';
      if (again) this.lagged();
    };
    source.onerror = () => {
      // The browser's own retry gives up on some answers; ours never does.
      source.close();
      this.connection = 'broken';
      const wait = RETRY_MS[Math.min(this.attempts, RETRY_MS.length - 1)] as number;
      this.attempts += 1;
      setTimeout(() => this.connect(), wait);
    };
    source.addEventListener('asset', (event) => {
      const asset = parse<AssetSummary>(event);
      if (asset !== null) this.keep(this.fresh.assets, asset);
    });
    source.addEventListener('case', (event) => {
      const item = parse<Case>(event);
      if (item !== null) this.keep(this.fresh.cases, item);
    });
    source.addEventListener('work_order', (event) => {
      const order = parse<WorkOrder>(event);
      if (order !== null) this.keep(this.fresh.orders, order);
    });
    source.addEventListener('lagged', () => this.lagged());
  }

  private keep<T extends { id: string }>(fresh: Map<string, T>, item: T): void {
    fresh.set(item.id, item);
    this.flushing ??= setTimeout(() => this.flush(), FLUSH_MS);
  }

  /** A plant of a thousand assets speaks a thousand times a second, and a flood opens as many cases; the page is drawn a few. */
  private flush(): void {
    this.flushing = null;
    const { assets, cases, orders } = this.fresh;
    for (const asset of assets.values()) this.assets.set(asset.id, asset);
    for (const item of cases.values()) this.cases.set(item.id, item);
    for (const order of orders.values()) this.orders.set(order.id, order);
    for (const listener of this.listeners) {
      if (listener.asset) assets.forEach((asset) => listener.asset?.(asset));
      if (listener.case) cases.forEach((item) => listener.case?.(item));
      if (listener.order) orders.forEach((order) => listener.order?.(order));
      if (cases.size > 0) listener.cases?.();
    }
    for (const fresh of [assets, cases, orders]) fresh.clear();
  }

  private lagged(): void {
    void this.refresh();
    for (const listener of this.listeners) listener.lagged?.();
  }
}

function replace<T extends { id: string }>(map: Map<string, T>, items: T[]): void {
  const ids = new Set(items.map((item) => item.id));
  for (const key of [...map.keys()]) if (!ids.has(key)) map.delete(key);
  for (const item of items) map.set(item.id, item);
}

function parse<T>(event: MessageEvent<string>): T | null {
  try {
    return JSON.parse(event.data) as T;
  } catch {
    return null;
  }
}

export const live = new Live();
