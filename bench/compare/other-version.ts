import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ROOT } from '../support/processes.ts';

const run = promisify(execFile);
const git = async (...words: string[]) => (await run('git', words, { cwd: ROOT })).stdout.trim();

/** Another version's code, ready to run. */
export interface OtherVersion {
  /** Its folder. */
  root: string;
  /** Short hash of its commit. */
  commit: string;
}

/** The ref does not name a commit. The message is one line for people. */
export class UnknownRefError extends Error {
  override readonly name = 'UnknownRefError';
}

/** @returns the full hash of the commit that a ref names @throws {UnknownRefError} */
export async function findCommit(ref: string): Promise<string> {
  try {
    return await git('rev-parse', '--verify', '--quiet', '--end-of-options', `${ref}^{commit}`);
  } catch {
    throw new UnknownRefError(`Unknown git ref ${ref}. Pass a branch, a tag or a commit of this repository.`);
  }
}

/** Builds versions in git worktrees below the folder for temporary files. */
export class OtherVersions {
  readonly #folders: string[] = [];
  readonly #abort = new AbortController();

  /**
   * Builds a commit in a new worktree. If its package-lock.json is the same, it uses the packages of this version.
   *
   * @param commit full hash
   */
  async build(commit: string, progress: (text: string) => void): Promise<OtherVersion> {
    const root = await mkdtemp(join(tmpdir(), 'posthorn-compare-'));
    this.#folders.push(root);
    await git('worktree', 'add', '--detach', '--quiet', root, commit);
    if (await hasSameLock(root)) {
      progress('using the installed packages');
      await symlink(join(ROOT, 'node_modules'), join(root, 'node_modules'));
    } else {
      progress('installing its packages');
      await this.#npm(root, 'ci', '--ignore-scripts', '--no-audit', '--no-fund');
    }
    await this.#npm(root, 'run', 'generate', '--silent');
    return { root, commit: await git('rev-parse', '--short', commit) };
  }

  async #npm(cwd: string, ...words: string[]) {
    await run('npm', words, { cwd, signal: this.#abort.signal });
  }

  /** Deletes all worktrees, and interrupts builds. */
  async remove(): Promise<void> {
    this.#abort.abort();
    for (const folder of this.#folders.splice(0)) {
      await git('worktree', 'remove', '--force', folder).catch(() => {});
      await rm(folder, { recursive: true, force: true });
    }
    await git('worktree', 'prune').catch(() => {});
  }
}

async function hasSameLock(root: string): Promise<boolean> {
  const [own, other] = await Promise.all([ROOT, root].map((path) => readFile(join(path, 'package-lock.json'), 'utf8')));
  return own === other;
}
