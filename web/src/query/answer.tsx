// What a panel shows below its controls: the answer, or why there is none.

import { useMemo } from 'preact/hooks';
import { splitMessage } from '../promql/position';
import type { PanelState } from '../url';
import { Copy } from './copy';
import { Graph } from './graph';
import { seriesOf, type Result } from './run';
import { Table } from './table';

/** Why there is no answer. */
export interface Failure {
  message: string;
  /** The API's type of error, or what stood in the way to it. */
  kind: string;
  /** What was asked: the place of an error is one in this text. */
  query: string;
}

const TITLES: Record<string, string> = {
  bad_data: 'Not understood',
  execution: 'Failed',
  timeout: 'Too slow',
  canceled: 'Cancelled',
  unreachable: 'No connection',
};

export function Failed({ failure }: { failure: Failure }) {
  const { place, text } = splitMessage(failure.message);
  return (
    <p class="notice error" role="alert">
      <strong>{place === '' ? (TITLES[failure.kind] ?? 'Error') : `Parse error at ${place}`}</strong> {text}
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

/** The answer as a graph or a table, with what the server has to say about it. */
export function Shown({ result, panel, utc, dark, onChange }: ShownProps) {
  const { data, warnings, infos } = result.answer;
  const series = useMemo(() => seriesOf(data), [data]);
  const graph = result.asked.view === 'graph';
  return (
    <>
      <Notices kind="warning" title="Warning" texts={warnings} />
      <Notices kind="info" title="Info" texts={infos} />
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
        <span>{series.length} series</span>
        <span>{Math.round(result.took)} ms</span>
        <Copy series={series} data={data} />
      </p>
    </>
  );
}

/** A broken answer may have a warning for each store: these stand for all. */
const MAX_NOTICES = 8;

function Notices({ kind, title, texts }: { kind: string; title: string; texts: string[] }) {
  const left = texts.length - MAX_NOTICES;
  return (
    <>
      {texts.slice(0, MAX_NOTICES).map((text) => (
        <p class={`notice ${kind}`}>
          <strong>{title}</strong> {text}
        </p>
      ))}
      {left > 0 && <p class={`notice ${kind}`}>{left} more of these</p>}
    </>
  );
}

/** Before the first query. */
export function Hint() {
  return (
    <p class="empty">
      Type a query and press <kbd>Enter</kbd>. <kbd>Shift</kbd>+<kbd>Enter</kbd> starts a new line, <kbd>Ctrl</kbd>+
      <kbd>Space</kbd> shows what may come next, <kbd>↓</kbd> in an empty editor the last queries, <kbd>/</kbd> goes to
      the editor.
    </p>
  );
}
