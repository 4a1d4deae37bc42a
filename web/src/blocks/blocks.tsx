// The blocks of the bucket: a timeline of all streams, one block in detail, and what the compactor does next.

import { useEffect, useMemo, useState } from 'preact/hooks';
import { get, serves } from '../api';
import { ago } from '../time';
import { Details } from './details';
import { formatBytes, formatCount, resolutionName, resolutionOf, sizeOf, streams } from './model';
import type { Block, BlockList, BlockPlan, Plan } from './model';
import { Next } from './next';
import { Timeline } from './timeline';

type View = 'global' | 'loaded';

/** How often the list is asked for again, ms: the server itself looks at the bucket less often. */
const REFRESH_MS = 60_000;

export function Blocks({ utc }: { utc: boolean }) {
  const [view, setView] = useState<View>('global');
  const [list, setList] = useState<BlockList | null>(null);
  const [plan, setPlan] = useState<Plan | null>(null);
  const [error, setError] = useState('');
  const [chosen, setChosen] = useState('');
  const [filter, setFilter] = useState('');
  const [lit, setLit] = useState<Set<string> | null>(null);
  useEffect(() => {
    const controller = new AbortController();
    const { signal } = controller;
    const failed = (reason: Error) => signal.aborted || setError(reason.message);
    const ask = () => {
      get<BlockList>('blocks', { view }, signal).then(({ data }) => (setList(data), setError('')), failed);
      if (serves('plan')) get<Plan>('blocks/plan', {}, signal).then(({ data }) => setPlan(data), failed);
    };
    ask();
    const timer = setInterval(ask, REFRESH_MS);
    return () => (controller.abort(), clearInterval(timer));
  }, [view]);
  const all = list?.blocks ?? [];
  const blocks = useMemo(() => all.filter((block) => matches(block, filter)), [list, filter]);
  const grouped = useMemo(() => streams(blocks), [blocks]);
  const plans = useMemo(() => new Map((plan?.blocks ?? []).map((block) => [block.id, block])), [plan]);
  const selected = all.find((block) => block.ulid === chosen);
  return (
    <>
      <div class="heading">
        <h1>Blocks</h1>
        {list && <p>{summary(blocks, list)}</p>}
        <div class="segmented" role="group" aria-label="Which blocks">
          <button aria-pressed={view === 'global'} onClick={() => setView('global')}>
            In the bucket
          </button>
          <button aria-pressed={view === 'loaded'} onClick={() => setView('loaded')}>
            Loaded
          </button>
        </div>
        <input
          class="filter"
          type="search"
          placeholder="Filter by label or ULID"
          aria-label="Filter by label or ULID"
          value={filter}
          onInput={(event) => setFilter(event.currentTarget.value)}
        />
      </div>
      {(error || list?.err) && (
        <p class="notice error" role="alert">
          <strong>Error</strong> {error || list?.err}
        </p>
      )}
      {list && blocks.length === 0 && <p class="empty">No blocks{filter && ' match'}.</p>}
      {plan && <Next plan={plan} onLight={setLit} onChoose={setChosen} />}
      {blocks.length > 0 && (
        <Timeline streams={grouped} plans={plans} chosen={chosen} lit={lit} utc={utc} onChoose={setChosen} />
      )}
      {selected && (
        <Details
          block={selected}
          plan={plans.get(chosen)}
          utc={utc}
          known={(id) => all.some((block) => block.ulid === id)}
          onChoose={setChosen}
          onClose={() => setChosen('')}
        />
      )}
      {plan && <Unreadable plans={plan.blocks} all={all} view={view} />}
    </>
  );
}

function matches(block: Block, filter: string): boolean {
  const text = `${block.ulid} ${JSON.stringify(block.thanos?.labels ?? {})}`;
  return text.toLowerCase().includes(filter.toLowerCase());
}

function summary(blocks: Block[], list: BlockList): string {
  const counts = new Map<number, number>();
  for (const block of blocks) counts.set(resolutionOf(block), (counts.get(resolutionOf(block)) ?? 0) + 1);
  const parts = [...counts].sort(([a], [b]) => a - b).map(([ms, count]) => `${count} ${resolutionName(ms)}`);
  const size = blocks.reduce((sum, block) => sum + sizeOf(block), 0);
  const seen = Date.parse(list.refreshedAt);
  const when = seen > 0 ? `, seen ${ago(seen, Date.now())}` : '';
  return `${formatCount(blocks.length)} blocks (${parts.join(', ')}), ${formatBytes(size)}${when}`;
}

/** Blocks without readable metadata have no place on a timeline. */
function Unreadable({ plans, all, view }: { plans: BlockPlan[]; all: Block[]; view: View }) {
  const known = new Set(all.map((block) => block.ulid));
  const found = plans.filter(({ id, state }) => !known.has(id) && ['partial', 'bad'].includes(state));
  if (found.length === 0 || view === 'loaded') return null;
  return (
    <section class="card">
      <h2>
        Not readable <small>{found.length}</small>
      </h2>
      <ul class="plain-list">
        {found.map(({ id, state, reason, next }) => (
          <li>
            <code>{id}</code> <span class="state bad">{state}</span> {reason}
            {next && (
              <>
                {' '}
                · <b>{next.action}</b>: {next.reason}
              </>
            )}
          </li>
        ))}
      </ul>
    </section>
  );
}
