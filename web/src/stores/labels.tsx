import type { Labels } from '../api';

/** A set of labels, one beside the other. */
export function LabelSet({ labels }: { labels: Labels }) {
  const pairs = Object.entries(labels);
  if (pairs.length === 0) return <span class="labels absent">no labels</span>;
  return (
    <span class="labels">
      {pairs.map(([name, value]) => (
        <span class="pair">
          <span>{name}</span>
          <b>{value}</b>
        </span>
      ))}
    </span>
  );
}
