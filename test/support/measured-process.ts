import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { ENCRYPTION_KEY, ROOT_KEY } from './posthorn.ts';

export interface Memory {
  /** Of the heap and outside of it, after a collection. */
  bytes: number;
  /** What the system counts, garbage included. */
  rss: number;
}

/** A Posthorn in a process of its own whose memory can be measured. */
export interface MeasuredProcess {
  url: string;
  measure(): Promise<Memory>;
  stop(): Promise<void>;
}

export async function startMeasured(databaseUrl: string, env: Record<string, string> = {}): Promise<MeasuredProcess> {
  const child = fork(join(import.meta.dirname, 'measured-main.ts'), {
    execArgv: ['--expose-gc'],
    env: {
      ...{ PATH: process.env.PATH, HOME: process.env.HOME, PORT: '0', DATABASE_URL: databaseUrl, POSTHORN_ROLE: 'api' },
      POSTHORN_ROOT_KEY: ROOT_KEY,
      POSTHORN_ENCRYPTION_KEY: ENCRYPTION_KEY.toString('base64'),
      ...env,
    },
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const exited = once(child, 'exit');
  const receive = async () => (await once(child, 'message'))[0];
  const { url } = await receive();
  return {
    url,
    measure: () => {
      const received = receive();
      child.send('measure');
      return received;
    },
    stop: async () => {
      child.send('stop');
      await exited;
    },
  };
}
