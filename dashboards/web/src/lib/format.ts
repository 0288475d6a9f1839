// Numbers for people: as many digits as the number is worth, always with its unit.

const SPACE = '\u202f';

/** Three significant digits below 1000, whole numbers above; a true minus sign. */
export function formatNumber(value: number, locale: string): string {
  if (!Number.isFinite(value)) return '–';
  const size = Math.abs(value);
  const digits = size >= 100 || size === 0 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3;
  return new Intl.NumberFormat(locale, { minimumFractionDigits: digits, maximumFractionDigits: digits })
    .format(value)
    .replace('-', '−');
}

export function formatCount(value: number, locale: string): string {
  return new Intl.NumberFormat(locale, { maximumFractionDigits: 0 }).format(value);
}

export function withUnit(text: string, unit: string | null): string {
  return unit === null || unit === '' ? text : `${text}${SPACE}${unit}`;
}

/** A deviation with its sign, one decimal: "+6.2". */
export function formatSigned(value: number, locale: string): string {
  return new Intl.NumberFormat(locale, {
    signDisplay: 'exceptZero',
    minimumFractionDigits: Math.abs(value) < 100 ? 1 : 0,
    maximumFractionDigits: Math.abs(value) < 100 ? 1 : 0,
  })
    .format(value)
    .replace('-', '−');
}

export function formatPercent(share: number, locale: string): string {
  return new Intl.NumberFormat(locale, { style: 'percent', maximumFractionDigits: 0 }).format(share);
}

/** An amount of money, whole above a hundred: nobody plans by cents. */
export function formatMoney(amount: number, currency: string | null, locale: string): string {
  const digits = Math.abs(amount) < 100 && amount !== 0 ? 2 : 0;
  const plain = { minimumFractionDigits: digits, maximumFractionDigits: digits };
  const style = currency !== null && /^[A-Z]{3}$/.test(currency) ? ({ style: 'currency', currency, currencyDisplay: 'code' } as const) : {};
  return new Intl.NumberFormat(locale, { ...plain, ...style }).format(amount).replace('-', '−').replaceAll('\u00a0', SPACE);
}

/** A health index is a whole number: the tenths are noise. Never 100 unless it is. */
export function formatHealth(index: number, locale: string): string {
  return formatCount(index >= 99.5 ? 100 : Math.floor(index), locale);
}

export function formatBytes(bytes: number, locale: string): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  const digits = unit === 0 || value >= 100 ? 0 : 1;
  return `${new Intl.NumberFormat(locale, { maximumFractionDigits: digits }).format(value)}${SPACE}${units[unit]}`;
}

/** A signal name without configuration: `bearing_temperature_c` becomes "bearing temperature". */
export function signalWords(signal: string, unit: string | null): string {
  const parts = signal.split('_');
  if (unit !== null && parts.length > 1) {
    const ending = unit.toLowerCase().replace('°', '').replace('²', '2').split('/').filter(Boolean);
    const tail = parts.slice(-ending.length).join('_').toLowerCase();
    if (tail === ending.join('_')) parts.splice(-ending.length);
  }
  return parts.join(' ');
}
