import type { Role } from '../config.ts';
import type { Started } from './start.ts';

/**
 * Tells the person at the terminal how to sign in. Secrets, which are the operator's key and the sign-in link, go to a
 * terminal only: other output is often kept or sent elsewhere.
 */
export async function welcome(started: Started, role: Role): Promise<void> {
  const { url, newRootKey, signInUrl } = started;
  const isTerminal = process.stderr.isTTY === true;
  const lines = ['', 'Posthorn is ready.'];
  if (signInUrl !== null && isTerminal) {
    lines.push(`Dashboard:     ${signInUrl}`);
    lines.push('               Signs you in once, within an hour. Later, sign in with the key.');
  } else if (role !== 'worker') {
    lines.push(`Dashboard:     ${url}/`);
  }
  // A worker serves health checks only.
  lines.push(role === 'worker' ? `Health:        ${url}/readyz` : `GraphQL:       ${url}/graphql`);
  lines.push(...describeKey(started, isTerminal), 'Stop with Ctrl-C.', '', '');
  process.stderr.write(lines.join('\n'));
  if (newRootKey !== null && isTerminal) await started.confirmRootKeyShown();
}

function describeKey({ newRootKey, rootKeyFile }: Started, isTerminal: boolean): string[] {
  if (rootKeyFile === null) return ['Operator key:  the value of POSTHORN_ROOT_KEY.'];
  const place = `"rootKey" in ${rootKeyFile}`;
  if (newRootKey === null || !isTerminal) return [`Operator key:  ${place}`];
  return [`Operator key:  ${newRootKey}`, `               Shown once. It stays in ${place}`];
}
