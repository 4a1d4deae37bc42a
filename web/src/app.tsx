// The frame of the page: which part is shown, the theme and the zone of times.

import { useEffect, useState } from 'preact/hooks';
import { get, serves } from './api';
import { Blocks } from './blocks/blocks';
import { Queries } from './query/queries';
import { useSetting, useTheme, type Theme } from './settings';
import { Stores } from './stores/stores';

type Page = 'query' | 'stores' | 'blocks';

const TITLES: Record<Page, string> = { query: 'Query', stores: 'Stores', blocks: 'Blocks' };
const PAGES = (Object.keys(TITLES) as Page[]).filter((page) => serves(page));
const NEXT_THEME: Record<Theme, Theme> = { system: 'light', light: 'dark', dark: 'system' };
const THEME_MARKS: Record<Theme, string> = { system: '◐', light: '☀', dark: '☾' };

/** The last part of the address; the query, or whatever the server has, lies at the top. */
function pageOf(path: string): Page {
  const name = path.slice(path.lastIndexOf('/') + 1);
  return PAGES.find((page) => page === name) ?? PAGES[0] ?? 'query';
}

/** The queries that were shown last, so that a look at another page does not lose them. */
let lastSearch = '';

function addressOf(page: Page): string {
  const path = page === PAGES[0] ? './' : `./${page}`;
  return page === 'query' ? path + lastSearch : path;
}

export function App() {
  const [page, setPage] = useState(() => pageOf(location.pathname));
  const [utc, setUtc] = useSetting('utc', false);
  const { theme, dark, setTheme } = useTheme();
  useEffect(() => {
    const moved = () => setPage(pageOf(location.pathname));
    addEventListener('popstate', moved);
    return () => removeEventListener('popstate', moved);
  }, []);
  useEffect(() => {
    document.title = `${TITLES[page]} · Rutile`;
  }, [page]);
  const go = (event: MouseEvent, next: Page) => {
    // A new tab or window is the browser's matter.
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
    event.preventDefault();
    if (next === page) return;
    if (page === 'query') lastSearch = location.search;
    window.history.pushState(null, '', addressOf(next));
    setPage(next);
  };
  return (
    <>
      <header class="top">
        <a class="brand" href={addressOf(PAGES[0] ?? 'query')} onClick={(event) => go(event, PAGES[0] ?? 'query')}>
          <Mark />
          Rutile
        </a>
        <nav aria-label="Pages">
          {PAGES.map((name) => (
            <a
              href={addressOf(name)}
              aria-current={name === page ? 'page' : undefined}
              onClick={(event) => go(event, name)}
            >
              {TITLES[name]}
            </a>
          ))}
        </nav>
        <div class="choice">
          <button class="plain" onClick={() => setUtc(!utc)} title="Zone of all times: a click changes it">
            {utc ? 'UTC' : 'Local'}
            <span class="wide">{utc ? '' : ' time'}</span>
          </button>
          <button
            class="plain theme"
            onClick={() => setTheme(NEXT_THEME[theme])}
            aria-label={`Theme: ${theme}`}
            title={`Theme: ${theme}. A click changes it.`}
          >
            {THEME_MARKS[theme]}
          </button>
        </div>
      </header>
      <main>
        {page === 'query' && <Queries utc={utc} dark={dark} />}
        {page === 'stores' && <Stores utc={utc} />}
        {page === 'blocks' && <Blocks utc={utc} />}
      </main>
      <Version />
    </>
  );
}

/** The same crystal as in `public/favicon.svg`. */
function Mark() {
  return (
    <svg viewBox="0 0 32 32" width="22" height="22" aria-hidden="true">
      <path fill="#8f3412" d="M16 1 27 8v16L16 31 5 24V8z" />
      <path fill="#c4501f" d="M16 1 27 8 16 14 5 8z" />
      <path fill="#ee8150" d="M16 14 27 8v16L16 31z" />
      <path fill="#ffd0b0" d="M16 1 20 10.5 16 14 12 10.5z" />
    </svg>
  );
}

interface BuildInfo {
  version: string;
  revision: string;
}

function Version() {
  const [build, setBuild] = useState<BuildInfo | null>(null);
  useEffect(() => {
    get<BuildInfo>('status/buildinfo').then(
      ({ data }) => setBuild(data),
      () => setBuild(null),
    );
  }, []);
  const licences = document.querySelector<HTMLLinkElement>('link[rel=license]');
  return (
    <footer class="bottom">
      {build && (
        <span title={build.revision}>
          Version {build.version} {build.revision.slice(0, 10)} ·{' '}
        </span>
      )}
      {licences && <a href={licences.href}>Licences of this page</a>}
    </footer>
  );
}
