import type { ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { LabelSet } from '../stores/labels';
import { formatTime, roughDuration } from '../time';
import {
  formatBytes,
  formatCount,
  levelOf,
  resolutionName,
  resolutionOf,
  sizeOf,
  type Block,
  type BlockPlan,
} from './model';

interface Props {
  block: Block;
  plan: BlockPlan | undefined;
  utc: boolean;
  /** Whether a block is there to be shown; sources are often gone. */
  known: (id: string) => boolean;
  onChoose: (id: string) => void;
  onClose: () => void;
}

/** Links to more blocks than this are of no use to anybody. */
const MAX_LINKS = 40;

/** Everything that is known of one block. */
export function Details({ block, plan, utc, known, onChoose, onClose }: Props) {
  const { stats = {}, compaction = {}, thanos = {} } = block;
  const card = useRef<HTMLElement>(null);
  useEffect(() => card.current?.scrollIntoView({ block: 'nearest' }), [block.ulid]);
  const size = sizeOf(block);
  const links = (ids: string[]) => (
    <>
      {ids.slice(0, MAX_LINKS).map((id) =>
        known(id) ? (
          <button class="link id" onClick={() => onChoose(id)}>
            {id}
          </button>
        ) : (
          <span class="id absent">{id}</span>
        ),
      )}
      {ids.length > MAX_LINKS && ` and ${ids.length - MAX_LINKS} more`}
    </>
  );
  const others = (compaction.sources ?? []).filter((id) => id !== block.ulid);
  return (
    <section class="card details" aria-label="Block" ref={card}>
      <h2>
        <code>{block.ulid}</code>
        <button class="plain" onClick={onClose} aria-label="Close">
          ✕
        </button>
      </h2>
      {plan && <Verdict plan={plan} utc={utc} known={known} onChoose={onChoose} />}
      <dl>
        <Fact name="Range">
          {formatTime(block.minTime, utc)} to {formatTime(block.maxTime, utc)} (
          {roughDuration(block.maxTime - block.minTime)})
        </Fact>
        <Fact name="Labels">
          <LabelSet labels={thanos.labels ?? {}} />
        </Fact>
        <Fact name="Level">{levelOf(block)}</Fact>
        <Fact name="Resolution">{resolutionName(resolutionOf(block))}</Fact>
        <Fact name="Series">{formatCount(stats.numSeries)}</Fact>
        <Fact name="Samples">{formatCount(stats.numSamples)}</Fact>
        <Fact name="Chunks">{formatCount(stats.numChunks)}</Fact>
        {size > 0 && <Fact name="Size">{formatBytes(size)}</Fact>}
        <Fact name="Made by">{thanos.source || 'unknown'}</Fact>
        {compaction.parents && <Fact name="Made of">{links(compaction.parents.map(({ ulid }) => ulid))}</Fact>}
        {others.length > 0 && <Fact name="Sources">{links(others)}</Fact>}
      </dl>
    </section>
  );
}

function Fact({ name, children }: { name: string; children: ComponentChildren }) {
  return (
    <>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </>
  );
}

type VerdictProps = Pick<Props, 'utc' | 'known' | 'onChoose'> & { plan: BlockPlan };

function Verdict({ plan, utc, known, onChoose }: VerdictProps) {
  const by = plan.supersededBy;
  return (
    <ul class="plain-list">
      <li>
        <span class={`state ${plan.state === 'served' ? 'good' : 'other'}`}>{plan.state}</span> {plan.reason}
        {by && known(by) && (
          <button class="link id" onClick={() => onChoose(by)}>
            show it
          </button>
        )}
      </li>
      {(plan.marks ?? []).map(({ kind, time, reason, details }) => (
        <li>
          <span class="state other">{kind}</span> {formatTime(time * 1000, utc)}
          {[reason, details].filter(Boolean).map((text) => ` · ${text}`)}
        </li>
      ))}
      {plan.next && (
        <li>
          <span class="state next">next: {plan.next.action}</span> {plan.next.reason}
        </li>
      )}
    </ul>
  );
}
