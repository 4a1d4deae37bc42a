// Stores, blocks and the plan as a querier, a store gateway and a compactor would tell them.

import type { Block, BlockList, BlockPlan, Plan } from '../../src/blocks/model';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const NONE = -9223372036854775808;
const ALL = 9223372036854775807;

export function stores() {
  const now = new Date().toISOString();
  const store = (
    name: string,
    labels: object[],
    minTime: number,
    maxTime: number,
    lastError: string | null = null,
  ) => ({
    name,
    lastCheck: now,
    lastError,
    labelSets: labels,
    minTime,
    maxTime,
  });
  const start = Date.now() - 90 * DAY;
  return {
    sidecar: [
      store('prometheus-0.monitoring:10901', [{ cluster: 'eu1', replica: 'a' }], Date.now() - 2 * HOUR, ALL),
      store(
        'prometheus-1.monitoring:10901',
        [{ cluster: 'eu1', replica: 'b' }],
        NONE,
        ALL,
        'rpc error: code = Unavailable desc = connection refused',
      ),
    ],
    store: [store('store-0.monitoring:10901', [{ cluster: 'eu1' }, { cluster: 'us2' }], start, Date.now() - 2 * HOUR)],
  };
}

const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';

/** A name with the shape of a ULID: the time, and a number. */
function ulid(ms: number, number: number): string {
  let text = '';
  for (let left = ms, n = 0; n < 10; n++, left = Math.floor(left / 32)) text = ALPHABET[left % 32] + text;
  return text + String(number).padStart(16, '0');
}

function made(): Block[] {
  const list: Block[] = [];
  const until = Math.floor(Date.now() / (2 * HOUR)) * 2 * HOUR;
  const add = (labels: Record<string, string>, from: number, hours: number, level: number, resolution: number) => {
    const samples = Math.round((hours * 3600 * 900) / (resolution / 15_000 || 1));
    list.push({
      ulid: ulid(from + hours * HOUR, list.length),
      minTime: from,
      maxTime: from + hours * HOUR,
      stats: { numSamples: samples, numSeries: 3000 + list.length, numChunks: Math.round(samples / 120) },
      compaction: { level, sources: [ulid(from, list.length)] },
      thanos: {
        labels,
        downsample: { resolution },
        source: level === 1 ? 'sidecar' : 'compactor',
        files: [
          { rel_path: 'chunks/000001', size_bytes: samples * 2 },
          { rel_path: 'index', size_bytes: 1_500_000 },
          { rel_path: 'meta.json' },
        ],
      },
    });
  };
  for (const [cluster, replica] of [
    ['eu1', 'a'],
    ['eu1', 'b'],
    ['us2', 'a'],
  ] as const) {
    const labels = { cluster, replica };
    const at = (hours: number) => until - hours * HOUR;
    for (const resolution of [0, 300_000])
      for (let n = 1; n <= 2; n++) add(labels, at(68 + n * 336), 336, 4, resolution);
    add(labels, at(68), 48, 3, 0);
    add(labels, at(68), 48, 3, 300_000);
    if (cluster === 'us2') add(labels, at(404), 336, 4, 3_600_000);
    for (let n = 0; n < 2; n++) add(labels, at(20 - n * 8), 8, 2, 0);
    for (let n = 0; n < 2; n++) add(labels, at(4 - n * 2), 2, 1, 0);
    if (cluster === 'eu1') for (let n = 0; n < 4; n++) add(labels, at(20 - n * 2), 2, 1, 0);
  }
  return list;
}

export function blocks(): BlockList {
  return { label: '', blocks: made(), refreshedAt: new Date(Date.now() - 42_000).toISOString(), err: null };
}

export function plan(): Plan {
  const list = made().map((block, index): BlockPlan => {
    const { cluster, replica } = block.thanos!.labels!;
    const told: BlockPlan = { id: block.ulid, state: 'served' };
    const { level } = block.compaction!;
    const replaced = level === 1 && Date.now() - block.maxTime > 10 * HOUR;
    if (replaced) {
      const time = Math.floor(Date.now() / 1000) - 7200;
      told.marks = [{ kind: 'deletion-mark', time, details: 'source of compacted block' }];
      Object.assign(told, {
        state: 'superseded',
        reason: 'its data is in another block',
        next: { action: 'wait', reason: 'deleted in 1d22h' },
      });
    } else if (level === 2) {
      told.next = {
        action: 'merge',
        reason: '2 blocks into one of 16h',
        merge: ['eu1a', 'eu1b', 'us2a'].indexOf(`${cluster}${replica}`),
      };
    } else if (index === 4) {
      told.marks = [{ kind: 'no-compact-mark', time: 1_700_000_000, reason: 'manual', details: 'looks odd' }];
      told.next = { action: 'hold', reason: 'marked no-compact: manual, looks odd' };
    }
    return told;
  });
  list.push({
    id: ulid(Date.now() - DAY, 999),
    state: 'partial',
    reason: 'meta.json is missing',
    next: { action: 'wait', reason: 'removed when its newest object is 2d old' },
  });
  return { refreshedAt: new Date().toISOString(), blocks: list };
}
