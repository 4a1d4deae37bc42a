// One query, and what it gives.

import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { ApiError, isAbort } from '../api';
import { Editor } from '../editor/editor';
import { errorMark, splitMessage } from '../promql/position';
import { serverSource } from '../promql/source';
import { history, remember } from '../settings';
import type { PanelState } from '../url';
import { Controls } from './controls';
import { Copy } from './copy';
import { Graph } from './graph';
import { run, seriesOf, tooMany, type Result } from './run';
import { Table } from './table';

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

interface Failure {
  message: string;
  kind: string;
  query: string;
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
    if (refused) return setFailure({ message: refused, kind: 'step', query: asked.expr });
    const controller = new AbortController();
    current.current = controller;
    setRunning(true);
    try {
      const next = await run(asked, controller.signal);
      setResult(next);
      setFailure(null);
      remember(asked.expr);
    } catch (error) {
      if (isAbort(error)) return;
      const { kind, message } = error instanceof ApiError ? error : new ApiError('error', String(error));
      setFailure({ message, kind, query: asked.expr });
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

function Failed({ failure }: { failure: Failure }) {
  const { place, text } = splitMessage(failure.message);
  return (
    <p class="notice error" role="alert">
      <strong>{place === '' ? 'Error' : `Parse error at ${place}`}</strong> {text}
    </p>
  );
}

interface ShownProps {
  result: Result;
  panel: PanelState;
  utc: boolean;
  dark: boolean;
  onChange: (changes: Partial<PanelState>) => void;
}

function Shown({ result, panel, utc, dark, onChange }: ShownProps) {
  const { data, warnings, infos } = result.answer;
  const series = useMemo(() => seriesOf(data), [data]);
  const graph = result.asked.view === 'graph';
  return (
    <>
      {warnings.map((text) => (
        <p class="notice warning">
          <strong>Warning</strong> {text}
        </p>
      ))}
      {infos.map((text) => (
        <p class="notice info">
          <strong>Info</strong> {text}
        </p>
      ))}
      {series.length === 0 ? (
        <p class="empty">The query gives no series {graph ? 'in this range' : 'at this time'}.</p>
      ) : graph ? (
        <Graph
          series={series}
          result={result}
          stacked={panel.stacked}
          utc={utc}
          dark={dark}
          onSelect={(startMs, endMs) => onChange({ rangeMs: endMs - startMs, endMs })}
        />
      ) : (
        <Table series={series} type={data.resultType} utc={utc} />
      )}
      <p class="facts">
        <span>
          {series.length} series
        </span>
        <span>{Math.round(result.took)} ms</span>
        <Copy series={series} data={data} />
      </p>
    </>
  );
}

function Hint() {
  return (
    <p class="empty">
      Type a query and press <kbd>Enter</kbd>. <kbd>Shift</kbd>+<kbd>Enter</kbd> starts a new line,{' '}
      <kbd>Ctrl</kbd>+<kbd>Space</kbd> shows what may come next, <kbd>↓</kbd> in an empty editor the last
      queries, <kbd>/</kbd> goes to the editor.
    </p>
  );
}
