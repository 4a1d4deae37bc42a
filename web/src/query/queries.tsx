// All panels of the page, kept in its address.

import { useEffect, useRef, useState } from 'preact/hooks';
import { newPanel, readPanels, writePanels, type PanelState } from '../url';
import { Panel } from './panel';

interface Keyed {
  key: number;
  state: PanelState;
}

export function Queries({ utc, dark }: { utc: boolean; dark: boolean }) {
  const nextKey = useRef(0);
  const keyed = (states: PanelState[]): Keyed[] => states.map((state) => ({ key: nextKey.current++, state }));
  const [panels, setPanels] = useState<Keyed[]>(() => keyed(readPanels(location.search)));
  const [generation, setGeneration] = useState(0);

  useEffect(() => {
    const moved = () => {
      setPanels(keyed(readPanels(location.search)));
      setGeneration((count) => count + 1);
    };
    addEventListener('popstate', moved);
    return () => removeEventListener('popstate', moved);
  }, []);

  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      const typing = event.target instanceof Element && event.target.closest('input, textarea, select');
      if (event.key !== '/' || typing || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      document.querySelector<HTMLTextAreaElement>('.editor textarea')?.focus();
    };
    addEventListener('keydown', pressed);
    return () => removeEventListener('keydown', pressed);
  }, []);

  /** A settled change is one that can be gone back from. */
  function replace(next: Keyed[], settled: boolean) {
    setPanels(next);
    if (!settled) return;
    const address = writePanels(next.map(({ state }) => state)) || location.pathname;
    if (address !== location.search) window.history.pushState(null, '', address);
  }

  function change(key: number, state: PanelState, settled: boolean) {
    replace(
      panels.map((panel) => (panel.key === key ? { key, state } : panel)),
      settled,
    );
  }

  function add() {
    const last = panels.at(-1)!.state;
    replace([...panels, ...keyed([{ ...newPanel(), rangeMs: last.rangeMs, endMs: last.endMs }])], true);
  }

  return (
    <>
      {panels.map(({ key, state }, index) => (
        <Panel
          key={key}
          panel={state}
          index={index}
          utc={utc}
          dark={dark}
          generation={generation}
          onChange={(next, settled) => change(key, next, settled)}
          onRemove={
            panels.length > 1
              ? () =>
                  replace(
                    panels.filter((panel) => panel.key !== key),
                    true,
                  )
              : undefined
          }
        />
      ))}
      <button class="plain add" onClick={add}>
        + Add a query
      </button>
    </>
  );
}
