// Names and numbers of series, for tables, graphs and legends.

import type { Labels, Series } from '../api';

/** `name{a="b"}`, as PromQL writes it; `{}` where there is nothing. */
export function seriesName(labels: Labels): string {
  const { __name__: name = '', ...others } = labels;
  const parts = Object.entries(others).map(([label, value]) => `${label}=${JSON.stringify(value)}`);
  return parts.length === 0 && name !== '' ? name : `${name}{${parts.join(', ')}}`;
}

/** Labels that all series have with the same value, and the names of all others in order. */
export function splitLabels(all: Labels[]): { common: Labels; varying: string[] } {
  const names = [...new Set(all.flatMap((labels) => Object.keys(labels)))];
  const [first = {}] = all;
  const isCommon = (name: string) => all.every((labels) => labels[name] === first[name]);
  const common = names.filter(isCommon).map((name) => [name, first[name]!]);
  const varying = names.filter((name) => !isCommon(name)).sort(byName);
  return { common: Object.fromEntries(common), varying };
}

function byName(a: string, b: string): number {
  if (a === '__name__' || b === '__name__') return a === '__name__' ? -1 : 1;
  return a < b ? -1 : 1;
}

/** A series among others: only what tells it apart; its whole name where it is alone. */
export function shortName(labels: Labels, varying: string[]): string {
  const own = Object.fromEntries(varying.filter((name) => name in labels).map((name) => [name, labels[name]!]));
  return varying.length === 0 ? seriesName(labels) : seriesName(own);
}

/** A sample's value as a number; the API writes the special ones as text. */
export function toNumber(value: string): number {
  if (value === '+Inf') return Infinity;
  if (value === '-Inf') return -Infinity;
  return Number(value);
}

const SUFFIXES: [number, string][] = [
  [1e12, 'T'],
  [1e9, 'G'],
  [1e6, 'M'],
  [1e3, 'k'],
];

/** A number for reading: `1.235M`, `0.0042`; at most `digits` significant digits. */
export function formatValue(value: number | null | undefined, digits = 4): string {
  if (value === null || value === undefined) return '–';
  if (!Number.isFinite(value)) return Number.isNaN(value) ? 'NaN' : value > 0 ? '+Inf' : '−Inf';
  const size = Math.abs(value);
  const [scale, suffix] = size >= 10_000 ? (SUFFIXES.find(([from]) => size >= from) ?? [1, '']) : [1, ''];
  if (size >= 1e16 || (size > 0 && size < 1e-6)) return minus(value.toExponential(digits - 1).replace(/\.?0+e/, 'e'));
  const scaled = value / scale;
  const decimals = Math.max(0, digits - 1 - Math.floor(Math.log10(Math.abs(scaled) || 1)));
  const text = scaled.toFixed(Math.min(decimals, 12));
  return minus((text.includes('.') ? text.replace(/\.?0+$/, '') : text) + suffix);
}

function minus(text: string): string {
  return text.replace(/^-/, '−');
}

/** All values of an axis with the same number of decimals, which tell neighbours apart. */
export function formatAxis(values: number[]): string[] {
  const size = Math.max(...values.map(Math.abs));
  if (size > 0 && (size >= 1e16 || size < 1e-6))
    return values.map((value) => (value === 0 ? '0' : minus(value.toExponential(2))));
  const [scale, suffix] = size >= 10_000 ? (SUFFIXES.find(([from]) => size >= from) ?? [1, '']) : [1, ''];
  const step = values.length > 1 ? Math.abs(values[1]! - values[0]!) / scale : 1;
  // The step may be a number such as 0.25, which needs more digits than its size says.
  let decimals = 0;
  while (
    decimals < 9 &&
    Math.abs(step * 10 ** decimals - Math.round(step * 10 ** decimals)) > 1e-6 * 10 ** decimals * step
  )
    decimals++;
  return values.map((value) => (value === 0 ? '0' : minus((value / scale).toFixed(decimals) + suffix)));
}

/** Columns of a graph: times in seconds, and for each series a value at each of them. */
export interface Columns {
  times: number[];
  values: (number | null)[][];
  /** For each series the points without neighbours, which no line would show. */
  lone: number[][];
}

/** Lays series onto the steps of a range; `null` where a series has no sample or no finite value. */
export function columns(series: Series[], startMs: number, endMs: number, stepMs: number): Columns {
  const count = Math.max(1, Math.floor((endMs - startMs) / stepMs) + 1);
  const times = Array.from({ length: count }, (_, index) => (startMs + index * stepMs) / 1000);
  const values = series.map(({ values = [] }) => {
    const column = new Array<number | null>(count).fill(null);
    for (const [time, text] of values) {
      const index = Math.round((time * 1000 - startMs) / stepMs);
      const value = toNumber(text);
      if (index >= 0 && index < count && Number.isFinite(value)) column[index] = value;
    }
    return column;
  });
  const isLone = (column: (number | null)[], index: number) =>
    column[index] !== null && (column[index - 1] ?? null) === null && (column[index + 1] ?? null) === null;
  const lone = values.map((column) => times.flatMap((_, index) => (isLone(column, index) ? [index] : [])));
  return { times, values, lone };
}

/** Sums of each series and those before it, for drawing one on top of the other. Hidden ones count nothing. */
export function stack(values: (number | null)[][], shown: boolean[]): (number | null)[][] {
  const sums = new Array<number>(values[0]?.length ?? 0).fill(0);
  return values.map((column, index) =>
    shown[index] ? column.map((value, at) => (value === null ? null : (sums[at]! += value))) : column.map(() => null),
  );
}

const PALETTE = {
  light: [
    '#2f6fde',
    '#d9622b',
    '#2b9a66',
    '#b8438f',
    '#8a6d00',
    '#6a55d4',
    '#0f8fa6',
    '#c63d4a',
    '#5e8f1a',
    '#9a5b2e',
    '#4b6584',
    '#d0459f',
  ],
  dark: [
    '#6ea3ff',
    '#f58d55',
    '#53cc93',
    '#e77cc4',
    '#dcb53a',
    '#a897ff',
    '#45c8de',
    '#ff7a84',
    '#a3d55a',
    '#d79a6b',
    '#95b0d0',
    '#ff8ad4',
  ],
};

/** The colour of the nth series. */
export function colour(index: number, dark: boolean): string {
  const palette = dark ? PALETTE.dark : PALETTE.light;
  return palette[index % palette.length]!;
}
