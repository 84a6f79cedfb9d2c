import { FAULTS } from './faults.ts';
import { runFault } from './run.ts';

for (const f of FAULTS.filter(({ name }) => process.argv.length < 3 || process.argv.includes(name))) {
  console.log(
    f.name,
    await runFault(f, { isLong: process.argv.includes('--long') })
      .then(({ logs, ...r }) => ({
        ...r,
        logs: r.broken.length
          ? logs
              .map((l) =>
                l
                  .split('\n')
                  .slice(-6)
                  .map((x) => x.slice(0, 250))
                  .join('\n'),
              )
              .join('\n')
          : '',
      }))
      .catch((e) => e),
  );
}
process.exit(0);
