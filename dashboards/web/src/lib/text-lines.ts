// Places in a text by line and column, counted from 1. Pure.

/** Where a line and column are in a text; the end of the line where it is shorter. */
export function offsetOf(text: string, line: number, column: number): number {
  let at = 0;
  for (let left = line; left > 1; left--) {
    const next = text.indexOf('\n', at);
    if (next === -1) return text.length;
    at = next + 1;
  }
  const end = text.indexOf('\n', at);
  return Math.min(at + Math.max(0, column - 1), end === -1 ? text.length : end);
}

export const lineCount = (text: string): number => text.split('\n').length;
