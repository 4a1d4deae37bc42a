// One query, and what it gives.

import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { ApiError, get, isAbort } from '../api';
import { Editor } from '../editor/editor';
import { errorMark } from '../promql/position';
import { serverSource } from '../promql/source';
import { history, remember } from '../settings';
import type { PanelState } from '../url';
import { Failed, Hint, Shown, type Failure } from './answer';
import { Controls } from './controls';
import { run, tooMany, type Result } from './run';

interface Props {
  panel: PanelState;
  /** Which of the panels it is, from 0. */
  index: number;
  utc: boolean;
  dark: boolean;
  /** Changes when the address was changed from outside, and all panels are to run again. */
  generation: number;
  onChange: (panel: PanelState, settled: boolean) => void;
  onRemove?: (() => void) | undefined;
}

export function Panel({ panel, index, utc, dark, generation, onChange, onRemove }: Props) {
  const [result, setResult] = useState<Result | null>(null);
  const [failure, setFailure] = useState<Failure | null>(null);
  const [running, setRunning] = useState(false);
  const current = useRef<AbortController | null>(null);
  const mark = useMemo(
    () => (failure?.query === panel.expr ? errorMark(panel.expr, failure.message) : null),
    [failure, panel.expr],
  );

  async function start(asked: PanelState) {
    current.current?.abort();
    if (asked.expr.trim() === '') return;
    const refused = tooMany(asked);
    if (refused) return setFailure({ message: refused, kind: 'bad_data', query: asked.expr });
    const controller = new AbortController();
    current.current = controller;
    setRunning(true);
    try {
      const next = await run(asked, controller.signal);
      setResult(next);
      setFailure(null);
      remember(asked.expr);
    } catch (error) {
      if (!isAbort(error)) fail(error, asked.expr);
    } finally {
      if (current.current === controller) setRunning(false);
    }
  }

  /** A change that is seen at once; only the text waits for Enter. */
  function change(changes: Partial<PanelState>) {
    const next = { ...panel, ...changes };
    onChange(next, true);
    const same = (Object.keys(changes) as (keyof PanelState)[]).every((name) => name === 'stacked');
    if (!same) void start(next);
  }

  /** Has the server lay out the query; what it refuses is shown as if it were run. */
  async function format() {
    try {
      const { data } = await get<string>('format_query', { query: panel.expr });
      onChange({ ...panel, expr: data }, false);
      setFailure(null);
    } catch (error) {
      fail(error, panel.expr);
    }
  }

  function fail(error: unknown, query: string) {
    const { kind, message } = error instanceof ApiError ? error : new ApiError('error', String(error));
    setFailure({ message, kind, query });
  }

  function submit() {
    onChange(panel, true);
    void start(panel);
  }

  useEffect(() => {
    void start(panel);
    return () => current.current?.abort();
  }, [generation]);

  return (
    <section class="panel" aria-label={`Query ${index + 1}`}>
      <div class="query">
        <Editor
          value={panel.expr}
          label={`Query ${index + 1}`}
          mark={mark}
          source={serverSource}
          history={history}
          autoFocus={index === 0}
          onChange={(expr) => onChange({ ...panel, expr }, false)}
          onRun={submit}
        />
        {running ? (
          <button class="run" onClick={() => current.current?.abort()} title="Stop the query">
            Stop
          </button>
        ) : (
          <button class="run" onClick={submit} title="Run the query (Enter)">
            Run
          </button>
        )}
        <button class="plain wide" onClick={format} disabled={panel.expr.trim() === ''} title="Lay out the query">
          Format
        </button>
        {onRemove && (
          <button class="plain" onClick={onRemove} aria-label="Remove this query" title="Remove this query">
            ✕
          </button>
        )}
      </div>
      {failure && <Failed failure={failure} />}
      <Controls panel={panel} utc={utc} onChange={change} />
      <div class={`result ${running ? 'running' : ''} ${failure ? 'stale' : ''}`} aria-busy={running}>
        {result ? <Shown result={result} panel={panel} utc={utc} dark={dark} onChange={change} /> : <Hint />}
      </div>
    </section>
  );
}
