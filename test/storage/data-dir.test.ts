import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { StartupError } from '../../src/errors.ts';
import { openDataDir } from '../../src/storage/data-dir.ts';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'posthorn-data-'));
});

afterEach(() => rm(folder, { recursive: true, force: true }));

const keysFile = () => join(folder, 'keys.json');
const IS_ROOT = process.getuid?.() === 0;

/** Expects a refusal in one line that names the absolute path. @returns the line */
async function expectRefusal(path: string): Promise<string> {
  const error = await openDataDir(path).then(
    () => null,
    (reason) => reason,
  );
  expect(error).toBeInstanceOf(StartupError);
  expect(error.message).toContain(folder);
  expect(error.message).not.toContain('\n');
  return error.message;
}

describe('a data directory', () => {
  it('keeps its keys, and whether a terminal has shown the key of the operator', async () => {
    const first = await openDataDir(relative('.', folder));
    expect(first.keysFile).toBe(keysFile());
    expect(first.keys.isRootKeyShown).toBe(false);
    await first.release();
    const second = await openDataDir(folder);
    expect(second.keys).toEqual(first.keys);
    await second.confirmRootKeyShown();
    await second.release();
    const third = await openDataDir(folder);
    expect(third.keys).toEqual({ ...first.keys, isRootKeyShown: true });
    await third.release();
  });

  it('accepts the keys of version 0.1.0', async () => {
    const keys = { rootKey: 'phr_x', encryptionKey: Buffer.alloc(32, 1).toString('base64'), databasePassword: 'x' };
    await writeFile(keysFile(), JSON.stringify(keys));
    const dataDir = await openDataDir(folder);
    expect(dataDir.keys).toEqual({ ...keys, isRootKeyShown: false });
    await dataDir.release();
  });

  it('retires the old key of a rotation only when that has finished', async () => {
    const dataDir = await openDataDir(folder);
    const { encryptionKey } = dataDir.keys;
    await dataDir.startRotation();
    const started = dataDir.keys;
    expect(started.oldEncryptionKeys).toEqual([encryptionKey]);
    await dataDir.startRotation();
    expect(dataDir.keys).toEqual(started);
    await dataDir.finishRotation();
    expect(dataDir.keys.oldEncryptionKeys).toBeUndefined();
    expect(JSON.parse(await readFile(keysFile(), 'utf8'))).toMatchObject({
      encryptionKey: started.encryptionKey,
      retiredEncryptionKeys: [encryptionKey],
    });
    await dataDir.release();
  });

  it.each([
    ['empty', ''],
    ['cut off', '{"rootKey": "phr_secret", "encr'],
    ['not an object', '[]'],
    ['without a password', '{"rootKey":"phr_secret","encryptionKey":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}'],
    ['with a key that is too short', '{"rootKey":"phr_secret","encryptionKey":"AAAA","databasePassword":"x"}'],
  ])('whose keys.json is %s is refused in one line without a secret, and left as it is', async (_, text) => {
    await writeFile(keysFile(), text);
    const line = await expectRefusal(folder);
    expect(line).toContain('keys.json is damaged');
    expect(line).not.toContain('phr_secret');
    expect(await readFile(keysFile(), 'utf8')).toBe(text);
    await writeFile(keysFile(), text);
    expect(await expectRefusal(folder)).toBe(line);
  });

  it('with a database but without keys.json is refused, and gets no new keys', async () => {
    await mkdir(join(folder, 'cluster'));
    await writeFile(join(folder, 'cluster/PG_VERSION'), '18\n');
    expect(await expectRefusal(folder)).toContain('keys.json is missing');
    await expect(readFile(keysFile())).rejects.toThrow('ENOENT');
  });

  it('in whose place is a file is refused', async () => {
    const path = join(folder, 'file');
    await writeFile(path, '');
    expect(await expectRefusal(path)).toContain('a file is in its place');
    expect(await expectRefusal(join(path, 'below'))).toContain('a file is in place of a folder');
  });

  it.skipIf(IS_ROOT)('that is not writable is refused', async () => {
    await chmod(folder, 0o500);
    expect(await expectRefusal(folder)).toContain('permission denied');
    expect(await expectRefusal(join(folder, 'below'))).toContain('permission denied');
  });

  it('on a file system that is not writable is refused', async () => {
    // Nobody can create a folder in /sys, not even root.
    const error = await openDataDir('/sys/posthorn').catch((reason) => reason);
    expect(error).toBeInstanceOf(StartupError);
    expect(error.message).toMatch(/^The data directory \/sys\/posthorn cannot be used: [^\n]+POSTHORN_DATA_DIR[^\n]+$/);
  });

  it.each(['/proc', '/proc/posthorn', '/tmp/../proc/self/posthorn'])('at %s is refused at once', async (path) => {
    const error = await openDataDir(path).catch((reason) => reason);
    expect(error).toBeInstanceOf(StartupError);
    expect(error.message).toContain('/proc stores no files. Set POSTHORN_DATA_DIR to another folder.');
  });
});
