import { prepareBacklog } from '../support/backlog.ts';
import { addDrained, type Drained, drain } from '../support/delivering.ts';
import { startWorker } from '../support/processes.ts';
import { type Receiver, toCountColumns, withReceiver } from '../support/receiving.ts';
import { makeRow, type Row } from '../support/report.ts';
import type { Bench } from '../support/scenario.ts';
import { mean } from '../support/statistics.ts';
import { toUsageColumns } from '../support/usage.ts';

const ENDPOINTS = 50;
const EVENTS = 400;
const DELIVERIES = ENDPOINTS * EVENTS;
const ROUNDS = 3;
const RATIO_AT_LEAST = 0.85;

/**
 * A backlog of 20,000 deliveries to 50 endpoints on a local receiver, drained by a worker, and by the floor's four
 * loops from a copy of the same database, in turns.
 */
export const benchDeliver = (bench: Bench): Promise<Row[]> =>
  withReceiver(async (receiver) => {
    const { databases, progress } = bench;
    progress(`preparing ${DELIVERIES} deliveries`);
    const databaseUrl = await databases.create('deliver');
    await prepareBacklog({ databaseUrl, receiverUrl: receiver.url, endpoints: ENDPOINTS, events: EVENTS });
    const floors: number[] = [];
    const drained: Drained[] = [];
    for (let round = 1; round <= ROUNDS; round += 1) {
      progress(`round ${round} of ${ROUNDS}: floor`);
      floors.push(await timeFloor(await databases.clone(`deliver_floor_${round}`, 'deliver'), receiver));
      progress(`round ${round} of ${ROUNDS}: Posthorn`);
      const copyUrl = await databases.clone(`deliver_${round}`, 'deliver');
      drained.push(await drain({ databases, databaseUrl: copyUrl, receiver, deliveries: DELIVERIES }));
    }
    return [toRow(floors, addDrained(drained))];
  });

async function timeFloor(databaseUrl: string, receiver: Receiver): Promise<number> {
  await receiver.reset();
  const floor = startWorker<{ delivered: number; seconds: number }>('floor/deliver.ts', [databaseUrl]);
  try {
    const { delivered, seconds } = await floor.next();
    if (delivered !== DELIVERIES) throw new Error(`The floor delivered ${delivered} of ${DELIVERIES}.`);
    return delivered / seconds;
  } finally {
    await floor.stop();
  }
}

function toRow(floors: number[], drained: Drained): Row {
  const floor = mean(floors);
  return makeRow({
    scenario: 'deliver',
    variant: `${DELIVERIES} to ${ENDPOINTS}`,
    rate: drained.rate,
    floor,
    ...toUsageColumns(drained.usage, ROUNDS * DELIVERIES),
    ...toCountColumns(drained.report, ROUNDS * DELIVERIES),
    bars: [{ name: 'ratio', value: drained.rate / floor, atLeast: RATIO_AT_LEAST }],
  });
}
