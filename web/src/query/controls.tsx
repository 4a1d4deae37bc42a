// What a query is asked with: view, range, end, step, and how the servers behind are to answer.

import { useEffect, useRef, useState } from 'preact/hooks';
import { autoStep, formatDuration, formatTime, neighbourRange, parseDuration, parseTime, RANGES } from '../time';
import { RESOLUTIONS, type PanelState } from '../url';

interface Props {
  panel: PanelState;
  utc: boolean;
  onChange: (changes: Partial<PanelState>) => void;
}

const RESOLUTION_NAMES: Record<string, string> = { auto: 'auto', '0s': 'raw', '5m': '5 min', '1h': '1 hour' };

export function Controls({ panel, utc, onChange }: Props) {
  const graph = panel.view === 'graph';
  return (
    <div class="controls">
      <div class="segmented" role="group" aria-label="View">
        <button aria-pressed={graph} onClick={() => onChange({ view: 'graph' })}>
          Graph
        </button>
        <button aria-pressed={!graph} onClick={() => onChange({ view: 'table' })}>
          Table
        </button>
      </div>
      {graph && <Range panel={panel} onChange={onChange} />}
      <End panel={panel} utc={utc} onChange={onChange} />
      {graph && (
        <Field
          label="Step"
          width={8}
          text={panel.stepMs === null ? '' : formatDuration(panel.stepMs)}
          placeholder={`auto ${formatDuration(autoStep(panel.rangeMs))}`}
          read={(text) => (text === '' ? { stepMs: null } : parsed(parseDuration(text), (stepMs) => ({ stepMs })))}
          hint="A duration such as 30s or 5m; empty for what suits the range"
          onChange={onChange}
        />
      )}
      <div class="switches">
        {graph && (
          <Switch
            label="Stacked"
            on={panel.stacked}
            hint="Draw series on top of each other"
            onSet={(stacked) => onChange({ stacked })}
          />
        )}
        <Switch
          label="Deduplicate"
          on={panel.dedup}
          hint="Merge the series of replicas"
          onSet={(dedup) => onChange({ dedup })}
        />
        <Switch
          label="Partial response"
          on={panel.partial}
          hint="Answer, with a warning, when a store cannot"
          onSet={(partial) => onChange({ partial })}
        />
        <label class="field" title="The coarsest downsampled data that may be used">
          <span>Resolution</span>
          <select value={panel.resolution} onChange={(event) => onChange({ resolution: event.currentTarget.value })}>
            {RESOLUTIONS.map((value) => (
              <option value={value}>{RESOLUTION_NAMES[value]}</option>
            ))}
          </select>
        </label>
      </div>
    </div>
  );
}

function Range({ panel, onChange }: Omit<Props, 'utc'>) {
  const go = (direction: -1 | 1) => onChange({ rangeMs: neighbourRange(panel.rangeMs, direction) });
  return (
    <div class="joined">
      <button onClick={() => go(-1)} aria-label="Shorter range" title="Shorter range">
        −
      </button>
      <Field
        label="Range"
        width={4}
        text={formatDuration(panel.rangeMs)}
        options={RANGES}
        read={(text) => parsed(parseDuration(text), (rangeMs) => ({ rangeMs }))}
        hint="A duration such as 90m or 2d"
        onChange={onChange}
      />
      <button onClick={() => go(1)} aria-label="Longer range" title="Longer range">
        +
      </button>
    </div>
  );
}

