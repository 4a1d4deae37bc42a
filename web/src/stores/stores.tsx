// The stores that the querier asks: what they hold, and whether they answer.

import { useEffect, useState } from 'preact/hooks';
import { get, type Labels } from '../api';
import { ago, formatTime, MAX_DATE_MS, roughDuration } from '../time';
import { LabelSet } from './labels';

interface Store {
  name: string;
  lastCheck: string;
  lastError: string | null;
  labelSets: Labels[] | null;
  minTime: number;
  maxTime: number;
}

type ByType = Record<string, Store[] | null>;

/** How often the list is asked for again, ms. */
const REFRESH_MS = 15_000;

export function Stores({ utc }: { utc: boolean }) {
  const [stores, setStores] = useState<ByType | null>(null);
  const [error, setError] = useState('');
  const [filter, setFilter] = useState('');
  const [failingOnly, setFailingOnly] = useState(false);
  useEffect(() => {
    const controller = new AbortController();
    const ask = () =>
      get<ByType>('stores', {}, controller.signal).then(
        ({ data }) => (setStores(data), setError('')),
        (reason: Error) => controller.signal.aborted || setError(reason.message),
      );
    void ask();
    const timer = setInterval(ask, REFRESH_MS);
    return () => (controller.abort(), clearInterval(timer));
  }, []);
  const all = Object.values(stores ?? {}).flatMap((list) => list ?? []);
  const failing = all.filter((store) => store.lastError).length;
  const wanted = (store: Store) =>
    (!failingOnly || store.lastError !== null) &&
    JSON.stringify([store.name, store.labelSets]).toLowerCase().includes(filter.toLowerCase());
  return (
    <>
      <div class="heading">
        <h1>Stores</h1>
        {stores && (
          <p>
            {all.length} {all.length === 1 ? 'store' : 'stores'}, {failing === 0 ? 'all answer' : `${failing} failing`}
          </p>
        )}
        <input
          class="filter"
          type="search"
          placeholder="Filter by address or label"
          aria-label="Filter by address or label"
          value={filter}
          onInput={(event) => setFilter(event.currentTarget.value)}
        />
        <label class="switch">
          <input
            type="checkbox"
            role="switch"
            checked={failingOnly}
            onChange={(event) => setFailingOnly(event.currentTarget.checked)}
          />
          <span>Failing only</span>
        </label>
      </div>
      {error !== '' && (
        <p class="notice error" role="alert">
          <strong>Error</strong> {error}
        </p>
      )}
      {stores && all.length === 0 && (
        <p class="empty">
          No store is known. Name some by <code>--endpoint</code>.
        </p>
      )}
      {Object.entries(stores ?? {})
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([type, list]) => {
          const rows = (list ?? []).filter(wanted).sort((a, b) => (a.name < b.name ? -1 : 1));
          return rows.length > 0 && <StoreType type={type} stores={rows} utc={utc} />;
        })}
    </>
  );
}

function StoreType({ type, stores, utc }: { type: string; stores: Store[]; utc: boolean }) {
  const now = Date.now();
  return (
    <section class="card stores">
      <h2>
        {type} <small>{stores.length}</small>
      </h2>
      <div class="scroll">
        <table>
          <thead>
            <tr>
              <th>address</th>
              <th>state</th>
              <th>labels</th>
              <th>from</th>
              <th>until</th>
              <th>last check</th>
            </tr>
          </thead>
          <tbody>
            {stores.map((store) => (
              <tr>
                <td data-label="address">
                  <code>{store.name}</code>
                  {store.lastError && <p class="why">{store.lastError}</p>}
                </td>
                <td data-label="state">
                  <span class={`state ${store.lastError ? 'bad' : 'good'}`}>{store.lastError ? 'down' : 'up'}</span>
                </td>
                <td data-label="labels">
                  {(store.labelSets ?? []).map((labels) => (
                    <LabelSet labels={labels} />
                  ))}
                </td>
                <td data-label="from">
                  <Bound ms={store.minTime} now={now} utc={utc} />
                </td>
                <td data-label="until">
                  <Bound ms={store.maxTime} now={now} utc={utc} />
                </td>
                <td data-label="last check">
                  <span class="time" title={store.lastCheck}>
                    {checked(store.lastCheck, now)}
                  </span>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

/** A bound of a store's data; stores without one say a time that no clock shows. */
function Bound({ ms, now, utc }: { ms: number; now: number; utc: boolean }) {
  if (!(Math.abs(ms) <= MAX_DATE_MS)) return <span class="absent">no bound</span>;
  return (
    <span class="time" title={ago(ms, now)}>
      {formatTime(Math.floor(ms / 1000) * 1000, utc)}
    </span>
  );
}

function checked(text: string, now: number): string {
  const ms = Date.parse(text);
  // Go's time zero: never.
  if (Number.isNaN(ms) || ms < 0) return 'never';
  return now - ms < 1000 ? 'now' : `${roughDuration(now - ms)} ago`;
}
