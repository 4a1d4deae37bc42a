// Runs before the first paint, so that a chosen theme does not flash. See src/settings.ts.
try {
  const theme = JSON.parse(localStorage.getItem('rutile.theme'));
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
} catch {
  // No storage, no choice: the system's theme is used.
}
