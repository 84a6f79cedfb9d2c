import { readProcessConfig } from '../../src/config.ts';
import { createLog } from '../../src/log.ts';
import { startPosthorn } from '../../src/main.ts';

/** Posthorn in a process of its own that says how much memory it has, after a collection, whenever its parent asks. */
const config = readProcessConfig();
const posthorn = await startPosthorn(config, createLog('silent'));

process.on('message', (message) => {
  if (message === 'stop') void posthorn.stop().then(() => process.exit(0));
  if (message !== 'measure') return;
  for (let round = 0; round < 3; round += 1) (globalThis as unknown as { gc: () => void }).gc();
  const { heapUsed, external, rss } = process.memoryUsage();
  process.send?.({ bytes: heapUsed + external, rss });
});
process.on('disconnect', () => process.exit(1));
process.send?.({ url: posthorn.url });
