// What a panel shows, as the address of the page says it. The parameters are those of Prometheus and Thanos, so that
// links from alerts, dashboards and chats keep working, in both directions.

import { formatDuration, formatTime, parseDuration, parseTime } from './time';

/** Everything that a panel's answer depends on. */
export interface PanelState {
  expr: string;
  view: 'graph' | 'table';
  rangeMs: number;
  /** The end of the range, and the time of the table; null is now. */
  endMs: number | null;
  /** Null is as the range asks for. */
  stepMs: number | null;
  stacked: boolean;
  dedup: boolean;
  partial: boolean;
  /** A duration, `0s` for raw samples, or `auto`. */
  resolution: string;
}

export const RESOLUTIONS = ['auto', '0s', '5m', '1h'];

/** More panels than this are not read from an address. */
const MAX_PANELS = 20;

export function newPanel(expr = ''): PanelState {
  return {
    expr,
    view: 'graph',
    rangeMs: 3_600_000,
    endMs: null,
    stepMs: null,
    stacked: false,
    dedup: true,
    partial: true,
    resolution: 'auto',
  };
}

/** The panels of an address; one empty panel where there are none. */
export function readPanels(search: string): PanelState[] {
  const params = new URLSearchParams(search);
  const panels: PanelState[] = [];
  while (panels.length < MAX_PANELS && params.has(`g${panels.length}.expr`)) {
    panels.push(readPanel(params, `g${panels.length}.`));
  }
  return panels.length > 0 ? panels : [newPanel()];
}

function readPanel(params: URLSearchParams, prefix: string): PanelState {
  const get = (name: string) => params.get(prefix + name);
  const flag = (name: string, otherwise: boolean) => {
    const value = get(name);
    return value === null ? otherwise : value !== '0' && value !== 'false';
  };
  const tab = get('tab');
  const end = get('end_input') ?? get('moment_input');
  const resolution = get('max_source_resolution');
  const start = newPanel(get('expr') ?? '');
  return {
    ...start,
    view: tab === '1' || tab === 'table' ? 'table' : 'graph',
    rangeMs: parseDuration(get('range_input') ?? '') ?? start.rangeMs,
    endMs: end ? parseTime(end, true) : null,
    stepMs: parseDuration(get('step_input') ?? ''),
    stacked: flag('stacked', start.stacked),
    dedup: flag('deduplicate', start.dedup),
    partial: flag('partial_response', start.partial),
    resolution: resolution && RESOLUTIONS.includes(resolution) ? resolution : start.resolution,
  };
}

/** The reverse of `readPanels`, with what differs from a new panel only; empty for one empty panel. */
export function writePanels(panels: PanelState[]): string {
  const params = new URLSearchParams();
  const start = newPanel();
  if (panels.length === 1 && panels[0]!.expr === '') return '';
  panels.forEach((panel, index) => {
    const set = (name: string, value: string) => params.set(`g${index}.${name}`, value);
    set('expr', panel.expr);
    set('tab', panel.view === 'graph' ? '0' : '1');
    if (panel.view === 'graph' || panel.rangeMs !== start.rangeMs) set('range_input', formatDuration(panel.rangeMs));
    if (panel.endMs !== null) set('end_input', formatTime(panel.endMs, true));
    if (panel.stepMs !== null) set('step_input', String(panel.stepMs / 1000));
    if (panel.stacked) set('stacked', '1');
    if (!panel.dedup) set('deduplicate', '0');
    if (!panel.partial) set('partial_response', '0');
    if (panel.resolution !== start.resolution) set('max_source_resolution', panel.resolution);
  });
  return `?${params}`;
}
