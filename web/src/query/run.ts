// Asks the server what a panel shows.

import { post, type Answer, type QueryData, type Series } from '../api';
import { autoStep, MAX_POINTS } from '../time';
import type { PanelState } from '../url';

/** An answer with what it answers. */
export interface Result {
  asked: PanelState;
  answer: Answer<QueryData>;
  startMs: number;
  endMs: number;
  /** Of a graph. */
  stepMs: number;
  /** How long it took, ms. */
  took: number;
}

/** The step of a panel's graph, whole milliseconds. */
export function stepOf(panel: PanelState): number {
  return panel.stepMs ?? autoStep(panel.rangeMs);
}

/** Whether a panel asks for more points than the API gives; then what to change. */
export function tooMany(panel: PanelState): string | null {
  const points = Math.floor(panel.rangeMs / stepOf(panel));
  if (panel.view === 'table' || points <= MAX_POINTS) return null;
  return `A step this small makes ${points} points; the server gives at most ${MAX_POINTS}. Choose a longer step or a shorter range.`;
}

export async function run(panel: PanelState, signal: AbortSignal): Promise<Result> {
  const begin = performance.now();
  const stepMs = stepOf(panel);
  // On whole steps, so that what is asked again is the same, and caches on the way can answer.
  const endMs = panel.endMs ?? Math.floor(Date.now() / 1000) * 1000;
  const startMs = endMs - panel.rangeMs;
  const options = {
    query: panel.expr,
    dedup: String(panel.dedup),
    partial_response: String(panel.partial),
    max_source_resolution: panel.resolution,
  };
  const seconds = (ms: number) => String(ms / 1000);
  const answer =
    panel.view === 'graph'
      ? await post<QueryData>(
          'query_range',
          { ...options, start: seconds(startMs), end: seconds(endMs), step: seconds(stepMs) },
          signal,
        )
      : await post<QueryData>('query', { ...options, time: seconds(endMs) }, signal);
  return { asked: panel, answer, startMs, endMs, stepMs, took: performance.now() - begin };
}

/** All results as series; a scalar or a string is a series without labels. */
export function seriesOf(data: QueryData): Series[] {
  if (data.resultType === 'vector' || data.resultType === 'matrix') return data.result ?? [];
  return [{ metric: {}, value: data.result }];
}

/** The result as comma-separated values: a row for each sample, with a column for each label. */
export function toCsv(series: Series[]): string {
  const names = [...new Set(series.flatMap(({ metric }) => Object.keys(metric)))].sort();
  const cell = (text: string) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const rows = series.flatMap(({ metric, value, values, histogram, histograms }) => {
    const labels = names.map((name) => cell(metric[name] ?? ''));
    const floats = [...(value ? [value] : []), ...(values ?? [])];
    const others = [...(histogram ? [histogram] : []), ...(histograms ?? [])];
    const samples = [...floats, ...others.map(([time, h]): [number, string] => [time, JSON.stringify(h)])];
    return samples.map(([time, text]) => [...labels, String(time), cell(text)].join(','));
  });
  return [[...names.map(cell), 'timestamp', 'value'].join(','), ...rows].join('\n') + '\n';
}
