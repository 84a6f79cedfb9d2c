/** A process that takes the lock of the folder that it is told, answers how that went, and gives it free when told so. */
import { lockFolder } from '../../src/storage/folder-lock.ts';

let release: (() => Promise<void>) | undefined;

process.on('message', async (path: string | null) => {
  if (path === null) {
    await release?.();
    release = undefined;
    return process.send?.('free');
  }
  try {
    release = await lockFolder(path);
    process.send?.('locked');
  } catch (error) {
    process.send?.((error as Error).message);
  }
});