/** The end of the range; the buttons move it by half of one. */
function End({ panel, utc, onChange }: Props) {
  const move = (direction: -1 | 1) => {
    const endMs = (panel.endMs ?? Date.now()) + (direction * panel.rangeMs) / 2;
    const rounded = Math.floor(endMs / 1000) * 1000;
    onChange({ endMs: rounded >= Date.now() ? null : rounded });
  };
  return (
    <div class="joined">
      <button onClick={() => move(-1)} aria-label="Earlier" title="Earlier, by half the range">
        ‹
      </button>
      <Field
        label={panel.view === 'graph' ? 'End' : 'Time'}
        width={6}
        text={panel.endMs === null ? '' : formatTime(panel.endMs, utc)}
        placeholder="now"
        read={(text) =>
          text === '' || text === 'now' ? { endMs: null } : parsed(parseTime(text, utc), (endMs) => ({ endMs }))
        }
        hint={`${utc ? 'UTC' : 'Local time'}, such as 2026-01-31 18:00; empty for now`}
        onChange={onChange}
      />
      <Calendar endMs={panel.endMs} utc={utc} onPick={(endMs) => onChange({ endMs })} />
      {panel.endMs !== null && (
        <button onClick={() => onChange({ endMs: null })} aria-label="Now" title="Back to now">
          now
        </button>
      )}
      <button
        onClick={() => move(1)}
        disabled={panel.endMs === null}
        aria-label="Later"
        title="Later, by half the range"
      >
        ›
      </button>
    </div>
  );
}

/** The browser's own way to choose a day and a time, behind a button. */
function Calendar({ endMs, utc, onPick }: { endMs: number | null; utc: boolean; onPick: (ms: number) => void }) {
  const input = useRef<HTMLInputElement>(null);
  return (
    <>
      <input
        ref={input}
        class="native"
        type="datetime-local"
        step="1"
        tabIndex={-1}
        aria-hidden="true"
        value={formatTime(endMs ?? Math.floor(Date.now() / 1000) * 1000, utc).replace(' ', 'T')}
        onChange={(event) => {
          const ms = parseTime(event.currentTarget.value, utc);
          if (ms !== null) onPick(ms);
        }}
      />
      <button onClick={() => input.current?.showPicker()} aria-label="Choose a time" title="Choose a time">
        ▾
      </button>
    </>
  );
}

function parsed<T>(value: T | null, changes: (value: T) => Partial<PanelState>): Partial<PanelState> | null {
  return value === null ? null : changes(value);
}

interface FieldProps {
  label: string;
  /** The least one, in characters: it grows with the text. */
  width: number;
  text: string;
  placeholder?: string;
  options?: string[];
  hint: string;
  /** What a text means; null where it means nothing. */
  read: (text: string) => Partial<PanelState> | null;
  onChange: (changes: Partial<PanelState>) => void;
}

/** A text field that takes effect on Enter, or when it is left; some have a list to choose from. */
function Field({ label, width, text, placeholder, options, hint, read, onChange }: FieldProps) {
  const [typed, setTyped] = useState(text);
  const [open, setOpen] = useState(false);
  useEffect(() => setTyped(text), [text]);
  const wrong = read(typed.trim()) === null;
  const commit = (value: string) => {
    const changes = read(value.trim());
    setOpen(false);
    if (changes === null) setTyped(text);
    else if (value.trim() !== text) onChange(changes);
  };
  return (
    <label class="field" title={hint}>
      <span>{label}</span>
      <input
        value={typed}
        style={{ minWidth: `${width}ch` }}
        placeholder={placeholder}
        aria-invalid={wrong}
        spellcheck={false}
        autocomplete="off"
        onFocus={(event) => (event.currentTarget.select(), setOpen(true))}
        onInput={(event) => setTyped(event.currentTarget.value)}
        onBlur={(event) => commit(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === 'Enter') commit(event.currentTarget.value);
          if (event.key === 'Escape') (setTyped(text), setOpen(false));
        }}
      />
      {options && open && (
        <span class="choices" role="group" aria-label={`${label}, suggestions`}>
          {options.map((value) => (
            <button
              tabIndex={-1}
              class={value === text ? 'chosen' : ''}
              // Not a click: leaving the field would close the list before it.
              onMouseDown={(event) => (event.preventDefault(), setTyped(value), commit(value))}
            >
              {value}
            </button>
          ))}
        </span>
      )}
    </label>
  );
}

function Switch({
  label,
  on,
  hint,
  onSet,
}: {
  label: string;
  on: boolean;
  hint: string;
  onSet: (on: boolean) => void;
}) {
  return (
    <label class="switch" title={hint}>
      <input type="checkbox" role="switch" checked={on} onChange={(event) => onSet(event.currentTarget.checked)} />
      <span>{label}</span>
    </label>
  );
}
