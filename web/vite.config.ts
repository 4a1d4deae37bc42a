import { defineConfig } from 'vitest/config';

// All addresses are relative, so that the page works below any prefix without knowing it.
export default defineConfig({
  base: './',
  build: {
    outDir: '../crates/ui/dist',
    emptyOutDir: true,
    target: 'es2022',
    assetsInlineLimit: 0,
    // What the licences of the packages in it ask for.
    license: { fileName: 'licences.md' },
    // Names that do not change: the server gives browsers names that hold a digest of the content.
    rolldownOptions: { output: { entryFileNames: 'page.js', assetFileNames: 'page[extname]' } },
    modulePreload: { polyfill: false },
  },
  // A browser on a busy machine is slow.
  test: { expect: { poll: { timeout: 20_000 } } },
  server: {
    // `API=http://localhost:9090 npm run dev` shows what that server holds.
    proxy: { '/api': process.env.API ?? 'http://localhost:10902' },
  },
});
