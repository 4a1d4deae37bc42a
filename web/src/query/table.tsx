// An answer as a table: a column for each label that tells series apart, and the value.

import { useMemo, useState } from 'preact/hooks';
import type { Histogram, Point, Series } from '../api';
import { formatTime } from '../time';
import { seriesName, splitLabels, toNumber } from './series';

interface Props {
  series: Series[];
  type: string;
  utc: boolean;
}

/** Rows that are drawn at once; a button shows more. */
const PAGE = 200;

interface Order {
  /** A label, or null for the value. */
  column: string | null;
  descending: boolean;
}

export function Table({ series, type, utc }: Props) {
  const [order, setOrder] = useState<Order | null>(null);
  const [filter, setFilter] = useState('');
  const [shown, setShown] = useState(PAGE);
  const { common, varying } = useMemo(() => splitLabels(series.map(({ metric }) => metric)), [series]);
  const alone = series.length === 1;
  const names = alone ? [] : varying;
  const rows = useMemo(() => arrange(series, filter, order), [series, filter, order]);
  const cycle = (column: string | null) => {
    if (order?.column !== column || order === null) setOrder({ column, descending: column === null });
    else if (order.descending === (column === null)) setOrder({ column, descending: column !== null });
    else setOrder(null);
  };
  const heading = (column: string | null, title: string) => {
    const sorted = order !== null && order.column === column ? (order.descending ? 'descending' : 'ascending') : 'none';
    return (
      <th aria-sort={sorted} class={column === null ? 'value' : ''}>
        <button onClick={() => cycle(column)}>{title}</button>
      </th>
    );
  };
  return (
    <>
      <div class="above">
        {Object.keys(common).length > 0 && <CommonLabels labels={common} alone={alone} />}
        {series.length > 10 && (
          <input
            class="filter"
            type="search"
            placeholder="Filter rows"
            aria-label="Filter rows"
            value={filter}
            onInput={(event) => setFilter(event.currentTarget.value)}
          />
        )}
      </div>
      <div class="scroll">
        <table>
          <thead>
            <tr>
              {names.map((name) => heading(name, name === '__name__' ? 'metric' : name))}
              {heading(null, 'value')}
            </tr>
          </thead>
          <tbody>
            {rows.slice(0, shown).map((row) => (
              <tr>
                {names.map((name) => (
                  <td>{row.metric[name] ?? <span class="absent">–</span>}</td>
                ))}
                <td class="value">
                  <Value series={row} type={type} utc={utc} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {rows.length > shown && (
        <button class="link more" onClick={() => setShown(shown + 5 * PAGE)}>
          {shown} of {rows.length} rows: show more
        </button>
      )}
    </>
  );
}

/** The labels that all series share, said once. */
export function CommonLabels({ labels, alone }: { labels: Record<string, string>; alone: boolean }) {
  return (
    <p class="common">
      {!alone && <span>all </span>}
      <code>{seriesName(labels)}</code>
    </p>
  );
}

function arrange(series: Series[], filter: string, order: Order | null): Series[] {
  const sought = filter.toLowerCase();
  const found =
    sought === '' ? series : series.filter(({ metric }) => seriesName(metric).toLowerCase().includes(sought));
  if (!order) return found;
  const { column, descending } = order;
  const sign = descending ? -1 : 1;
  return found.toSorted((a, b) => {
    if (column !== null)
      return sign * (a.metric[column] ?? '').localeCompare(b.metric[column] ?? '', 'en', { numeric: true });
    const [left, right] = [number(a), number(b)];
    // What is no number comes last in both directions.
    if (Number.isNaN(left) || Number.isNaN(right)) return Number(Number.isNaN(left)) - Number(Number.isNaN(right));
    return sign * (left - right || 0);
  });
}

function number({ value, values, histogram, histograms }: Series): number {
  const text = value?.[1] ?? values?.at(-1)?.[1] ?? histogram?.[1].count ?? histograms?.at(-1)?.[1].count;
  return text === undefined ? NaN : toNumber(text);
}

/** Samples of one series that a cell shows; the copied answer has all. */
const MAX_SAMPLES = 500;

function Value({ series, type, utc }: { series: Series; type: string; utc: boolean }) {
  const { value, values = [], histogram, histograms = [] } = series;
  if (type === 'matrix') {
    const all = [...values, ...histograms].sort((a, b) => a[0] - b[0]);
    return (
      <ol class="samples">
        {all.slice(0, MAX_SAMPLES).map((sample) => (
          <li>
            <Sample sample={sample} /> <time>@ {formatTime(Math.round(sample[0] * 1000), utc)}</time>
          </li>
        ))}
        {all.length > MAX_SAMPLES && <li>… {all.length - MAX_SAMPLES} more</li>}
      </ol>
    );
  }
  return <Sample sample={value ?? histogram} />;
}

function Sample({ sample }: { sample: Point | [number, Histogram] | undefined }) {
  if (!sample) return <span class="absent">–</span>;
  if (typeof sample[1] === 'string') return <>{sample[1]}</>;
  return <NativeHistogram histogram={sample[1]} />;
}

/** A native histogram as bars, one for each bucket. */
function NativeHistogram({ histogram }: { histogram: Histogram }) {
  const buckets = histogram.buckets ?? [];
  const most = Math.max(...buckets.map((bucket) => Number(bucket[3])), 0);
  return (
    <span class="histogram">
      <span>
        count {histogram.count} · sum {histogram.sum}
      </span>
      <span class="bars" role="img" aria-label={`${buckets.length} buckets`}>
        {buckets.map(([bounds, lower, upper, count]) => (
          <i
            style={{ height: `${Math.max(4, (100 * Number(count)) / most)}%` }}
            title={`${bounds & 1 ? '[' : '('}${lower}, ${upper}${bounds === 0 || bounds === 3 ? ']' : ')'}: ${count}`}
          />
        ))}
      </span>
    </span>
  );
}
