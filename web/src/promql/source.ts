// Metric names, label names and values for completion, asked for once and kept for a while.

import { get, serves } from '../api';
import type { Source } from './complete';

/** How long an answer is good, ms. */
const FRESH_MS = 120_000;
/** Answers that are kept. */
const MAX_KEPT = 200;
/** Names or values in one answer. */
const LIMIT = '20000';

const kept = new Map<string, { at: number; answer: Promise<unknown> }>();

function once<T>(key: string, ask: () => Promise<T>): Promise<T> {
  const found = kept.get(key);
  if (found && Date.now() - found.at < FRESH_MS) return found.answer as Promise<T>;
  const answer = ask().catch((error: unknown) => {
    kept.delete(key);
    throw error;
  });
  if (kept.size >= MAX_KEPT) kept.delete(kept.keys().next().value!);
  kept.set(key, { at: Date.now(), answer });
  return answer;
}

interface Metadata {
  [metric: string]: { type: string; help: string }[];
}

/** Only an addition: without it there are the names. */
async function metadata(): Promise<Metadata> {
  if (!serves('metadata')) return {};
  return get<Metadata | null>('metadata').then(
    ({ data }) => data ?? {},
    () => ({}),
  );
}

function describe(entry: Metadata[string] | undefined): string {
  const { type, help } = entry?.[0] ?? { type: '', help: '' };
  return [type === 'unknown' ? '' : type, help].filter((part) => part !== '').join(' · ');
}

const selected = (selector: string) => ({ 'match[]': selector === '' ? undefined : selector, limit: LIMIT });

export const serverSource: Source = {
  metrics: () =>
    once('metrics', async () => {
      const [names, described] = await Promise.all([
        get<string[] | null>('label/__name__/values', { limit: LIMIT }),
        once('metadata', metadata),
      ]);
      return (names.data ?? []).map((name) => ({ name, help: describe(described[name]) }));
    }),
  labels: (selector) =>
    once(`labels ${selector}`, async () => {
      const { data } = await get<string[] | null>('labels', selected(selector));
      return (data ?? []).filter((name) => name !== '__name__');
    }),
  values: (label, selector) =>
    once(`values ${label} ${selector}`, async () => {
      const { data } = await get<string[] | null>(`label/${encodeURIComponent(label)}/values`, selected(selector));
      return data ?? [];
    }),
};
