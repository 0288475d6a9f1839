// The planner's keys: j and k move along the rows of a page, enter opens, a acknowledges,
// x chooses, / searches, ? tells all this. Typing into a field is never taken for a command.

import { place } from './location.svelte';

const FIELDS = 'input, textarea, select, [contenteditable]';

function rows(): HTMLElement[] {
  return [...document.querySelectorAll<HTMLElement>('main [data-row]')];
}

/** The link that stands for a row. */
function opener(row: HTMLElement): HTMLElement {
  return row.matches('a') ? row : (row.querySelector<HTMLElement>('a') ?? row);
}

function move(by: 1 | -1): void {
  const all = rows();
  const at = all.findIndex((row) => row.contains(document.activeElement));
  const next = all[at === -1 ? (by === 1 ? 0 : all.length - 1) : Math.min(all.length - 1, Math.max(0, at + by))];
  if (next === undefined) return;
  opener(next).focus();
  next.scrollIntoView({ block: 'nearest' });
}

function acknowledge(): boolean {
  const row = rows().find((found) => found.contains(document.activeElement));
  const button = (row ?? document.querySelector('main'))?.querySelector<HTMLElement>('[data-acknowledge]');
  button?.click();
  return button !== null && button !== undefined;
}

/** Chooses the row one is on, for an action on many. */
function choose(): boolean {
  const box = rows()
    .find((row) => row.contains(document.activeElement))
    ?.querySelector<HTMLElement>('[data-choose]');
  box?.click();
  return box !== null && box !== undefined;
}

function search(): void {
  const field = document.querySelector<HTMLInputElement>('[data-search]');
  if (field !== null && field.offsetParent !== null) return field.select();
  place.go(place.href({ page: 'fleet' }));
  requestAnimationFrame(() => document.querySelector<HTMLInputElement>('[data-search]')?.select());
}

/** Acts on a key; says when the help was asked for. */
export function handleKey(event: KeyboardEvent): 'help' | null {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return null;
  const target = event.target as Element | null;
  if (target?.closest('dialog')) return null;
  if (target?.matches?.(FIELDS)) {
    if (event.key === 'Escape') (target as HTMLElement).blur();
    return null;
  }
  switch (event.key) {
    case 'j':
      move(1);
      break;
    case 'k':
      move(-1);
      break;
    case 'a':
      if (!acknowledge()) return null;
      break;
    case 'x':
      if (!choose()) return null;
      break;
    case '/':
      search();
      break;
    case '?':
      event.preventDefault();
      return 'help';
    default:
      return null;
  }
  event.preventDefault();
  return null;
}
