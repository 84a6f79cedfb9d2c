import type { Databases } from '../support/databases.ts';
import { ROOT } from '../support/processes.ts';
import { withReceiver } from '../support/receiving.ts';
import { startWatchers } from '../support/watching.ts';
import { COMPARISONS } from './comparisons.ts';
import type { OtherVersion } from './other-version.ts';
import type { Comparison, Equipment, Sample, Side } from './sides.ts';
import { type Pair, type Summary, summarize } from './summary.ts';

/** Fewer pairs say little on a machine that does something else as well. */
export const PAIRS_DEFAULT = 7;

export interface CompareOptions {
  databases: Databases;
  other: OtherVersion;
  /** Names from {@link COMPARISONS}. */
  scenarios: string[];
  pairs: number;
  progress: (text: string) => void;
}

/**
 * Measures this version and another one alternately, with this version's load on both. Every other pair begins with the
 * other version, so that a machine which becomes slower or faster favors neither.
 */
export async function* compare(options: CompareOptions): AsyncGenerator<Summary> {
  const { databases, other, scenarios } = options;
  const sides: Record<Side['name'], Side> = {
    this: { name: 'this', root: ROOT },
    other: { name: 'other', root: other.root },
  };
  for (const scenario of scenarios) {
    await databases.dropAll();
    yield await compareScenario(options, { scenario, sides });
  }
}

interface Compared {
  scenario: string;
  sides: Record<Side['name'], Side>;
}

const compareScenario = ({ databases, pairs: count, progress }: CompareOptions, { scenario, sides }: Compared) =>
  withReceiver(async (receiver) => {
    const comparison = COMPARISONS[scenario] as Comparison;
    const watchers = await startWatchers();
    try {
      const equipment = { databases, receiver, watchers };
      progress(`${scenario}: preparing`);
      for (const side of [sides.other, sides.this]) await prepare(equipment, { scenario, comparison, side });
      const pairs: Pair[] = [];
      while (pairs.length < count) {
        const order: Side['name'][] = pairs.length % 2 === 0 ? ['this', 'other'] : ['other', 'this'];
        const samples: Partial<Pair> = {};
        for (const name of order) {
          samples[name] = await measure(equipment, { scenario, comparison, side: sides[name] });
        }
        pairs.push(samples as Pair);
        progress(`${scenario}: pair ${pairs.length} of ${count}, ${describe(samples as Pair)}`);
      }
      return summarize(scenario, comparison.operation, pairs);
    } finally {
      await watchers.stop();
    }
  });

interface TurnOptions {
  scenario: string;
  comparison: Comparison;
  side: Side;
}

const toTemplateName = (scenario: string, { name }: Side) => `compare_${scenario}_${name}`;

async function prepare(equipment: Equipment, { scenario, comparison, side }: TurnOptions) {
  const databaseUrl = await equipment.databases.create(toTemplateName(scenario, side));
  await comparison.prepare({ ...equipment, side, databaseUrl });
}

/** Each turn has a copy of the prepared database, so that the rows that a turn stores do not slow down the next one. */
async function measure(equipment: Equipment, { scenario, comparison, side }: TurnOptions): Promise<Sample> {
  const { databases } = equipment;
  const template = toTemplateName(scenario, side);
  const name = `${template}_turn`;
  const databaseUrl = await databases.clone(name, template);
  const sample = await comparison.measure({ ...equipment, side, databaseUrl });
  await databases.drop(name);
  return sample;
}

function describe(pair: Pair): string {
  const toCpu = ({ cpuSeconds, operations }: Sample) =>
    cpuSeconds === null ? Number.NaN : (cpuSeconds.posthorn + cpuSeconds.postgres) / operations;
  const rate = (pair.this.ratePerSecond / pair.other.ratePerSecond).toFixed(3);
  const cpu = (toCpu(pair.this) / toCpu(pair.other)).toFixed(3);
  return `rate ${rate}, CPU ${cpu}`;
}
