// Durations and times as people type and read them. Everything is in milliseconds since the epoch, or of length.

const UNITS = [
  ['y', 365 * 86_400_000],
  ['w', 7 * 86_400_000],
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1_000],
  ['ms', 1],
] as const;

const DURATION = /^(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?$/;

/** Reads a duration as PromQL writes it (`1h30m`), or a number of seconds; null where it is neither, or zero. */
export function parseDuration(text: string): number | null {
  const trimmed = text.trim();
  if (/^\d+(\.\d+)?$/.test(trimmed)) return positive(Math.round(Number(trimmed) * 1000));
  const parts = DURATION.exec(trimmed);
  if (!parts) return null;
  return positive(UNITS.reduce((sum, [, size], index) => sum + Number(parts[index + 1] ?? 0) * size, 0));
}

function positive(ms: number): number | null {
  return ms > 0 && Number.isSafeInteger(ms) ? ms : null;
}

/** The shortest exact form: `90000` is `1m30s`. Weeks and years only where they are whole. */
export function formatDuration(ms: number): string {
  if (ms <= 0) return '0s';
  for (const [unit, size] of UNITS.slice(0, 2)) if (ms % size === 0) return `${ms / size}${unit}`;
  let left = ms;
  let text = '';
  for (const [unit, size] of UNITS.slice(2)) {
    const count = Math.floor(left / size);
    if (count > 0) text += `${count}${unit}`;
    left -= count * size;
  }
  return text;
}

/** Two units at most, for reading only: `3d 4h`. */
export function roughDuration(ms: number): string {
  const units = UNITS.filter(([unit]) => unit !== 'w' && unit !== 'ms');
  const first = units.findIndex(([, size]) => ms >= size);
  if (first < 0) return `${Math.round(ms)}ms`;
  let left = ms;
  return units
    .slice(first, first + 2)
    .map(([unit, size]) => {
      const count = Math.floor(left / size);
      left -= count * size;
      return count > 0 ? `${count}${unit}` : '';
    })
    .filter((part) => part !== '')
    .join(' ');
}

/** How long ago, or how far ahead, `ms` is. */
export function ago(ms: number, now: number): string {
  const difference = now - ms;
  if (Math.abs(difference) < 1000) return 'now';
  return difference > 0 ? `${roughDuration(difference)} ago` : `in ${roughDuration(-difference)}`;
}

/** The least and the greatest time of a store that knows no bounds are far outside of what a date holds. */
export const MAX_DATE_MS = 8.64e15;

const two = (value: number) => String(value).padStart(2, '0');

/** `2026-11-26 18:30:05`, in UTC or in the browser's zone; with milliseconds where there are some. */
export function formatTime(ms: number, utc: boolean): string {
  if (!(Math.abs(ms) <= MAX_DATE_MS)) return ms > 0 ? '∞' : '−∞';
  const date = new Date(ms);
  const [year, month, day, hour, minute, second] = utc
    ? [
        date.getUTCFullYear(),
        date.getUTCMonth(),
        date.getUTCDate(),
        date.getUTCHours(),
        date.getUTCMinutes(),
        date.getUTCSeconds(),
      ]
    : [date.getFullYear(), date.getMonth(), date.getDate(), date.getHours(), date.getMinutes(), date.getSeconds()];
  const fraction = ms % 1000 === 0 ? '' : `.${String(((ms % 1000) + 1000) % 1000).padStart(3, '0')}`;
  return `${year}-${two(month + 1)}-${two(day)} ${two(hour)}:${two(minute)}:${two(second)}${fraction}`;
}

const TIME = /^(\d{4})-(\d\d)-(\d\d)(?:[ T](\d\d):(\d\d)(?::(\d\d)(?:\.\d+)?)?)?(Z)?$/;

/** Reads what `formatTime` writes, also without seconds or time of day, or Unix seconds; null where it is no time. */
export function parseTime(text: string, utc: boolean): number | null {
  const trimmed = text.trim();
  if (/^\d{9,11}(\.\d+)?$/.test(trimmed)) return Math.round(Number(trimmed) * 1000);
  const match = TIME.exec(trimmed);
  if (!match) return null;
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map((part) => Number(part ?? 0));
  const fields = [year!, month! - 1, day!, hour!, minute!, second!] as const;
  const ms = utc || match[7] ? Date.UTC(...fields) : new Date(...fields).getTime();
  const back = match[7] || utc ? new Date(ms).getUTCDate() : new Date(ms).getDate();
  return back === day && month! <= 12 && !Number.isNaN(ms) && hour! < 24 && minute! < 60 && second! < 60 ? ms : null;
}

/** At least this many points has a graph whose step is not set, where the step may be a second or more. */
const POINTS = 250;
/** Steps that people can read, seconds. */
const STEPS = [1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400];
/** More points than this the API refuses. */
export const MAX_POINTS = 11_000;

/** The step of a range where none is set. */
export function autoStep(rangeMs: number): number {
  return (STEPS.findLast((step) => step * 1000 * POINTS <= rangeMs) ?? 1) * 1000;
}

/** What the buttons beside the range go through. */
export const RANGES = ['5m', '15m', '30m', '1h', '3h', '6h', '12h', '1d', '2d', '1w', '2w', '30d', '90d', '1y', '2y'];

/** The next shorter (-1) or longer (1) range of the list. */
export function neighbourRange(rangeMs: number, direction: -1 | 1): number {
  const all = RANGES.map((text) => parseDuration(text)!);
  const found = direction > 0 ? all.find((ms) => ms > rangeMs) : all.findLast((ms) => ms < rangeMs);
  return found ?? rangeMs;
}
