// What the drawing library is told: axes, lines, cursor. It draws on a canvas, so colours are given, not inherited.

import uPlot from 'uplot';
import { formatTime } from '../time';
import { colour, formatAxis, stack, type Columns } from './series';

export interface Look {
  dark: boolean;
  utc: boolean;
  stacked: boolean;
  /** Which series are shown. */
  shown: boolean[];
}

export interface Events {
  /** The cursor is at a point, and nearest to a series there; null where it is not on the graph. */
  onHover: (point: number | null, series: number | null, left: number, top: number) => void;
  /** A range was chosen, seconds. */
  onSelect: (start: number, end: number) => void;
}

const FONT = '12px system-ui, sans-serif';

export function plotData({ times, values }: Columns, { stacked, shown }: Look): uPlot.AlignedData {
  return [times, ...(stacked ? stack(values, shown) : values)] as uPlot.AlignedData;
}

export function plotOptions(
  columns: Columns,
  look: Look,
  size: { width: number; height: number },
  events: Events,
): uPlot.Options {
  const ink = look.dark ? '#9aa0a8' : '#6b6f76';
  const grid = { stroke: look.dark ? '#2b2e33' : '#e9e7e4', width: 1 };
  const axis = { stroke: ink, grid, ticks: { ...grid, size: 5 }, font: FONT };
  return {
    ...size,
    padding: [12, 30, 0, 0],
    legend: { show: false },
    tzDate: (seconds) => (look.utc ? uPlot.tzDate(new Date(seconds * 1000), 'Etc/UTC') : new Date(seconds * 1000)),
    scales: { x: { time: true, range: (_, min, max) => (min === max ? [min - 30, max + 30] : [min, max]) } },
    axes: [
      { ...axis, space: 70, size: labelHeight, values: timeLabels(look.utc) },
      { ...axis, size: labelWidth, values: (_, splits) => formatAxis(splits) },
    ],
    cursor: {
      drag: { x: true, y: false, setScale: false },
      focus: { prox: 24 },
      points: { size: 7, width: 2 },
    },
    focus: { alpha: 0.25 },
    bands: look.stacked ? bands(look.shown) : [],
    series: [{}, ...columns.values.map((_, index) => line(columns, look, index))],
    hooks: {
      setCursor: [(plot) => hovered(plot, events)],
      setSelect: [
        (plot) => {
          const { left, width } = plot.select;
          if (width < 4) return;
          const [start, end] = [plot.posToVal(left, 'x'), plot.posToVal(left + width, 'x')];
          plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
          events.onSelect(start, end);
        },
      ],
    },
  };
}

/** Each stacked series is filled down to the one below it. */
function bands(shown: boolean[]): uPlot.Band[] {
  const on = shown.flatMap((is, index) => (is ? [index + 1] : []));
  return on.slice(1).map((upper, index) => ({ series: [upper, on[index]!] }));
}

function line(columns: Columns, look: Look, index: number): uPlot.Series {
  const stroke = colour(index, look.dark);
  const lone = columns.lone[index]!;
  return {
    stroke,
    width: 1.5,
    show: look.shown[index] ?? true,
    fill: look.stacked ? `${stroke}70` : undefined,
    points: { show: false, size: 4, fill: stroke, filter: () => (lone.length > 0 ? lone : null) },
  } as uPlot.Series;
}

function hovered(plot: uPlot, events: Events) {
  const { idx, left = -1, top = -1 } = plot.cursor;
  if (left < 0 || idx === null || idx === undefined) return events.onHover(null, null, 0, 0);
  events.onHover(idx, nearest(plot, idx, top), left, top);
}

/** The shown series whose line is closest to a height, in pixels, at a point. */
function nearest(plot: uPlot, point: number, top: number): number | null {
  let best: number | null = null;
  let distance = Infinity;
  for (let index = 1; index < plot.series.length; index++) {
    const value = plot.data[index]![point];
    if (!plot.series[index]!.show || value === null || value === undefined) continue;
    const away = Math.abs(plot.valToPos(value, 'y') - top);
    if (away < distance) [best, distance] = [index - 1, away];
  }
  return best;
}

/** Labels have two lines where a date is among them. */
function labelHeight(_: uPlot, labels: string[] | null): number {
  return labels?.some((label) => label.includes('\n')) ? 46 : 30;
}

/** As wide as the widest label; the library asks again when these change. */
function labelWidth(_: uPlot, labels: string[] | null): number {
  const longest = Math.max(...(labels ?? []).map((label) => label.length), 3);
  return 22 + longest * 7;
}

/** Times of day; the date where it changes. */
function timeLabels(utc: boolean) {
  return (_: uPlot, splits: number[], __: number, ___: number, step: number): string[] => {
    let day = '';
    return splits.map((seconds) => {
      const [date = '', time = ''] = formatTime(Math.round(seconds * 1000), utc).split(' ');
      const clock = step < 60 ? time : time.slice(0, 5);
      const fresh = date !== day && (day !== '' || step >= 86_400);
      day = date;
      if (step >= 86_400) return date.slice(5);
      return fresh ? `${clock}\n${date.slice(5)}` : clock;
    });
  };
}
