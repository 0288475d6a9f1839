// The payload of a message, made readable: as text, as JSON with one value a line, or byte by
// byte. Pure.

export type PayloadView = 'text' | 'json' | 'hex';

/** Bytes shown in a hexadecimal view; the whole payload can be downloaded. */
export const HEX_BYTES = 4_096;
/** Characters of text shown at once, for the same reason. */
export const TEXT_CHARS = 100_000;

const ROW = 16;

/** The bytes of a payload: decoded when it is binary, encoded when it is text. */
export function bytesOf(payload: string, base64: string | undefined): Uint8Array {
  if (base64 === undefined) return new TextEncoder().encode(payload);
  return Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
}

/** Offset, bytes and printable characters, sixteen a row. */
export function hexDump(bytes: Uint8Array, most = HEX_BYTES): string {
  const rows: string[] = [];
  const shown = bytes.subarray(0, most);
  for (let at = 0; at < shown.length; at += ROW) {
    const row = [...shown.subarray(at, at + ROW)];
    const hex = row.map((byte) => byte.toString(16).padStart(2, '0'));
    const left = hex.slice(0, ROW / 2).join(' ');
    const right = hex.slice(ROW / 2).join(' ');
    const text = row.map((byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '.')).join('');
    rows.push(`${at.toString(16).padStart(8, '0')}  ${left.padEnd(23)}  ${right.padEnd(23)}  ${text}`);
  }
  return rows.join('\n');
}

/** JSON with one value a line; null when it is none. */
export function prettyJson(payload: string): string | null {
  try {
    const parsed: unknown = JSON.parse(payload);
    return typeof parsed === 'object' && parsed !== null ? JSON.stringify(parsed, null, 2) : null;
  } catch {
    return null;
  }
}

/** The views that make sense for a payload; the first one is shown. */
export function viewsOf(payload: string, base64: string | undefined): PayloadView[] {
  if (base64 !== undefined) return ['hex', 'text'];
  return prettyJson(payload) === null ? ['text', 'hex'] : ['json', 'text', 'hex'];
}
