// Where in a query an error of the server lies.

import { tokenise } from './lex';

/** A part of the query, offsets in UTF-16 units, the end exclusive. */
export interface Mark {
  start: number;
  end: number;
}

const POSITION = /(\d+):(\d+): parse error: /;

/** The offset of a line and column, which count from 1, columns in bytes of UTF-8. */
export function offsetOf(text: string, line: number, column: number): number {
  let start = 0;
  for (let n = 1; n < line; n++) {
    const next = text.indexOf('\n', start);
    if (next < 0) break;
    start = next + 1;
  }
  const newline = text.indexOf('\n', start);
  const end = newline < 0 ? text.length : newline;
  const encoder = new TextEncoder();
  let bytes = 1;
  let offset = start;
  for (const character of text.slice(start, end)) {
    if (bytes >= column) break;
    bytes += encoder.encode(character).length;
    offset += character.length;
  }
  return offset;
}

/** What a message complains about: the token at its position. Null where it names none. */
export function errorMark(text: string, message: string): Mark | null {
  const found = POSITION.exec(message);
  if (!found) return null;
  const start = offsetOf(text, Number(found[1]), Number(found[2]));
  const token = tokenise(text).find((token) => start >= token.start && start < token.end);
  return { start, end: token && token.kind !== 'space' ? token.end : Math.min(start + 1, text.length) };
}

/** The message for people: the place, where there is one, and what is wrong there. */
export function splitMessage(message: string): { place: string; text: string } {
  const found = POSITION.exec(message);
  if (!found) return { place: '', text: message };
  const place = found[1] === '1' ? `column ${found[2]}` : `line ${found[1]}, column ${found[2]}`;
  return { place, text: message.slice(found.index + found[0].length) };
}
