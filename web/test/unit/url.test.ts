import { expect, test } from 'vitest';
import { newPanel, readPanels, writePanels, type PanelState } from '../../src/url';

test('what is written is read as the same', () => {
  const first: PanelState = {
    expr: 'sum by (job) (rate(x{a="b&c=d"}[5m]))\n + 1',
    view: 'graph',
    rangeMs: 5_400_000,
    endMs: Date.UTC(2026, 0, 31, 18, 5, 9),
    stepMs: 30_000,
    stacked: true,
    dedup: false,
    partial: false,
    resolution: '5m',
  };
  const second: PanelState = { ...newPanel('up'), view: 'table' };
  expect(readPanels(writePanels([first, second]))).toEqual([first, second]);
});

test('an empty panel needs no address', () => {
  expect(writePanels([newPanel()])).toBe('');
  expect(readPanels('')).toEqual([newPanel()]);
});

test('links of Prometheus, Thanos and Alertmanager are understood', () => {
  const [old] = readPanels('?g0.expr=up&g0.tab=1&g0.moment_input=2026-01-31%2018%3A05%3A09');
  expect(old).toMatchObject({ expr: 'up', view: 'table', endMs: Date.UTC(2026, 0, 31, 18, 5, 9) });
  const [thanos] = readPanels(
    '?g0.expr=up&g0.tab=0&g0.range_input=1w&g0.max_source_resolution=1h&g0.deduplicate=0&g0.partial_response=0&g0.step_input=60',
  );
  expect(thanos).toMatchObject({
    view: 'graph',
    rangeMs: 604_800_000,
    resolution: '1h',
    dedup: false,
    partial: false,
    stepMs: 60_000,
  });
  expect(readPanels('?g0.expr=a&g0.tab=table&g1.expr=b').map(({ expr, view }) => [expr, view])).toEqual([
    ['a', 'table'],
    ['b', 'graph'],
  ]);
});

test('nonsense falls back to what a new panel has', () => {
  const [panel] = readPanels(
    '?g0.expr=up&g0.range_input=soon&g0.end_input=x&g0.step_input=-1&g0.max_source_resolution=9',
  );
  expect(panel).toEqual(newPanel('up'));
  const many = Array.from({ length: 500 }, (_, index) => `g${index}.expr=up`).join('&');
  expect(readPanels(many).length).toBe(20);
});
