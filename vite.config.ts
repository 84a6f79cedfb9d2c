import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';
import { compression } from 'vite-plugin-compression2';

/** The dashboard. `npm start` serves what this builds; `npm run dashboard:dev` serves the sources, beside a Posthorn that runs. */
export default defineConfig({
  root: 'src/dashboard',
  publicDir: 'public',
  plugins: [react(), compression({ algorithms: ['gzip', 'brotliCompress'] })],
  build: {
    outDir: '../../dist/dashboard',
    emptyOutDir: true,
    target: 'es2022',
    reportCompressedSize: false,
  },
  server: {
    proxy: {
      '/graphql': { target: 'http://127.0.0.1:4000', ws: true },
      '/session': 'http://127.0.0.1:4000',
    },
  },
});
