// Blocks as the API gives them, and how they are laid out.

import type { Labels } from '../api';

export interface Block {
  ulid: string;
  minTime: number;
  maxTime: number;
  stats?: { numSamples?: number; numSeries?: number; numChunks?: number };
  compaction?: { level?: number; sources?: string[]; parents?: { ulid: string }[] };
  thanos?: {
    labels?: Labels;
    downsample?: { resolution?: number };
    source?: string;
    files?: { rel_path: string; size_bytes?: number }[];
  };
}

export interface BlockList {
  label: string;
  blocks: Block[] | null;
  refreshedAt: string;
  err: string | null;
}

export interface BlockMark {
  /** `deletion-mark`, `no-compact-mark` or `no-downsample-mark`. */
  kind: string;
  /** Seconds since the epoch. */
  time: number;
  reason?: string;
  details?: string;
}

/** What store gateways and compactors make of a block. */
export interface BlockPlan {
  id: string;
  state: string;
  reason?: string;
  supersededBy?: string;
  /** Blocks with the same number are one merge. */
  next?: { action: string; reason: string; merge?: number };
  marks?: BlockMark[];
}

export interface Plan {
  refreshedAt: string;
  blocks: BlockPlan[];
}

/** Blocks of the same external labels and resolution. */
export interface Stream {
  name: string;
  labels: Labels;
  /** Resolution in ms, and the rows of it: blocks of a row do not overlap. */
  parts: { resolution: number; rows: Block[][] }[];
}

export function resolutionOf(block: Block): number {
  return block.thanos?.downsample?.resolution ?? 0;
}

export function levelOf(block: Block): number {
  return block.compaction?.level ?? 1;
}

export function sizeOf(block: Block): number {
  return (block.thanos?.files ?? []).reduce((sum, file) => sum + (file.size_bytes ?? 0), 0);
}

export function resolutionName(ms: number): string {
  return { 0: 'raw', 300_000: '5m', 3_600_000: '1h' }[ms] ?? `${ms / 1000}s`;
}

/** The streams of blocks by name, their parts by resolution, their rows from the highest level down. */
export function streams(blocks: Block[]): Stream[] {
  const byName = new Map<string, Block[]>();
  for (const block of blocks) {
    const labels = Object.entries(block.thanos?.labels ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
    const name = labels.map(([label, value]) => `${label}=${JSON.stringify(value)}`).join(', ');
    const known = byName.get(name);
    if (known) known.push(block);
    else byName.set(name, [block]);
  }
  return [...byName]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, all]) => {
      const resolutions = [...new Set(all.map(resolutionOf))].sort((a, b) => a - b);
      const parts = resolutions.map((resolution) => ({
        resolution,
        rows: rows(all.filter((block) => resolutionOf(block) === resolution)),
      }));
      return { name, labels: all[0]?.thanos?.labels ?? {}, parts };
    });
}

/** Blocks in as few rows as hold them without an overlap, a level never beside another one. */
function rows(blocks: Block[]): Block[][] {
  const levels = [...new Set(blocks.map(levelOf))].sort((a, b) => b - a);
  return levels.flatMap((level) => {
    const found: Block[][] = [];
    const sorted = blocks.filter((block) => levelOf(block) === level).sort((a, b) => a.minTime - b.minTime);
    for (const block of sorted) {
      const row = found.find((row) => row.at(-1)!.maxTime <= block.minTime);
      if (row) row.push(block);
      else found.push([block]);
    }
    return found;
  });
}

const BINARY = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

/** `1.5 GiB`. */
export function formatBytes(bytes: number): string {
  const power = bytes < 1024 ? 0 : Math.min(BINARY.length - 1, Math.floor(Math.log2(bytes) / 10));
  const scaled = bytes / 1024 ** power;
  return `${scaled.toFixed(power === 0 || scaled >= 100 ? 0 : 1)} ${BINARY[power]}`;
}

export function formatCount(count: number | undefined): string {
  return count === undefined ? '–' : count.toLocaleString('en').replaceAll(',', ' ');
}
