import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parse, print } from 'graphql';
import type { Plugin } from 'vitest/config';

const TAG = /graphql`([^`]*)`/g;
const COMPILE = 'run `cd examples/live && npx relay-compiler@21.0.1`';

/**
 * Does what `babel-plugin-relay` does in an application: puts the compiled operation in the place of each graphql`…`,
 * and refuses one that was compiled from another text. That plugin would bring Babel and a second graphql with it.
 */
export const relayArtifacts = (): Plugin => ({
  name: 'relay-artifacts',
  enforce: 'pre',
  transform: (code, file) => {
    if (!file.endsWith('.ts') || !code.includes("from 'relay-runtime'") || file.includes('__generated__')) return null;
    const imports: string[] = [];
    const replaced = code.replaceAll(TAG, (_, text: string) => {
      const name = /(?:query|subscription) (\w+)/.exec(text)?.[1] ?? '';
      const artifact = `./__generated__/${name}.graphql.ts`;
      checkHash(join(dirname(file), artifact), text);
      imports.push(`import compiled_${name} from '${artifact}';`);
      return `compiled_${name}`;
    });
    return { code: imports.join('') + replaced, map: null };
  },
});

/** The compiler signs with the MD5 of the operation as graphql 15 prints it: without spaces inside of braces. */
function checkHash(artifact: string, text: string) {
  const printed = print(parse(text)).replaceAll(/\{ (\w+: [^}]*) \}/g, '{$1}');
  const hash = createHash('md5').update(printed).digest('hex');
  if (!readFileSync(artifact, 'utf8').includes(hash)) throw new Error(`${artifact} is out of date: ${COMPILE}.`);
}
