import { expect, test } from 'vitest';
import {
  ago,
  autoStep,
  formatDuration,
  formatTime,
  neighbourRange,
  parseDuration,
  parseTime,
  roughDuration,
} from '../../src/time';

const HOUR = 3_600_000;

test.each([
  ['1h', HOUR],
  ['1h30m', 1.5 * HOUR],
  ['90m', 1.5 * HOUR],
  ['1d12h', 36 * HOUR],
  ['2w', 14 * 24 * HOUR],
  ['1y', 365 * 24 * HOUR],
  ['250ms', 250],
  ['15', 15_000],
  ['0.5', 500],
  [' 5m ', 300_000],
])('the duration %s is read', (text, ms) => expect(parseDuration(text)).toBe(ms));

test.each(['', '0', '0s', 'm', '1.5h', '5m1h', '-5m', 'now', '99999999999999y'])('the duration %j is refused', (text) =>
  expect(parseDuration(text)).toBeNull(),
);

test.each([1, 999, 1000, 90_000, HOUR, 36 * HOUR, 14 * 24 * HOUR, 365 * 24 * HOUR, 400 * 24 * HOUR + 61_001])(
  'what is written for %d ms is read as the same',
  (ms) => expect(parseDuration(formatDuration(ms))).toBe(ms),
);

test('durations are short', () => {
  expect(formatDuration(90_000)).toBe('1m30s');
  expect(formatDuration(14 * 24 * HOUR)).toBe('2w');
  expect(formatDuration(0)).toBe('0s');
  expect(roughDuration(76 * HOUR + 5)).toBe('3d 4h');
  expect(roughDuration(12)).toBe('12ms');
  expect(ago(0, 2 * HOUR)).toBe('2h ago');
  expect(ago(2 * HOUR, 0)).toBe('in 2h');
});

test('times are written in the zone that is asked for', () => {
  const ms = Date.UTC(2026, 0, 31, 18, 5, 9);
  expect(formatTime(ms, true)).toBe('2026-01-31 18:05:09');
  expect(formatTime(ms + 7, true)).toBe('2026-01-31 18:05:09.007');
  expect(formatTime(Number.MAX_SAFE_INTEGER * 1000, true)).toBe('∞');
  expect(formatTime(-Number.MAX_SAFE_INTEGER * 1000, true)).toBe('−∞');
});

test.each([true, false])('times are read as they are written (UTC: %s)', (utc) => {
  for (const ms of [0, Date.UTC(2026, 1, 28, 23, 59, 59), Date.UTC(2026, 11, 31)]) {
    expect(parseTime(formatTime(ms, utc), utc)).toBe(ms);
  }
});

test('short forms of times are read', () => {
  expect(parseTime('2026-01-31 18:05', true)).toBe(Date.UTC(2026, 0, 31, 18, 5));
  expect(parseTime('2026-01-31', true)).toBe(Date.UTC(2026, 0, 31));
  expect(parseTime('2026-01-31T18:05:09Z', false)).toBe(Date.UTC(2026, 0, 31, 18, 5, 9));
  expect(parseTime('1769882709', false)).toBe(1_769_882_709_000);
});

test.each(['', 'soon', '2026-02-30 00:00', '2026-01-01 24:00', '2026-13-01'])('the time %j is refused', (text) =>
  expect(parseTime(text, true)).toBeNull(),
);

test('steps suit ranges', () => {
  expect(autoStep(HOUR)).toBe(10_000);
  expect(autoStep(30 * 24 * HOUR)).toBe(2 * HOUR);
  expect(autoStep(1000)).toBe(1000);
  expect(neighbourRange(HOUR, 1)).toBe(3 * HOUR);
  expect(neighbourRange(HOUR, -1)).toBe(HOUR / 2);
  expect(neighbourRange(2 * HOUR, -1)).toBe(HOUR);
  expect(neighbourRange(1000, -1)).toBe(1000);
});
