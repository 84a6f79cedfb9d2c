import { isIP } from 'node:net';

/** How a name is completed, from `resolv.conf`. */
export interface SearchRules {
  /** Domains that are appended to short names, in turn. */
  domains: string[];
  /** A name with so many dots or more is tried as it is first. */
  ndots: number;
}

/** As in the C library. */
const NDOTS_DEFAULT = 1;
const NDOTS_MAX = 15;
const DOMAINS_MAX = 6;

/** Addresses by name, in lower case, from the text of a `hosts` file. */
export function parseHosts(text: string): Map<string, string[]> {
  const hosts = new Map<string, string[]>();
  for (const line of linesOf(text)) {
    const [address = '', ...names] = line;
    if (!isIP(address)) continue;
    for (const name of names) {
      const key = name.toLowerCase();
      const known = hosts.get(key) ?? [];
      if (!known.includes(address)) known.push(address);
      hosts.set(key, known);
    }
  }
  return hosts;
}

/** The last `search` or `domain` line counts, and the last `ndots`, as in the C library. */
export function parseSearchRules(text: string): SearchRules {
  const rules: SearchRules = { domains: [], ndots: NDOTS_DEFAULT };
  for (const [keyword, ...values] of linesOf(text)) {
    if (keyword === 'search') rules.domains = values.slice(0, DOMAINS_MAX).map(withoutFinalDot).filter(Boolean);
    if (keyword === 'domain') rules.domains = values.slice(0, 1).map(withoutFinalDot).filter(Boolean);
    const ndots = keyword === 'options' && values.findLast((value) => /^ndots:\d{1,3}$/.test(value));
    if (ndots) rules.ndots = Math.min(Number(ndots.slice('ndots:'.length)), NDOTS_MAX);
  }
  return rules;
}

/** The full names that a name may stand for, in the order in which they are tried. A name that ends in a dot is full. */
export function completeName(name: string, { domains, ndots }: SearchRules): string[] {
  if (name.endsWith('.')) return [name.slice(0, -1)];
  const completed = domains.map((domain) => `${name}.${domain}`);
  return name.split('.').length - 1 >= ndots ? [name, ...completed] : [...completed, name];
}

const withoutFinalDot = (name: string): string => name.replace(/\.$/, '');

/** Words of each line, without comments. */
const linesOf = (text: string): string[][] =>
  text.split('\n').map((line) => (line.split(/[#;]/, 1)[0] as string).split(/\s+/).filter(Boolean));
