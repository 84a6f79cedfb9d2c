// The very files that tests run against deliveries of a real Posthorn.
import go from '../../../examples/signatures/verify.go?raw';
import python from '../../../examples/signatures/verify.py?raw';
import node from '../../../examples/signatures/verify.ts?raw';

const LIBRARY = `import { Webhook } from 'standardwebhooks';

// rawBody: as it came. Throws where no signature fits.
const event = new Webhook('whsec_…').verify(rawBody, headers);
`;

/** Code that verifies signatures. The library of Standard Webhooks knows symmetric secrets alone, the others both kinds. */
export const SNIPPETS = [
  { value: 'library', label: 'Node, with a library', code: LIBRARY, kinds: ['HMAC_SHA256'] },
  { value: 'node', label: 'Node', code: node, kinds: ['HMAC_SHA256', 'ED25519'] },
  { value: 'python', label: 'Python', code: python, kinds: ['HMAC_SHA256', 'ED25519'] },
  { value: 'go', label: 'Go', code: go, kinds: ['HMAC_SHA256', 'ED25519'] },
];
