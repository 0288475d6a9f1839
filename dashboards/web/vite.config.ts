import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vitest/config';

/** Where `npm run dev` finds the program; `bellwether run` listens there unless told otherwise. */
const api = process.env.BELLWETHER_URL ?? 'http://127.0.0.1:8080';

export default defineConfig({
  plugins: [svelte()],
  build: {
    outDir: process.env.WEB_OUT_DIR ?? 'dist',
    emptyOutDir: true,
    target: 'es2022',
    // The page of an asset lives at /assets/:id; hashed files keep out of its way.
    assetsDir: 'static',
    // A content security policy without data: needs every asset as a file of its own.
    assetsInlineLimit: 0,
    // One page, one bundle: a preload helper would be code without a use.
    modulePreload: { polyfill: false },
    // That one bundle is some 200 kB packed; the warning is about pages that load several.
    chunkSizeWarningLimit: 700,
  },
  server: { proxy: { '/api': api, '/healthz': api } },
  test: { environment: 'node', include: ['test/**/*.test.ts'] },
});
