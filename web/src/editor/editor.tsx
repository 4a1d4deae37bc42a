// The query editor: a text area, so that everything a browser can do with text works, above its own text in colours.
// Both have the same font and wrap alike; the coloured text gives the height and the place of the caret.

import { useEffect, useId, useMemo, useRef, useState } from 'preact/hooks';
import { complete, placeOf, type Item, type Place, type Source } from '../promql/complete';
import { matchingBrackets, tokenise } from '../promql/lex';
import type { Mark } from '../promql/position';
import { Coloured } from './coloured';
import { closeBracket } from './brackets';
import { Popup } from './popup';

interface Props {
  value: string;
  label: string;
  /** What the last error complains about. */
  mark: Mark | null;
  source: Source;
  /** Queries that were run, the newest first: offered while the editor is empty. */
  history: () => string[];
  autoFocus?: boolean;
  onChange: (value: string) => void;
  onRun: () => void;
}

interface Offer {
  place: Place;
  items: Item[];
  /** Whether somebody moved through the list: then Enter takes what is chosen. */
  moved: boolean;
  chosen: number;
  left: number;
  top: number;
}

export function Editor({ value, label, mark, source, history, autoFocus, onChange, onRun }: Props) {
  const area = useRef<HTMLTextAreaElement>(null);
  const colours = useRef<HTMLPreElement>(null);
  const asked = useRef(0);
  const id = useId();
  const [caret, setCaret] = useState(-1);
  const [offer, setOffer] = useState<Offer | null>(null);
  const tokens = useMemo(() => tokenise(value), [value]);
  const brackets = useMemo(() => (caret < 0 ? null : matchingBrackets(tokens, caret)), [tokens, caret]);

  useEffect(() => {
    if (autoFocus) area.current?.focus();
  }, []);

  function close() {
    asked.current++;
    setOffer(null);
  }

  /** Offers what may stand at the caret; unasked only where a word has begun. */
  async function suggest(explicit: boolean) {
    const { value: text, selectionStart: at, selectionEnd } = area.current!;
    const request = ++asked.current;
    const place = at === selectionEnd ? placeOf(text, at) : null;
    const old = text.trim() === '' ? history().map(asItem) : [];
    const begun = place !== null && (place.word !== '' || place.kind === 'value' || place.kind === 'label');
    if (!place || !(begun || explicit)) return setOffer(null);
    const items = old.length > 0 ? old : await complete(place, source).catch(() => []);
    if (request !== asked.current) return;
    const only = items.length === 1 && items[0]!.label === place.word;
    if (items.length === 0 || (only && !explicit)) return setOffer(null);
    setOffer({ place, items, moved: false, chosen: 0, ...below(colours.current!, place.start) });
  }

  function accept(item: Item) {
    const place = offer!.place;
    const whole = item.kind === 'query';
    area.current!.setSelectionRange(whole ? 0 : place.start, whole ? value.length : place.end);
    // A call before a bracket that is there already needs none of its own.
    const called = item.insert.endsWith('()') && value[place.end] === '(';
    type(area.current!, called ? item.insert.slice(0, -2) : item.insert);
    const at = area.current!.selectionEnd + (called ? 1 : -item.back);
    area.current!.setSelectionRange(at, at);
    setCaret(at);
    close();
    if (item.again) void suggest(false);
  }

  function onKeyDown(event: KeyboardEvent) {
    const open = offer !== null;
    const handled = () => {
      event.preventDefault();
      event.stopPropagation();
    };
    if (event.isComposing) return;
    if (event.key === ' ' && event.ctrlKey) return (handled(), void suggest(true));
    if (open && (event.key === 'ArrowDown' || event.key === 'ArrowUp')) {
      const step = event.key === 'ArrowDown' ? 1 : -1;
      const count = offer.items.length;
      const chosen = offer.moved || step < 0 ? (offer.chosen + step + count) % count : Math.min(1, count - 1);
      return (handled(), setOffer({ ...offer, moved: true, chosen }));
    }
    if (event.key === 'ArrowDown' && value.trim() === '') return (handled(), void suggest(true));
    if (open && event.key === 'Escape') return (handled(), close());
    if (open && (event.key === 'Tab' || (event.key === 'Enter' && offer.moved)) && !event.shiftKey) {
      return (handled(), accept(offer.items[offer.chosen]!));
    }
    if (event.key === 'Enter' && !event.shiftKey) return (handled(), close(), onRun());
    if (!event.ctrlKey && !event.metaKey && !event.altKey && closeBracket(area.current!, event.key, type)) handled();
  }

  function onInput() {
    onChange(area.current!.value);
    setCaret(area.current!.selectionEnd);
    void suggest(false);
  }

  function onSelect() {
    const at = area.current!.selectionEnd;
    setCaret(at);
    if (offer && (at < offer.place.start || at > offer.place.end + 1)) close();
  }

  return (
    <div class="editor">
      <Coloured element={colours} text={value} tokens={tokens} brackets={brackets} mark={mark} />
      <textarea
        ref={area}
        value={value}
        rows={1}
        spellcheck={false}
        autocomplete="off"
        autocapitalize="off"
        {...{ autocorrect: 'off' }}
        placeholder="PromQL query"
        aria-label={label}
        aria-invalid={mark !== null}
        aria-autocomplete="list"
        aria-controls={offer ? `${id}-list` : undefined}
        aria-activedescendant={offer ? `${id}-${offer.chosen}` : undefined}
        onKeyDown={onKeyDown}
        onInput={onInput}
        onSelect={onSelect}
        onBlur={() => (setCaret(-1), close())}
      />
      {offer && (
        <Popup
          id={id}
          items={offer.items}
          chosen={offer.chosen}
          moved={offer.moved}
          left={offer.left}
          top={offer.top}
          onPick={accept}
        />
      )}
    </div>
  );
}

function asItem(query: string): Item {
  return { label: query.replace(/\s+/g, ' '), kind: 'query', detail: '', insert: query, back: 0 };
}

/** Replaces the selection as if it were typed: it can be undone. */
function type(area: HTMLTextAreaElement, text: string) {
  area.focus();
  // The modern ways to set text forget the undo history; this one is old, and everywhere.
  const typed = document.execCommand(text === '' ? 'delete' : 'insertText', false, text);
  if (!typed) {
    area.setRangeText(text, area.selectionStart, area.selectionEnd, 'end');
    area.dispatchEvent(new InputEvent('input', { bubbles: true }));
  }
}

/** Where a list for the word that starts at `offset` belongs, within the editor. */
function below(colours: HTMLElement, offset: number): { left: number; top: number } {
  const frame = colours.getBoundingClientRect();
  const walker = document.createTreeWalker(colours, NodeFilter.SHOW_TEXT);
  let left = offset;
  for (let node = walker.nextNode() as Text | null; node; node = walker.nextNode() as Text | null) {
    if (left <= node.length) {
      const range = document.createRange();
      range.setStart(node, left);
      range.setEnd(node, left);
      const place = range.getBoundingClientRect();
      if (place.height > 0) return { left: place.left - frame.left, top: place.bottom - frame.top };
    }
    left -= Math.min(left, node.length);
  }
  return { left: 12, top: frame.height };
}
