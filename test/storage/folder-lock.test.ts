import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const LOCKER = new URL('../support/folder-locker.ts', import.meta.url);
const PROCESSES = 6;
const ROUNDS = 8;
/** Above what Linux gives out. */
const DEAD_PID = 4_194_305;

let lockers: ChildProcess[] = [];
let path: string;

beforeAll(async () => {
  path = await mkdtemp(join(tmpdir(), 'posthorn-lock-'));
  lockers = Array.from({ length: PROCESSES }, () => fork(LOCKER));
  await Promise.all(lockers.map((locker) => once(locker, 'spawn')));
});

afterAll(async () => {
  const exits = lockers.map((locker) => once(locker, 'exit'));
  for (const locker of lockers) locker.disconnect();
  await Promise.all(exits);
  await rm(path, { recursive: true });
});

const tell = async (locker: ChildProcess, message: string | null): Promise<string> => {
  const answer = once(locker, 'message');
  locker.send(message as string);
  return (await answer)[0];
};

async function contend(): Promise<string[]> {
  const answers = await Promise.all(lockers.map((locker) => tell(locker, path)));
  await Promise.all(lockers.map((locker) => tell(locker, null)));
  return answers;
}

describe('of several processes that want one folder at the same time', () => {
  it.each([
    ['a new folder', null],
    ['the folder of one that was killed', String(DEAD_PID)],
    ['a folder whose lock was never written to its end', ''],
  ])('exactly one gets %s', async (_, leftOver) => {
    for (let round = 0; round < ROUNDS; round += 1) {
      if (leftOver !== null) await writeFile(join(path, 'owner.pid'), leftOver);
      const answers = await contend();
      expect(answers.filter((answer) => answer === 'locked')).toHaveLength(1);
      expect(answers.filter((answer) => answer.includes('Another Posthorn'))).toHaveLength(PROCESSES - 1);
    }
  });
});
