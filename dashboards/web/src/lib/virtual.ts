// Which rows of a long list are worth drawing.

/** Lists up to this length are drawn whole: find-in-page and printing work better on those. */
const WHOLE_LIST = 200;
/** Drawn beyond each edge of the window, in pixels, so that fast scrolling meets no blank. */
const OVERSCAN_PX = 600;

export interface VisibleRange {
  from: number;
  to: number;
  /** Pixels that stand in for the rows before and after. */
  before: number;
  after: number;
}

export function visibleRange(heights: number[], top: number, bottom: number): VisibleRange {
  if (heights.length <= WHOLE_LIST) return { from: 0, to: heights.length, before: 0, after: 0 };
  let from = 0;
  let before = 0;
  while (from < heights.length && before + (heights[from] as number) < top - OVERSCAN_PX) before += heights[from++] as number;
  let to = from;
  let end = before;
  while (to < heights.length && end < bottom + OVERSCAN_PX) end += heights[to++] as number;
  const total = heights.reduce((sum, height) => sum + height, 0);
  return { from, to, before, after: total - end };
}
