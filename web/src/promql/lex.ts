// A query cut into tokens: enough for colours, brackets and completion, for queries that are half written too.
// What is right and what is wrong only the server's parser decides.

import { aggregationNames, functionNames, keywordNames, labelListWords } from './words';

export type Kind =
  | 'space'
  | 'comment'
  | 'string'
  | 'number'
  | 'duration'
  | 'function'
  | 'aggregation'
  | 'keyword'
  | 'metric'
  | 'label'
  | 'operator'
  | 'open'
  | 'close'
  | 'other';

export interface Token {
  kind: Kind;
  /** Offsets in UTF-16 units, the end exclusive. */
  start: number;
  end: number;
  text: string;
  /** The innermost open bracket that it stands in: `{`, `[`, `(`, or `L` for the brackets of a list of labels. */
  inside: '{' | '[' | '(' | 'L' | '';
}

const PATTERNS: [Kind, RegExp][] = [
  ['space', /\s+/y],
  ['comment', /#[^\n]*/y],
  ['string', /"(?:[^"\\\n]|\\.)*(?:"|(?=\n)|$)|'(?:[^'\\\n]|\\.)*(?:'|(?=\n)|$)|`[^`]*(?:`|$)/y],
  ['duration', /(?:\d+(?:ms|[smhdwy]))+(?![\w.])/y],
  ['number', /0[xX][\da-fA-F_]+|(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?/y],
  ['metric', /[a-zA-Z_:][\w:]*/y],
  ['operator', /=~|!~|!=|==|>=|<=|[-+*/%^=<>!@,:]/y],
  ['open', /[([{]/y],
  ['close', /[)\]}]/y],
  ['other', /[^]/uy],
];

/** The tokens of a text, without gaps. */
export function tokenise(text: string): Token[] {
  const tokens: Token[] = [];
  const open: Token['inside'][] = [];
  let words: string[] = [];
  let at = 0;
  while (at < text.length) {
    const [kind, found] = match(text, at);
    const inside = open.at(-1) ?? '';
    const token: Token = { kind, start: at, end: at + found.length, text: found, inside };
    at = token.end;
    if (kind === 'metric') token.kind = wordKind(found, inside, text, at);
    if (kind === 'close') open.pop();
    token.inside = kind === 'close' ? (open.at(-1) ?? '') : inside;
    tokens.push(token);
    if (kind === 'open') open.push(found === '(' && labelListWords.has(words.at(-1) ?? '') ? 'L' : (found as '{'));
    if (kind !== 'space' && kind !== 'comment') words = [found];
  }
  return tokens;
}

function match(text: string, at: number): [Kind, string] {
  for (const [kind, pattern] of PATTERNS) {
    pattern.lastIndex = at;
    const found = pattern.exec(text)?.[0];
    if (found) return [kind, found];
  }
  return ['other', text[at]!];
}

function wordKind(word: string, inside: Token['inside'], text: string, end: number): Kind {
  if (inside === '{' || inside === 'L') return 'label';
  const called = /^\s*\(/.test(text.slice(end));
  if (functionNames.has(word) && called) return 'function';
  if (aggregationNames.has(word) && /^\s*(?:\(|by\b|without\b)/.test(text.slice(end))) return 'aggregation';
  if (keywordNames.has(word)) return 'keyword';
  if (/^(inf|nan)$/i.test(word)) return 'number';
  return 'metric';
}

/** The bracket at or before the caret and the one that belongs to it, as offsets; null where there are none. */
export function matchingBrackets(tokens: Token[], caret: number): [number, number] | null {
  const pairs: [number, number][] = [];
  const open: Token[] = [];
  const closes: Record<string, string> = { ')': '(', ']': '[', '}': '{' };
  for (const token of tokens) {
    if (token.kind === 'open') open.push(token);
    if (token.kind === 'close' && open.at(-1)?.text === closes[token.text])
      pairs.push([open.pop()!.start, token.start]);
  }
  const at = (offset: number) => pairs.find(([from, to]) => from === offset || to === offset);
  return at(caret - 1) ?? at(caret) ?? null;
}
