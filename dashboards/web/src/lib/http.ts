// Requests to the HTTP API: one way to ask, problems (RFC 9457) as errors with words.

import type { Page } from './types';

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

export type Query = Record<string, string | number | boolean | null | undefined>;

export function address(path: string, query: Query = {}): string {
  const search = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) {
    if (value !== null && value !== undefined && value !== '') search.set(key, String(value));
  }
  const text = search.toString();
  return `${BASE}${path}${text === '' ? '' : `?${text}`}`;
}

export async function ask(method: string, url: string, accept: string, body?: { text: string; type: string }): Promise<Response> {
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

export async function answered<T>(response: Response): Promise<T> {
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

export async function send<T>(method: string, url: string, body?: unknown): Promise<T> {
  const json = body === undefined ? undefined : { text: JSON.stringify(body), type: 'application/json' };
  return answered<T>(await ask(method, url, 'application/json', json));
}

export const get = <T>(path: string, query?: Query): Promise<T> => send<T>('GET', address(path, query));
export const post = <T>(path: string, body: unknown): Promise<T> => send<T>('POST', address(path), body);

/** Most items a list may hold in the page; a plant beyond this needs a filter. */
const LIST_MAX = 20_000;
export const PAGE_SIZE = 1_000;

/** Every page of a list. */
export async function all<T>(path: string, query: Query = {}): Promise<T[]> {
  const items: T[] = [];
  let cursor: string | null = null;
  do {
    const page: Page<T> = await get<Page<T>>(path, { ...query, limit: PAGE_SIZE, cursor });
    items.push(...page.items);
    cursor = page.next;
  } while (cursor !== null && items.length < LIST_MAX);
  return items;
}

/** A part of an address. */
export const id = encodeURIComponent;

/** Hands in a table as CSV; what is said of a file with errors is an answer too. */
export async function table<T>(url: string, csv: string): Promise<T> {
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

/** A moment as the API writes it. */
export function iso(at: number): string {
  return new Date(at).toISOString();
}
