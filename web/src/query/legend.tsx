import { useState } from 'preact/hooks';
import { formatValue } from './series';

interface Props {
  names: string[];
  colours: string[];
  /** At the cursor, else the last ones. */
  values: (number | null | undefined)[];
  shown: boolean[];
  hovered: number | null;
  onShow: (shown: boolean[]) => void;
  onFocus: (index: number | null) => void;
}

/** Rows before a button shows the others. */
const PAGE = 40;

/** The names of the lines. A click shows one line alone, and all again; with Ctrl it hides or shows one. */
export function Legend({ names, colours, values, shown, hovered, onShow, onFocus }: Props) {
  const [all, setAll] = useState(false);
  const click = (index: number, toggle: boolean) => {
    const alone = shown.every((on, at) => on === (at === index));
    if (toggle) onShow(shown.map((on, at) => (at === index ? !on : on)));
    else onShow(shown.map((_, at) => alone || at === index));
  };
  return (
    <>
      <ul class="legend" onMouseLeave={() => onFocus(null)}>
        {names.slice(0, all ? undefined : PAGE).map((name, index) => (
          <li>
            <button
              aria-pressed={shown[index]}
              class={index === hovered ? 'hovered' : ''}
              title={`${name}\nClick: this one alone. Ctrl+click: hide or show.`}
              onClick={(event) => click(index, event.ctrlKey || event.metaKey)}
              onMouseEnter={() => onFocus(index)}
              onFocus={() => onFocus(index)}
              onBlur={() => onFocus(null)}
            >
              <i style={{ background: shown[index] ? colours[index] : 'transparent', borderColor: colours[index] }} />
              <span class="name">{name}</span>
              <span class="number">{formatValue(values[index])}</span>
            </button>
          </li>
        ))}
      </ul>
      {names.length > PAGE && !all && (
        <button class="link more" onClick={() => setAll(true)}>
          {PAGE} of {names.length}: show all
        </button>
      )}
    </>
  );
}
