// Brackets and quotes that close themselves.

const PAIRS: Record<string, string> = { '(': ')', '[': ']', '{': '}', '"': '"' };

/** Does what `key` means for brackets; false where it means nothing special. */
export function closeBracket(
  area: HTMLTextAreaElement,
  key: string,
  type: (area: HTMLTextAreaElement, text: string) => void,
): boolean {
  const { value, selectionStart: start, selectionEnd: end } = area;
  const next = value[end] ?? '';
  const before = value[start - 1] ?? '';
  const closes = Object.values(PAIRS).includes(key);
  if (start === end && closes && next === key) {
    area.setSelectionRange(end + 1, end + 1);
    return true;
  }
  if (key === 'Backspace' && start === end && next !== '' && PAIRS[before] === next) {
    area.setSelectionRange(start - 1, end + 1);
    type(area, '');
    return true;
  }
  const partner = PAIRS[key];
  if (!partner) return false;
  // Before a word a bracket is meant for the word; after one, a quote ends it.
  const alone = start === end && (/[\w"]/.test(next) || (key === '"' && /[\w"\\]/.test(before)));
  if (alone) return false;
  type(area, key + value.slice(start, end) + partner);
  area.setSelectionRange(start + 1, end + 1);
  return true;
}
