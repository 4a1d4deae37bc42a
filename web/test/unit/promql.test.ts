import { expect, test } from 'vitest';
import { complete, placeOf, rank, type Source } from '../../src/promql/complete';
import { matchingBrackets, tokenise } from '../../src/promql/lex';
import { errorMark, offsetOf, splitMessage } from '../../src/promql/position';

const kinds = (text: string) =>
  tokenise(text)
    .filter((token) => token.kind !== 'space')
    .map((token) => `${token.kind}:${token.text}`);

test('tokens cover the text without gaps, whatever it is', () => {
  for (const text of ['', 'a{b="', "'", 'sum by (', '🦀{é="x"} # end', ')))', 'rate(x[5m:30s] offset -1h) @ start()']) {
    expect(
      tokenise(text)
        .map((token) => token.text)
        .join(''),
    ).toBe(text);
  }
});

test('words mean what their place says', () => {
  expect(kinds('sum by (rate) (rate(rate[5m]))')).toEqual([
    'aggregation:sum',
    'keyword:by',
    'open:(',
    'label:rate',
    'close:)',
    'open:(',
    'function:rate',
    'open:(',
    'metric:rate',
    'open:[',
    'duration:5m',
    'close:]',
    'close:)',
    'close:)',
  ]);
  expect(kinds('up{sum!~"a\\"b"} > 1.5e3')).toEqual([
    'metric:up',
    'open:{',
    'label:sum',
    'operator:!~',
    'string:"a\\"b"',
    'close:}',
    'operator:>',
    'number:1.5e3',
  ]);
});

test('brackets find their partners', () => {
  const tokens = tokenise('a(b[c])');
  expect(matchingBrackets(tokens, 2)).toEqual([1, 6]);
  expect(matchingBrackets(tokens, 4)).toEqual([3, 5]);
  expect(matchingBrackets(tokenise('a)'), 2)).toBeNull();
});

test('positions count lines and bytes', () => {
  expect(offsetOf('abc', 1, 3)).toBe(2);
  expect(offsetOf('ab\ncd', 2, 2)).toBe(4);
  expect(offsetOf('é🦀x', 1, 7)).toBe(3);
  expect(offsetOf('ab', 9, 9)).toBe(2);
});

test('an error marks the token that it is about', () => {
  const message = 'invalid parameter "query": 1:12: parse error: unexpected identifier "foo"';
  expect(errorMark('up{job="x"}foo + 1', message)).toEqual({ start: 11, end: 14 });
  expect(errorMark('sum(', '1:5: parse error: unclosed left parenthesis')).toEqual({ start: 4, end: 4 });
  expect(errorMark('up', 'query timed out')).toBeNull();
  expect(splitMessage(message)).toEqual({ place: 'column 12', text: 'unexpected identifier "foo"' });
  expect(splitMessage('2:1: parse error: x')).toEqual({ place: 'line 2, column 1', text: 'x' });
});

/** The caret is where the bar stands. */
function at(text: string) {
  const caret = text.indexOf('|');
  return placeOf(text.replace('|', ''), caret);
}

test('the place of the caret is known', () => {
  expect(at('ra|')).toMatchObject({ kind: 'expression', word: 'ra', start: 0, end: 2 });
  expect(at('rate(demo|)')).toMatchObject({ kind: 'expression', word: 'demo' });
  expect(at('demo{|}')).toMatchObject({ kind: 'label', word: '', selector: 'demo{}' });
  expect(at('demo{job="api", me|}')).toMatchObject({ kind: 'label', word: 'me', selector: 'demo{job="api"}' });
  expect(at('demo{job="a|"}')).toMatchObject({
    kind: 'value',
    label: 'job',
    word: 'a',
    selector: 'demo{}',
    closed: true,
  });
  expect(at('demo{x="1",job=~"|')).toMatchObject({
    kind: 'value',
    label: 'job',
    selector: 'demo{x="1"}',
    closed: false,
  });
  expect(at('sum by (jo|) (demo)')).toMatchObject({ kind: 'label', word: 'jo', selector: 'demo', matcher: false });
  expect(at('rate(demo[5|])')).toBeNull();
  expect(at('rate(demo[|])')).toMatchObject({ kind: 'duration', word: '' });
  expect(at('up offset |')).toMatchObject({ kind: 'duration' });
  expect(at('up # com|')).toBeNull();
  expect(at('label_replace(up, "a|')).toBeNull();
});

const source: Source = {
  metrics: async () => [
    { name: 'demo_total', help: 'counter' },
    { name: 'with.dots', help: '' },
  ],
  labels: async () => ['job', 'instance', 'a.b'],
  values: async () => ['api', 'a"b'],
};

async function offered(text: string) {
  return (await complete(at(text)!, source)).map((item) => item.insert);
}

test('what is offered fits its place', async () => {
  expect((await offered('de|')).slice(0, 4)).toEqual(['deg()', 'delta()', 'deriv()', 'demo_total']);
  expect(await offered('demo_t|')).toEqual(['demo_total']);
  expect(await offered('{jo|}')).toEqual(['job=""']);
  expect(await offered('sum by (jo|)')).toEqual(['job']);
  expect(await offered('{job="|')).toEqual(['api"', 'a\\"b"']);
  expect(await offered('{job="|"}')).toEqual(['api', 'a\\"b']);
  expect((await offered('with|'))[0]).toBe('without');
  expect(await offered('with.|')).toEqual(['{"with.dots"}']);
});

test('the closest comes first', () => {
  const items = ['http_requests', 'requests_total', 'rate', 'r_e_q'].map((label) => ({
    label,
    kind: 'metric' as const,
    detail: '',
    insert: label,
    back: 0,
  }));
  expect(rank(items, 'req').map((item) => item.label)).toEqual(['requests_total', 'http_requests', 'r_e_q']);
  expect(rank(items, 'xyz')).toEqual([]);
  expect(rank(items, 'hreq')[0]).toMatchObject({ label: 'http_requests', hits: [0, 5, 6, 7] });
  expect(rank(items, 'rts')).toEqual([]);
  const hard = { ...items[0]!, label: 'a_'.repeat(60) };
  expect(rank([hard], `${'a'.repeat(30)}b`)).toEqual([]);
});
