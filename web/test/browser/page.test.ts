// The page in a real browser, as a person uses it.

import { chromium, type Browser, type BrowserContext, type Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { start, type Running } from './servers';

const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium';
/** For all steps of a test together, ms: a browser on a busy machine is slow. */
const LIMIT = 60_000;

let server: Running;
let browser: Browser;
let context: BrowserContext;
let page: Page;
/** What the browser complained about. */
let complaints: string[];

beforeAll(async () => {
  server = await start();
  // In a container the sandbox's own rights are missing; the page is ours.
  browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] });
}, LIMIT);

afterAll(async () => {
  await browser?.close();
  await server?.stop();
}, LIMIT);

beforeEach(async () => {
  context = await browser.newContext({
    viewport: { width: 1280, height: 800 },
    colorScheme: 'light',
    timezoneId: 'Europe/Berlin',
  });
  context.setDefaultTimeout(LIMIT / 2);
  page = await context.newPage();
  complaints = [];
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) complaints.push(message.text());
  });
});

afterEach(async () => {
  await context.close();
  expect(complaints).toEqual([]);
});

const editor = () => page.getByRole('textbox', { name: 'Query 1' });
const open = (path = '') => page.goto(server.url + path);

/** How many pixels of the graph are of a strong colour: lines are, axes and grid are grey. */
function colouredPixels(): Promise<number> {
  return page.locator('.graph canvas').evaluate((element) => {
    const canvas = element as HTMLCanvasElement;
    const { data } = canvas.getContext('2d')!.getImageData(0, 0, canvas.width, canvas.height);
    let count = 0;
    for (let at = 0; at < data.length; at += 4) {
      const [red, green, blue, alpha] = data.subarray(at, at + 4);
      if (alpha! > 100 && Math.max(red!, green!, blue!) - Math.min(red!, green!, blue!) > 60) count++;
    }
    return count;
  });
}

test('a query is typed with completion, its graph and its table are seen', { timeout: LIMIT }, async () => {
  await open();
  await editor().pressSequentially('sum by (jo');
  await page.getByRole('option', { name: 'job' }).waitFor();
  await page.keyboard.press('Tab');
  await page.keyboard.press('ArrowRight');
  await page.keyboard.type(' (rat');
  await page.getByRole('option', { name: /^ƒ rate/ }).waitFor();
  await page.keyboard.press('Tab');
  await page.keyboard.type('demo_req');
  await page.getByRole('option', { name: 'demo_requests_total' }).waitFor();
  await page.keyboard.press('Tab');
  await page.keyboard.type('{me');
  await page.getByRole('option', { name: 'method' }).waitFor();
  await page.keyboard.press('Tab');
  await page.getByRole('option', { name: 'get' }).waitFor();
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Enter');
  await page.keyboard.type('}[5m');
  expect(await editor().inputValue()).toMatch(
    /^sum by \(job\) \(rate\(demo_requests_total\{method="(get|post|put)"\}\[5m\]\)\)$/,
  );
  await page.keyboard.press('Enter');

  await page.locator('.legend button').first().waitFor();
  expect(await page.locator('.legend .name').allTextContents()).toEqual(['{job="api"}', '{job="web"}']);
  expect(await colouredPixels()).toBeGreaterThan(500);

  await page.getByRole('button', { name: 'Table' }).click();
  await page.locator('tbody tr').first().waitFor();
  expect(await page.locator('tbody tr td:first-child').allTextContents()).toEqual(['api', 'web']);
  expect(new URL(page.url()).searchParams.get('g0.tab')).toBe('1');
  await page.goBack();
  await page.locator('.graph canvas').waitFor();
});

test(
  'the legend shows one line alone, the cursor tells values, a drag chooses a range',
  { timeout: LIMIT },
  async () => {
    await open('?g0.expr=demo_memory_bytes&g0.tab=0&g0.range_input=1h');
    await page.locator('.legend button').first().waitFor();
    const both = await colouredPixels();
    await page.locator('.legend button').first().click();
    await expect.poll(colouredPixels).toBeLessThan(both);
    expect(await page.locator('.legend button[aria-pressed=true]').count()).toBe(1);
    await page.locator('.legend button').first().click();
    await expect.poll(() => page.locator('.legend button[aria-pressed=true]').count()).toBe(2);

    const box = (await page.locator('.u-over').boundingBox())!;
    await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
    expect(await page.locator('.tooltip').textContent()).toMatch(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d.*job="(api|web)"/);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.75, box.y + box.height / 2, { steps: 4 });
    await page.mouse.up();
    await page.waitForURL(/g0\.end_input=/);
    expect(new URL(page.url()).searchParams.get('g0.range_input')).toMatch(/^1[45]m/);
  },
);

test('an error is told and marked at its place, and goes when the text changes', { timeout: LIMIT }, async () => {
  await open();
  await editor().fill('sum(up) foo + 1');
  await page.keyboard.press('Escape');
  await page.keyboard.press('Enter');
  const alert = page.getByRole('alert');
  await alert.waitFor();
  expect(await alert.textContent()).toContain('Parse error at column 9');
  expect(await page.locator('.coloured .wrong').allTextContents()).toEqual(['foo']);
  await editor().press('End');
  await page.keyboard.type(' ');
  expect(await page.locator('.coloured .wrong').count()).toBe(0);
  await editor().fill('sum   by(job) (up)');
  await page.getByRole('button', { name: 'Format' }).click();
  await expect.poll(() => editor().inputValue()).toBe('sum by (job) (up)');
  await alert.waitFor({ state: 'detached' });
  // The browser itself reports the answer 400, which is what was asked for.
  expect(complaints.splice(0).filter((text) => !text.includes('400'))).toEqual([]);
});

