// What may come next in a query. Where the caret stands is found by the tokens; names and values come from a source.

import { tokenise, type Token } from './lex';
import { aggregations, functions, keywords } from './words';

export interface Item {
  label: string;
  kind: 'metric' | 'function' | 'aggregation' | 'keyword' | 'label' | 'value' | 'duration' | 'query';
  detail: string;
  /** What is put in the place of the word at the caret, and where the caret goes from its end. */
  insert: string;
  back: number;
  /** Whether something is offered again once it is inserted. */
  again?: boolean;
  /** The characters of the label that were typed. */
  hits?: number[];
}

/** What the caret stands in: the part of the text that an item replaces, and what it is about. */
export type Place =
  | { kind: 'expression'; start: number; end: number; word: string }
  | { kind: 'label'; start: number; end: number; word: string; selector: string; matcher: boolean }
  | { kind: 'value'; start: number; end: number; word: string; label: string; selector: string; closed: boolean }
  | { kind: 'duration'; start: number; end: number; word: string };

/** Where names and values come from. */
export interface Source {
  metrics(): Promise<{ name: string; help: string }[]>;
  labels(selector: string): Promise<string[]>;
  values(label: string, selector: string): Promise<string[]>;
}

/** What stands at the caret; null where nothing is to be offered. */
export function placeOf(text: string, caret: number): Place | null {
  const tokens = tokenise(text);
  const index = tokens.findIndex((token) => token.start < caret && caret <= token.end);
  const token = index < 0 ? undefined : tokens[index];
  if (token?.kind === 'comment' || token?.kind === 'number') return null;
  const inside = token === undefined ? '' : token.kind === 'open' ? opened(tokens, index) : token.inside;
  if (token?.kind === 'string') return inside === '{' ? valuePlace(tokens, index, caret) : null;
  const isWord = token !== undefined && /^[\w:.]/.test(token.text);
  const start = isWord ? token.start : caret;
  const end = isWord ? token.end : caret;
  const word = isWord ? token.text.slice(0, caret - token.start) : '';
  const before = tokens.slice(0, isWord ? index : index + 1).filter((other) => other.kind !== 'space');
  if (inside === '[' || before.at(-1)?.text === 'offset') return { kind: 'duration', start, end, word };
  if (inside === '{') {
    if (!['{', ','].includes(before.at(-1)?.text ?? '')) return null;
    return { kind: 'label', start, end, word, selector: selectorAround(tokens, index), matcher: true };
  }
  if (inside === 'L') return { kind: 'label', start, end, word, selector: firstMetric(tokens), matcher: false };
  return { kind: 'expression', start, end, word };
}

function opened(tokens: Token[], index: number): Token['inside'] {
  const open = tokens[index]!;
  if (open.text !== '(') return open.text as '{';
  const before = tokens.slice(0, index).findLast((token) => token.kind !== 'space');
  return before && /^(by|without|on|ignoring|group_left|group_right)$/.test(before.text) ? 'L' : '(';
}

function valuePlace(tokens: Token[], index: number, caret: number): Place | null {
  const token = tokens[index]!;
  const before = tokens.slice(0, index).filter((other) => other.kind !== 'space');
  const label = before.at(-2);
  if (before.at(-1)?.kind !== 'operator' || label?.kind !== 'label') return null;
  const quote = token.text[0]!;
  const closed = token.text.length > 1 && token.text.endsWith(quote) && !token.text.endsWith(`\\${quote}`);
  const end = closed ? token.end - 1 : token.end;
  if (closed && caret === token.end) return null;
  const word = token.text.slice(1, caret - token.start);
  const selector = selectorAround(tokens, index);
  return { kind: 'value', start: token.start + 1, end, word, label: label.text, selector, closed };
}

/** The selector whose braces hold token `index`, without the matcher that is being written there. */
function selectorAround(tokens: Token[], index: number): string {
  let open = index;
  if (tokens[index]?.text !== '{') while (open >= 0 && tokens[open]!.text !== '{') open--;
  const name = tokens.slice(0, open).findLast((token) => token.kind !== 'space');
  const metric = name?.kind === 'metric' && name.end === tokens[open]?.start ? name.text : '';
  const matchers: string[] = [];
  let part: Token[] = [];
  for (let at = open + 1; at <= tokens.length; at++) {
    const token = tokens[at];
    if (!token || token.text === '}' || token.text === ',' || token.kind === 'open') {
      const words = part.filter((other) => other.kind !== 'space');
      const whole = words.length === 3 && words[2]!.kind === 'string' && words[2]!.text.length > 2;
      if (whole && !part.includes(tokens[index]!)) matchers.push(words.map((other) => other.text).join(''));
      part = [];
      if (token?.text !== ',') break;
    } else part.push(token);
  }
  return metric === '' && matchers.length === 0 ? '' : `${metric}{${matchers.join(',')}}`;
}

