// An answer as lines on a canvas, with a cross-hair and a legend.

import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
import uPlot from 'uplot';
import type { Series } from '../api';
import { formatTime } from '../time';
import { Legend } from './legend';
import { plotData, plotOptions } from './plot';
import type { Result } from './run';
import { colour, columns, formatValue, shortName, splitLabels } from './series';
import { CommonLabels } from './table';

interface Props {
  series: Series[];
  result: Result;
  stacked: boolean;
  utc: boolean;
  dark: boolean;
  onSelect: (startMs: number, endMs: number) => void;
}

/** More lines than this nobody tells apart; the table and the copies have all. */
const MAX_LINES = 500;

interface Hover {
  point: number;
  series: number | null;
  left: number;
  top: number;
}

export function Graph({ series, result, stacked, utc, dark, onSelect }: Props) {
  const frame = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const [hover, setHover] = useState<Hover | null>(null);
  const lines = useMemo(() => series.filter(({ values }) => values !== undefined).slice(0, MAX_LINES), [series]);
  const data = useMemo(() => columns(lines, result.startMs, result.endMs, result.stepMs), [lines]);
  const { common, varying } = useMemo(() => splitLabels(lines.map(({ metric }) => metric)), [lines]);
  const names = useMemo(() => lines.map(({ metric }) => shortName(metric, varying)), [lines]);
  const [shown, setShown] = useState<boolean[]>([]);
  const visible = shown.length === lines.length ? shown : lines.map(() => true);
  const select = useRef(onSelect);
  select.current = onSelect;

  // What is hidden stays so while the series are the same ones.
  const identity = names.join('\n');
  useEffect(() => setShown((old) => (old.length === 0 ? old : [])), [identity]);

  useLayoutEffect(() => {
    const look = { dark, utc, stacked, shown: visible };
    const size = () => ({ width: frame.current!.clientWidth, height: frame.current!.clientHeight });
    const drawn = new uPlot(
      plotOptions(data, look, size(), {
        onHover: (point, series, left, top) => setHover(point === null ? null : { point, series, left, top }),
        onSelect: (start, end) => select.current(Math.floor(start) * 1000, Math.ceil(end) * 1000),
      }),
      plotData(data, look),
      frame.current!,
    );
    plot.current = drawn;
    const resized = new ResizeObserver(() => drawn.setSize(size()));
    resized.observe(frame.current!);
    return () => {
      resized.disconnect();
      drawn.destroy();
      plot.current = null;
      setHover(null);
    };
  }, [data, dark, utc, stacked, shown]);

  const focus = (index: number | null) => plot.current?.setSeries(index === null ? null : index + 1, { focus: true });
  const left = series.length - lines.length;
  return (
    <>
      {Object.keys(common).length > 0 && lines.length > 1 && <CommonLabels labels={common} alone={false} />}
      {left > 0 && (
        <p class="notice info">
          <strong>Not drawn</strong> {left} series: native histograms, or more than {MAX_LINES} lines. The table has
          them.
        </p>
      )}
      <div class="graph" ref={frame} role="img" aria-label={`Graph of ${lines.length} series`}>
        {hover && (
          <Tooltip hover={hover} time={data.times[hover.point]!} {...{ utc, dark, names, values: data.values }} />
        )}
      </div>
      <Legend
        names={names}
        colours={lines.map((_, index) => colour(index, dark))}
        values={data.values.map((column) => (hover ? column[hover.point] : lastOf(column)))}
        shown={visible}
        hovered={hover?.series ?? null}
        onShow={setShown}
        onFocus={focus}
      />
    </>
  );
}

function lastOf(column: (number | null)[]): number | null {
  return column.findLast((value) => value !== null) ?? null;
}

interface TooltipProps {
  hover: Hover;
  time: number;
  utc: boolean;
  dark: boolean;
  names: string[];
  values: (number | null)[][];
}

/** The time at the cursor, and the series nearest to it. */
function Tooltip({ hover, time, utc, dark, names, values }: TooltipProps) {
  const box = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    const over = box.current!.parentElement!.querySelector('.u-over') as HTMLElement;
    const width = box.current!.offsetWidth;
    const x = over.offsetLeft + hover.left;
    const fits = hover.left + width + 16 < over.clientWidth;
    box.current!.style.left = `${Math.max(0, fits ? x + 14 : x - width - 14)}px`;
    box.current!.style.top = `${Math.max(0, over.offsetTop + hover.top - box.current!.offsetHeight - 10)}px`;
  });
  return (
    <div class="tooltip" ref={box}>
      <time>{formatTime(Math.round(time * 1000), utc)}</time>
      {hover.series !== null && (
        <div>
          <i style={{ background: colour(hover.series, dark) }} />
          <b>{formatValue(values[hover.series]?.[hover.point], 6)}</b>
          <code>{names[hover.series]}</code>
        </div>
      )}
    </div>
  );
}