test('the keyboard is enough: new lines, brackets, earlier queries', { timeout: LIMIT }, async () => {
  await open();
  await page.getByText('Type a query').waitFor();
  await editor().evaluate((element) => element.blur());
  await page.keyboard.press('/');
  await page.keyboard.type('vector(1');
  await page.keyboard.press('Escape');
  await page.keyboard.press('End');
  await page.keyboard.press('Shift+Enter');
  await page.keyboard.type('+ 1');
  expect(await editor().inputValue()).toBe('vector(1)\n+ 1');
  await page.keyboard.press('Enter');
  await page.locator('.legend button').waitFor();
  expect(await page.locator('.legend .number').textContent()).toBe('2');
  await editor().fill('');
  await page.keyboard.press('ArrowDown');
  await page.getByRole('option', { name: 'vector(1) + 1' }).waitFor();
  await page.keyboard.press('Tab');
  expect(await editor().inputValue()).toBe('vector(1)\n+ 1');
});

test('a time is chosen in the calendar, and left again', { timeout: LIMIT }, async () => {
  await open('?g0.expr=vector(time())&g0.tab=1');
  const value = page.locator('td.value');
  await value.waitFor();
  await page.locator('input.native').evaluate((element) => {
    (element as HTMLInputElement).value = '2026-01-31T18:00:00';
    element.dispatchEvent(new Event('change', { bubbles: true }));
  });
  // The browser of this test is in Berlin.
  await expect.poll(() => value.textContent()).toBe(String(Date.UTC(2026, 0, 31, 17) / 1000));
  expect(new URL(page.url()).searchParams.get('g0.end_input')).toBe('2026-01-31 17:00:00');
  await page.getByRole('button', { name: 'Now' }).click();
  await expect.poll(() => value.textContent()).not.toMatch(/^17698/);
  expect(page.url()).not.toContain('end_input');
});

test('tables sort and filter', { timeout: LIMIT }, async () => {
  await open('?g0.expr=demo_requests_total&g0.tab=1');
  const values = async () => (await page.locator('td.value').allTextContents()).map(Number);
  await page.locator('td.value').first().waitFor();
  await page.getByRole('button', { name: 'value' }).click();
  const down = await values();
  expect(down).toEqual(down.toSorted((a, b) => b - a));
  await page.getByRole('button', { name: 'value' }).click();
  expect(await values()).toEqual(down.toReversed());
  await page.getByPlaceholder('Filter rows').fill('code="500"');
  expect((await values()).length).toBe(6);
});

test('the theme follows the system, and the choice, which is kept', { timeout: LIMIT }, async () => {
  await open();
  const paper = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const light = await paper();
  await page.emulateMedia({ colorScheme: 'dark' });
  const dark = await paper();
  expect(dark).not.toBe(light);
  await page.getByRole('button', { name: 'Theme: system' }).click();
  await expect.poll(paper).toBe(light);
  await page.reload();
  expect(await paper()).toBe(light);
  await page.getByRole('button', { name: 'Theme: light' }).click();
  await page.getByRole('button', { name: 'Theme: dark' }).waitFor();
  await expect.poll(paper).toBe(dark);
});

test('other pages are a link away, and the query is still there afterwards', { timeout: LIMIT }, async () => {
  await open('?g0.expr=vector(1)&g0.tab=0');
  await page.getByRole('link', { name: 'Stores' }).click();
  await page.locator('.stores tbody tr').first().waitFor();
  expect(page.url()).toBe(`${server.url}stores`);
  await page.getByRole('link', { name: 'Query' }).click();
  await page.locator('.legend button').first().waitFor();
  expect(new URL(page.url()).searchParams.get('g0.expr')).toBe('vector(1)');
  await page.goBack();
  await page.locator('.stores tbody tr').first().waitFor();
});

test('stores are listed with their state', { timeout: LIMIT }, async ({ skip }) => {
  if (server.canned === null) skip();
  await page.goto(`${server.canned}stores`);
  await page.locator('.stores tbody tr').first().waitFor();
  expect(await page.locator('.state.good').count()).toBe(2);
  expect(await page.locator('.why').textContent()).toContain('connection refused');
  await page.getByText('Failing only').click();
  expect(await page.locator('.stores tbody tr').count()).toBe(1);
});

test('blocks lie on a timeline, with marks and the plan', { timeout: LIMIT }, async ({ skip }) => {
  if (server.canned === null) skip();
  await page.goto(`${server.canned}blocks`);
  await page.locator('.row .block').first().waitFor();
  expect(await page.locator('.stream').count()).toBe(3);
  expect(await page.locator('.row .block.deletion').count()).toBe(8);
  await page.locator('.step', { hasText: 'merge' }).first().hover();
  expect(await page.locator('.block.lit').count()).toBeGreaterThan(0);
  await page.locator('.row .block.held').click();
  const details = page.getByRole('region', { name: 'Block' });
  expect(await details.textContent()).toMatch(/no-compact-mark.*manual.*looks odd/);
  await page.getByText('Not readable').waitFor();
});

test('a narrow screen holds the page without scrolling sideways', { timeout: LIMIT }, async () => {
  await page.setViewportSize({ width: 390, height: 844 });
  const canned = server.canned === null ? [] : [`${server.canned}stores`, `${server.canned}blocks`];
  const queries = [0, 1].map((tab) => `${server.url}?g0.expr=demo_requests_total&g0.tab=${tab}`);
  for (const url of [...queries, ...canned]) {
    await page.goto(url);
    await page.locator('.legend, td, .row').first().waitFor();
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(390);
  }
});
