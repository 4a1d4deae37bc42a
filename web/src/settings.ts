// What a person chose for good, kept in the browser.

import { useEffect, useState } from 'preact/hooks';

export type Theme = 'system' | 'light' | 'dark';

const PREFIX = 'rutile.';

export function load<T>(name: string, otherwise: T): T {
  try {
    const text = localStorage.getItem(PREFIX + name);
    return text === null ? otherwise : (JSON.parse(text) as T);
  } catch {
    return otherwise;
  }
}

export function save(name: string, value: unknown): void {
  try {
    localStorage.setItem(PREFIX + name, JSON.stringify(value));
  } catch {
    // Private windows may have no storage: the choice then lasts as long as the page.
  }
}

/** A value that is kept; all users of a name have their own copy. */
export function useSetting<T>(name: string, otherwise: T): [T, (value: T) => void] {
  const [value, setValue] = useState<T>(() => load(name, otherwise));
  return [
    value,
    (next) => {
      save(name, next);
      setValue(next);
    },
  ];
}

const systemDark = matchMedia('(prefers-color-scheme: dark)');

/** The chosen theme, and whether the page is dark now. */
export function useTheme(): { theme: Theme; dark: boolean; setTheme: (theme: Theme) => void } {
  const [theme, setTheme] = useSetting<Theme>('theme', 'system');
  const [system, setSystem] = useState(systemDark.matches);
  useEffect(() => {
    const changed = () => setSystem(systemDark.matches);
    systemDark.addEventListener('change', changed);
    return () => systemDark.removeEventListener('change', changed);
  }, []);
  useEffect(() => {
    if (theme === 'system') delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
  }, [theme]);
  return { theme, dark: theme === 'system' ? system : theme === 'dark', setTheme };
}

const MAX_HISTORY = 50;

/** The queries that were run, the newest first. */
export function history(): string[] {
  const kept = load<unknown>('history', []);
  return Array.isArray(kept) ? kept.filter((item) => typeof item === 'string') : [];
}

export function remember(query: string): void {
  const trimmed = query.trim();
  if (trimmed === '') return;
  save('history', [trimmed, ...history().filter((other) => other !== trimmed)].slice(0, MAX_HISTORY));
}
