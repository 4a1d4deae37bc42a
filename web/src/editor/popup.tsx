import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import type { Item } from '../promql/complete';

interface Props {
  id: string;
  items: Item[];
  chosen: number;
  moved: boolean;
  left: number;
  top: number;
  onPick: (item: Item) => void;
}

const MARKS: Record<Item['kind'], string> = {
  metric: 'm',
  function: 'ƒ',
  aggregation: 'Σ',
  keyword: 'k',
  label: 'l',
  value: '"',
  duration: 't',
  query: '↺',
};

/** The list of what may come next. */
export function Popup({ id, items, chosen, moved, left, top, onPick }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const [shift, setShift] = useState(0);
  useLayoutEffect(() => {
    const { right } = box.current!.getBoundingClientRect();
    const over = right + shift - (document.documentElement.clientWidth - 8);
    setShift(Math.max(0, over));
  }, [left, items]);
  useLayoutEffect(() => {
    box.current!.querySelector('[aria-selected=true]')?.scrollIntoView({ block: 'nearest' });
  }, [chosen, items]);
  return (
    <div class="popup" ref={box} style={{ left: `${left - shift}px`, top: `${top + 10}px` }}>
      <ul id={`${id}-list`} role="listbox" aria-label="Completions">
        {items.map((item, index) => (
          <li
            id={`${id}-${index}`}
            role="option"
            aria-selected={index === chosen}
            class={index === chosen && moved ? 'moved' : ''}
            // Not a click: the editor must not lose the focus.
            onMouseDown={(event) => (event.preventDefault(), onPick(item))}
          >
            <span class={`mark k-${item.kind}`}>{MARKS[item.kind]}</span>
            <span class="name">{withHits(item)}</span>
            <span class="detail">{item.detail}</span>
          </li>
        ))}
      </ul>
      <footer>
        <kbd>Tab</kbd> take <kbd>↑</kbd>
        <kbd>↓</kbd> choose <kbd>Enter</kbd> {moved ? 'take' : 'run'}
      </footer>
    </div>
  );
}

function withHits({ label, hits }: Item) {
  if (!hits) return label;
  const typed = new Set(hits);
  return Array.from(label, (character, index) => (typed.has(index) ? <b>{character}</b> : character));
}
