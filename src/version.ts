import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Posthorn's version, from package.json, for example `0.1.0`. */
export const VERSION: string = JSON.parse(readFileSync(join(import.meta.dirname, '../package.json'), 'utf8')).version;
