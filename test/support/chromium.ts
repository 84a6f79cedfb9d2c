import { existsSync } from 'node:fs';
import { type Browser, chromium } from 'playwright-core';

/** Where packages put a Chromium: Debian's and its kin, Chrome, macOS. */
const PLACES = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
];

/** A browser of the machine; undefined: it has none. */
export const CHROMIUM_PATH = PLACES.find((path) => existsSync(path));

/** Where there is no browser, its tests are passed over, but not in CI, which has to have one. */
export const HAS_BROWSER = CHROMIUM_PATH !== undefined || process.env.CI !== undefined;
if (!HAS_BROWSER) console.warn('There is no Chromium on this machine: the tests of the dashboard are passed over.');

/** Nothing but the pages under test: no look-ups, updates or sandbox of the browser's own. */
const ARGUMENTS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

export const launchBrowser = (): Promise<Browser> => {
  if (!CHROMIUM_PATH)
    throw new Error('These tests need a Chromium. Install one, with Debian: apt-get install chromium');
  return chromium.launch({ executablePath: CHROMIUM_PATH, args: ARGUMENTS });
};