/** The labels of a grouping are those of what is aggregated: the first metric is a good guess. */
function firstMetric(tokens: Token[]): string {
  return tokens.find((token) => token.kind === 'metric')?.text ?? '';
}

/** More than this nobody reads. */
const MAX_ITEMS = 60;
const DURATIONS = ['1m', '5m', '10m', '15m', '30m', '1h', '2h', '6h', '12h', '1d', '7d', '30d'];

/** What may stand at a place, the best first. */
export async function complete(place: Place, source: Source): Promise<Item[]> {
  const items = await candidates(place, source);
  return rank(items, place.word);
}

async function candidates(place: Place, source: Source): Promise<Item[]> {
  switch (place.kind) {
    case 'duration':
      return DURATIONS.map((label) => ({ label, kind: 'duration', detail: '', insert: label, back: 0 }));
    case 'label': {
      const names = await source.labels(place.selector);
      const plain = names.filter((name) => /^[a-zA-Z_]\w*$/.test(name));
      const insert = (name: string) => (place.matcher ? `${name}=""` : name);
      return plain.map((label) => ({
        label,
        kind: 'label',
        detail: '',
        insert: insert(label),
        back: place.matcher ? 1 : 0,
        again: place.matcher,
      }));
    }
    case 'value': {
      const values = await source.values(place.label, place.selector);
      const escaped = (value: string) => value.replace(/["\\]/g, '\\$&').replace(/\n/g, '\\n');
      return values.map((label) => ({
        label,
        kind: 'value',
        detail: '',
        insert: escaped(label) + (place.closed ? '' : '"'),
        back: place.closed ? -1 : 0,
      }));
    }
    case 'expression':
      return [...(await metricItems(source)), ...words()];
  }
}

async function metricItems(source: Source): Promise<Item[]> {
  const metrics = await source.metrics();
  return metrics.map(({ name, help }) => {
    const plain = /^[a-zA-Z_:][\w:]*$/.test(name);
    return { label: name, kind: 'metric', detail: help, insert: plain ? name : `{${JSON.stringify(name)}}`, back: 0 };
  });
}

function words(): Item[] {
  const calls = (kind: 'function' | 'aggregation') => (word: { name: string; args?: string; help: string }) => ({
    label: word.name,
    kind,
    detail: `(${word.args ?? ''})  ${word.help}`,
    insert: `${word.name}()`,
    back: word.args === '' ? 0 : 1,
    again: word.args !== '',
  });
  return [
    ...aggregations.map(calls('aggregation')),
    ...functions.map(calls('function')),
    ...keywords.map(({ name, help }): Item => ({ label: name, kind: 'keyword', detail: help, insert: name, back: 0 })),
  ];
}

/** The items whose label holds `word`, or the beginnings of whose parts make it up (`drt` for `demo_requests_total`), the closest first. */
export function rank(items: Item[], word: string): Item[] {
  if (word === '') return items.slice(0, MAX_ITEMS);
  const scored: { item: Item; score: number }[] = [];
  for (const item of items) {
    const hits = match(item.label, word);
    if (hits) scored.push({ item: { ...item, hits }, score: score(item.label, word, hits) });
  }
  scored.sort((a, b) => b.score - a.score || a.item.label.length - b.item.label.length);
  return scored.slice(0, MAX_ITEMS).map(({ item }) => item);
}

/** Which characters of `label` are those of `word`; null where they are not all there. */
function match(label: string, word: string): number[] | null {
  const low = label.toLowerCase();
  const sought = word.toLowerCase();
  const whole = low.indexOf(sought);
  if (whole >= 0) return Array.from(sought, (_, index) => whole + index);
  return beginnings(low, sought, 0, new Set());
}

/** Where the characters of `sought` are in `label` from `at` on: each begins a part, or follows the one before it. */
function beginnings(label: string, sought: string, at: number, failed: Set<string>): number[] | null {
  if (sought === '') return [];
  // Without this a label such as `a_a_a_…` would be tried in all ways.
  const tried = `${at} ${sought.length}`;
  if (failed.has(tried)) return null;
  for (let next = label.indexOf(sought[0]!, at); next >= 0; next = label.indexOf(sought[0]!, next + 1)) {
    const begins = next === 0 || !/[a-z0-9]/.test(label[next - 1]!);
    if (!begins && (next !== at || at === 0)) continue;
    const rest = beginnings(label, sought.slice(1), next + 1, failed);
    if (rest) return [next, ...rest];
  }
  failed.add(tried);
  return null;
}

function score(label: string, word: string, hits: number[]): number {
  const first = hits[0] ?? 0;
  const together = hits.at(-1)! - first === hits.length - 1;
  const atWord = first === 0 || /[_:\W]/.test(label[first - 1]!);
  return (label === word ? 8 : 0) + (first === 0 && together ? 4 : 0) + (together ? 2 : 0) + (atWord ? 1 : 0);
}
