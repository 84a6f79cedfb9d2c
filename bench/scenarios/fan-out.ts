import { type Backlog, prepareBacklog } from '../support/backlog.ts';
import { addDrained, type Drained, drain } from '../support/delivering.ts';
import { toCountColumns, withReceiver } from '../support/receiving.ts';
import { makeRow, type Row } from '../support/report.ts';
import type { Bench } from '../support/scenario.ts';
import { toUsageColumns } from '../support/usage.ts';

const DELIVERIES = 20_000;
/** One event each. */
const ENDPOINTS = 1_000;
/** What `deliver` has. */
const ENDPOINTS_OF_FLOOR = 50;
const ROUNDS = 2;
/** Many endpoints are to cost nothing, so 1, less what two runs of the same on a busy machine differ by. */
const RATIO_AT_LEAST = 0.9;

/** 20 events to 1,000 endpoints each, against Posthorn itself with as many deliveries to 50 endpoints, in turns. */
export const benchFanOut = (bench: Bench): Promise<Row[]> =>
  withReceiver(async (receiver) => {
    const { databases, progress } = bench;
    const prepare = async (name: string, endpoints: number) => {
      progress(`preparing ${DELIVERIES} deliveries to ${endpoints} endpoints`);
      const databaseUrl = await databases.create(name);
      const backlog: Backlog = { databaseUrl, receiverUrl: receiver.url, endpoints, events: DELIVERIES / endpoints };
      await prepareBacklog(backlog);
    };
    await prepare('fan_out_floor', ENDPOINTS_OF_FLOOR);
    await prepare('fan_out', ENDPOINTS);
    const measure = async (name: string, round: number) => {
      progress(`round ${round} of ${ROUNDS}: ${name}`);
      const databaseUrl = await databases.clone(`${name}_${round}`, name);
      return drain({ databases, databaseUrl, receiver, deliveries: DELIVERIES });
    };
    const floors: Drained[] = [];
    const drained: Drained[] = [];
    for (let round = 1; round <= ROUNDS; round += 1) {
      floors.push(await measure('fan_out_floor', round));
      drained.push(await measure('fan_out', round));
    }
    return [toRow(addDrained(floors), addDrained(drained))];
  });

function toRow(floor: Drained, drained: Drained): Row {
  const count = ROUNDS * DELIVERIES;
  return makeRow({
    scenario: 'fan-out',
    variant: `${DELIVERIES} to ${ENDPOINTS}`,
    rate: drained.rate,
    floor: floor.rate,
    ...toUsageColumns(drained.usage, count),
    ...toCountColumns(drained.report, count),
    bars: [{ name: 'ratio', value: drained.rate / floor.rate, atLeast: RATIO_AT_LEAST }],
    note: `floor: to ${ENDPOINTS_OF_FLOOR}`,
  });
}
