// What every uPlot chart of the page does the same way: colours from the theme, a span dragged
// with the mouse, and the keys of a focused chart.

import type uPlot from 'uplot';

/** A colour or font of the theme; a canvas knows nothing of style sheets. */
export const token = (name: string): string => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** Room beside the plot of every chart over time, in pixels, so that one moment is one place on the page. */
export const PLOT_LEFT = 56;
export const PLOT_RIGHT = 16;

/** Narrower is a click that slipped. */
const MIN_DRAG_PX = 4;

/** The span that was dragged, handed on once; the selection itself goes. */
export function dragged(show: (from: number, to: number) => void): (u: uPlot) => void {
  return (u) => {
    if (u.select.width < MIN_DRAG_PX) return;
    const from = u.posToVal(u.select.left, 'x');
    const to = u.posToVal(u.select.left + u.select.width, 'x');
    u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    show(from, to);
  };
}

/** The time under the cursor; null when it is elsewhere. */
export function timeUnder(u: uPlot): number | null {
  const left = u.cursor.left;
  return left === undefined || left === null || left < 0 ? null : u.posToVal(left, 'x');
}

export interface ChartActs {
  zoom: (factor: number) => void;
  pan: (share: number) => void;
  back: () => void;
}

/** Plus and minus zoom, arrows move, Escape goes back. */
export function chartKeys(event: KeyboardEvent, { zoom, pan, back }: ChartActs): void {
  const act: Record<string, () => void> = {
    '+': () => zoom(0.8),
    '=': () => zoom(0.8),
    '-': () => zoom(1.25),
    ArrowLeft: () => pan(-0.1),
    ArrowRight: () => pan(0.1),
    Escape: back,
  };
  const found = act[event.key];
  if (found === undefined || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  found();
}
