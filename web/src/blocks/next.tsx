import type { BlockPlan, Plan } from './model';

interface Props {
  plan: Plan;
  /** What stands out on the timeline. */
  onLight: (ids: Set<string> | null) => void;
  onChoose: (id: string) => void;
}

/** In the order of what changes the bucket most. */
const ACTIONS = ['merge', 'mark', 'exclude', 'delete', 'remove', 'wait', 'hold'];
/** Steps that are listed; the timeline has all blocks. */
const MAX_STEPS = 50;

interface Step {
  action: string;
  reason: string;
  ids: string[];
}

/** What the compactor does next, and why: blocks with the same step are one line. */
export function Next({ plan, onLight, onChoose }: Props) {
  const all = steps(plan.blocks);
  return (
    <section class="card next">
      <h2>
        Next{' '}
        <small>{all.length === 0 ? 'nothing to do' : `${all.length} ${all.length === 1 ? 'step' : 'steps'}`}</small>
      </h2>
      <ul class="plain-list" hidden={all.length === 0}>
        {all.slice(0, MAX_STEPS).map(({ action, reason, ids }) => (
          <li>
            <button
              class="step"
              onMouseEnter={() => onLight(new Set(ids))}
              onMouseLeave={() => onLight(null)}
              onFocus={() => onLight(new Set(ids))}
              onBlur={() => onLight(null)}
              onClick={() => onChoose(ids[0]!)}
            >
              <span class={`state a-${action}`}>{action}</span>
              <span class="count">
                {ids.length} {ids.length === 1 ? 'block' : 'blocks'}
              </span>
              <span>{reason}</span>
            </button>
          </li>
        ))}
        {all.length > MAX_STEPS && <li>and {all.length - MAX_STEPS} more</li>}
      </ul>
    </section>
  );
}

function steps(blocks: BlockPlan[]): Step[] {
  const found = new Map<string, Step>();
  for (const { id, next } of blocks) {
    if (!next) continue;
    const key = `${next.action}\n${next.reason}\n${next.merge ?? ''}`;
    const step = found.get(key) ?? { ...next, ids: [] };
    step.ids.push(id);
    found.set(key, step);
  }
  const rank = (step: Step) => (ACTIONS.includes(step.action) ? ACTIONS.indexOf(step.action) : ACTIONS.length);
  return [...found.values()].sort((a, b) => rank(a) - rank(b));
}
