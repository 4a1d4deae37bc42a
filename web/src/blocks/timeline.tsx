import { useMemo, useState } from 'preact/hooks';
import { LabelSet } from '../stores/labels';
import { formatTime, parseDuration } from '../time';
import { levelOf, resolutionName, type Block, type BlockPlan, type Stream } from './model';

interface Props {
  streams: Stream[];
  plans: Map<string, BlockPlan>;
  chosen: string;
  /** What is to stand out; null where nothing does. */
  lit: Set<string> | null;
  utc: boolean;
  onChoose: (id: string) => void;
}

interface Window {
  from: number;
  until: number;
}

const SPANS = ['all', '1y', '90d', '30d', '7d', '2d'];
const TICKS = 6;

/** All blocks over time: streams one below the other, in each of them resolutions, in these the rows of levels. */
export function Timeline({ streams, plans, chosen, lit, utc, onChoose }: Props) {
  const [span, setSpan] = useState('all');
  const whole = useMemo(() => bounds(streams), [streams]);
  const length = parseDuration(span);
  const window = length === null ? whole : { from: Math.max(whole.from, whole.until - length), until: whole.until };
  const ticks = Array.from(
    { length: TICKS },
    (_, n) => window.from + ((n + 0.5) * (window.until - window.from)) / TICKS,
  );
  return (
    <section class="card timeline">
      <div class="bar">
        <div class="segmented small" role="group" aria-label="How far back">
          {SPANS.map((text) => (
            <button aria-pressed={text === span} onClick={() => setSpan(text)}>
              {text}
            </button>
          ))}
        </div>
        <p class="key" aria-hidden="true">
          {[1, 2, 3, 4].map((level) => (
            <span>
              <i class={`block l${level}`} /> level {level}
            </span>
          ))}
          <span>
            <i class="block l2 deletion" /> to be deleted
          </span>
          <span>
            <i class="block l2 held" /> not compacted
          </span>
        </p>
      </div>
      {streams.map((stream) => (
        <div class="stream">
          <h3>
            <LabelSet labels={stream.labels} />
          </h3>
          {stream.parts.map(({ resolution, rows }) => (
            <div class="part">
              <span class="resolution">{resolutionName(resolution)}</span>
              <div class="rows">
                {rows.map((row) => (
                  <div class="row">
                    {row
                      .filter((block) => block.maxTime > window.from && block.minTime < window.until)
                      .map((block) => (
                        <Bar
                          {...{ block, window, utc, onChoose }}
                          plan={plans.get(block.ulid)}
                          chosen={block.ulid === chosen}
                          lit={lit}
                        />
                      ))}
                  </div>
                ))}
              </div>
            </div>
          ))}
        </div>
      ))}
      <div class="part ticks" aria-hidden="true">
        <span class="resolution" />
        <div class="rows">
          {ticks.map((ms) => (
            <time>{tickName(ms, window, utc)}</time>
          ))}
        </div>
      </div>
    </section>
  );
}

/** Only what tells the ticks apart: month and day, with the year or the time of day where these do. */
function tickName(ms: number, { from, until }: Window, utc: boolean): string {
  const text = formatTime(Math.round(ms / 60_000) * 60_000, utc);
  const days = (until - from) / 86_400_000;
  return days > 365 ? text.slice(0, 10) : days > 4 ? text.slice(5, 10) : text.slice(5, 16);
}

function bounds(streams: Stream[]): Window {
  const all = streams.flatMap(({ parts }) => parts.flatMap(({ rows }) => rows.flat()));
  let [from, until] = [Infinity, -Infinity];
  for (const { minTime, maxTime } of all) {
    from = Math.min(from, minTime);
    until = Math.max(until, maxTime);
  }
  return { from, until: Math.max(until, from + 1) };
}

interface BarProps {
  block: Block;
  window: Window;
  plan: BlockPlan | undefined;
  chosen: boolean;
  lit: Set<string> | null;
  utc: boolean;
  onChoose: (id: string) => void;
}

function Bar({ block, window, plan, chosen, lit, utc, onChoose }: BarProps) {
  const place = (ms: number) =>
    (100 * (Math.min(Math.max(ms, window.from), window.until) - window.from)) / (window.until - window.from);
  const left = place(block.minTime);
  const kinds = (plan?.marks ?? []).map(({ kind }) => kind);
  const names = [
    'block',
    `l${Math.min(levelOf(block), 4)}`,
    kinds.includes('deletion-mark') && 'deletion',
    kinds.some((kind) => kind.startsWith('no-')) && 'held',
    chosen && 'chosen',
    lit && (lit.has(block.ulid) ? 'lit' : 'dim'),
  ];
  const title = [
    block.ulid,
    `${formatTime(block.minTime, utc)} to ${formatTime(block.maxTime, utc)}`,
    `level ${levelOf(block)}`,
    ...kinds,
    plan?.next && `next: ${plan.next.action}, ${plan.next.reason}`,
  ];
  return (
    <button
      class={names.filter(Boolean).join(' ')}
      style={{ left: `${left}%`, width: `calc(${place(block.maxTime) - left}% - 1px)` }}
      title={title.filter(Boolean).join('\n')}
      aria-label={`Block ${block.ulid}`}
      onClick={() => onChoose(chosen ? '' : block.ulid)}
    />
  );
}
