import { FAULTS } from './faults.ts';
import { runFault } from './run.ts';
for (const f of FAULTS.filter(({name}) => process.argv.length < 3 || process.argv.includes(name))) {
  console.log(f.name, await runFault(f, { isLong: process.argv.includes('--long') }).catch((e) => e));
}
process.exit(0);
