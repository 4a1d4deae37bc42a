import { expect, test } from 'vitest';
import type { Labels } from '../../src/api';
import { streams, type Block } from '../../src/blocks/model';
import { toCsv } from '../../src/query/run';
import { columns, formatAxis, formatValue, seriesName, shortName, splitLabels, stack } from '../../src/query/series';

test('series are named as PromQL writes them', () => {
  expect(seriesName({ __name__: 'up', job: 'a"b' })).toBe('up{job="a\\"b"}');
  expect(seriesName({ __name__: 'up' })).toBe('up');
  expect(seriesName({})).toBe('{}');
});

test('labels that all share are told apart from the others', () => {
  const all: Labels[] = [
    { __name__: 'up', job: 'a', x: '1' },
    { __name__: 'up', job: 'b' },
  ];
  expect(splitLabels(all)).toEqual({ common: { __name__: 'up' }, varying: ['job', 'x'] });
  expect(shortName(all[1]!, ['job', 'x'])).toBe('{job="b"}');
});

test.each([
  [0, '0'],
  [19742, '19.74k'],
  [1234, '1234'],
  [0.5, '0.5'],
  [-1234567, '−1.235M'],
  [0.00001234, '0.00001234'],
  [1e-9, '1e-9'],
  [Infinity, '+Inf'],
  [NaN, 'NaN'],
  [null, '–'],
])('%s is shown as %s', (value, text) => expect(formatValue(value)).toBe(text));

test('neighbours on an axis differ', () => {
  expect(formatAxis([0, 0.25, 0.5])).toEqual(['0', '0.25', '0.50']);
  expect(formatAxis([0, 20000, 40000])).toEqual(['0', '20k', '40k']);
  expect(formatAxis([1000000, 1000500])).toEqual(['1.0000M', '1.0005M']);
});

test('samples lie on steps, gaps and specials are gaps, lone points are known', () => {
  const series = [
    {
      metric: {},
      values: [
        [0, '1'],
        [10, '2'],
        [30, '+Inf'],
        [40, '5'],
      ] as [number, string][],
    },
  ];
  const laid = columns(series, 0, 40_000, 10_000);
  expect(laid.times).toEqual([0, 10, 20, 30, 40]);
  expect(laid.values).toEqual([[1, 2, null, null, 5]]);
  expect(laid.lone).toEqual([[4]]);
});

test('stacks leave out what is hidden', () => {
  const values = [
    [1, 1],
    [10, null],
    [100, 100],
  ];
  expect(stack(values, [true, true, true])).toEqual([
    [1, 1],
    [11, null],
    [111, 101],
  ]);
  expect(stack(values, [true, false, true])).toEqual([
    [1, 1],
    [null, null],
    [101, 101],
  ]);
});

test('a comma-separated copy quotes what needs it', () => {
  const series = [{ metric: { job: 'a,"b"' }, value: [1.5, '2'] as [number, string] }];
  expect(toCsv(series)).toBe('job,timestamp,value\n"a,""b""",1.5,2\n');
});

test('blocks of a row do not overlap', () => {
  const block = (ulid: string, minTime: number, maxTime: number, level: number, labels = {}): Block => ({
    ulid,
    minTime,
    maxTime,
    compaction: { level },
    thanos: { labels },
  });
  const [first, second] = streams([
    block('a', 0, 2, 1),
    block('b', 2, 4, 1),
    block('c', 1, 3, 1),
    block('d', 0, 4, 2),
    block('e', 0, 2, 1, { x: '1' }),
  ]);
  const rows = first!.parts[0]!.rows.map((row) => row.map(({ ulid }) => ulid));
  expect(rows).toEqual([['d'], ['a', 'b'], ['c']]);
  expect(second!.labels).toEqual({ x: '1' });
});
