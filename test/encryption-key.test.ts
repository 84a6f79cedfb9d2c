import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { Webhook } from 'standardwebhooks';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { readConfig } from '../src/config.ts';
import { type EncryptedPlace, Keyring } from '../src/domain/sealing.ts';
import { rotateEncryptionKey } from '../src/rotate-encryption-key.ts';
import { findFreePort } from '../src/storage/embedded-postgres.ts';
import { sealAnew } from '../src/storage/seal-anew.ts';
import { SEALED_COLUMNS } from '../src/storage/sealed-columns.ts';
import { issueCertificate } from './support/certificates.ts';
import { createTestDatabase, type TestDatabase } from './support/database.ts';
import { sealWithoutKeyId, sealWithoutPlace } from './support/earlier-encryption.ts';
import { until, useTestBed } from './support/posthorn.ts';
import { findLogLine, type Process, useProcesses, waitUntilStarted } from './support/processes.ts';
import { useReceiver } from './support/receiver.ts';

const KEY_A = Buffer.alloc(32, 1);
const KEY_B = Buffer.alloc(32, 2);
const [A, B] = [KEY_A.toString('base64'), KEY_B.toString('base64')];
const ONLY_A = { POSTHORN_ENCRYPTION_KEY: A };
const ONLY_B = { POSTHORN_ENCRYPTION_KEY: B };
const FROM_A_TO_B = { POSTHORN_ENCRYPTION_KEY: B, POSTHORN_OLD_ENCRYPTION_KEYS: A };
/** A heartbeat of 12 s, and time to spare on a busy machine. */
const TAKEOVER = { timeout: 45_000, interval: 50 };

/** Asks other processes over HTTP; makes no attempts of its own. */
const bed = useTestBed({ role: 'api' });
const receiver = useReceiver();
const cleanUps: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

const { spawnOn, spawnPosthorn } = useProcesses();

async function createDatabase(): Promise<TestDatabase> {
  const database = await createTestDatabase();
  cleanUps.push(() => database.drop());
  return database;
}

/** Runs the command as people do. */
function rotate(
  env: Record<string, string>,
  args: string[] = [],
): Promise<{ code: number; stdout: string; stderr: string }> {
  const options = { env: { PATH: process.env.PATH, HOME: process.env.HOME, ...env }, timeout: 60_000 };
  return new Promise((resolve) => {
    execFile(process.execPath, ['src/rotate-encryption-key.ts', ...args], options, (error, stdout, stderr) => {
      resolve({ code: error ? Number(error.code) : 0, stdout, stderr });
    });
  });
}

/** An encrypted value and where it is stored. */
interface Sealed {
  sealed: Buffer;
  place: EncryptedPlace;
}

/** Every encrypted value that a database holds. */
async function readSealed(database: TestDatabase): Promise<Sealed[]> {
  const values: Sealed[] = [];
  for (const { table, column } of SEALED_COLUMNS) {
    const sql = `select id, ${column} as sealed from ${table} where ${column} is not null`;
    const rows = await database.query<{ id: string; sealed: Buffer }>(sql);
    values.push(...rows.map(({ id, sealed }) => ({ sealed, place: { table, column, id } })));
  }
  return values;
}

const countOpenable = (values: Sealed[], keyring: Keyring) => values.filter((value) => canOpen(keyring, value)).length;

function canOpen(keyring: Keyring, { sealed, place }: Sealed): boolean {
  try {
    keyring.open(sealed, place);
    return true;
  } catch {
    return false;
  }
}

async function stop({ child, exited }: Process) {
  child.kill('SIGTERM');
  expect((await exited).code).toBe(0);
}

/** @returns the one line on standard error with which a process refuses to start */
async function expectRefusal(started: Process): Promise<string> {
  expect(await started.exited).toEqual({ code: 1, signal: null });
  expect(started.stderr()).toMatch(/^[^\n]+\n$/);
  return started.stderr();
}

/**
 * Publishes again and again until it is told to end, each event until it is answered: a process that stops may close a
 * connection just when it is used again. @returns the IDs of all deliveries
 */
function publishOn(type: string, findUrl: () => string) {
  const deliveryIds: string[] = [];
  let isOver = false;
  const publishOnce = async (idempotencyKey: string): Promise<string[]> => {
    try {
      return (await bed.publish({ type, idempotencyKey }, { url: findUrl() })).deliveryIds;
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
      return publishOnce(idempotencyKey);
    }
  };
  const publishing = (async () => {
    for (let number = 0; !isOver; number += 1) {
      deliveryIds.push(...(await publishOnce(`${type} ${number}`)));
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  })();
  return async () => {
    isOver = true;
    await publishing;
    return deliveryIds;
  };
}

describe('the way from one key to the next', () => {
  it('loses nothing: two processes change to the new key while deliveries go on, and afterwards none needs the old one', async () => {
    const database = await createDatabase();
    const clientCertificate = await issueCertificate();
    const common = { headers: { 'x-key': 'secret' }, eventTypes: ['rolled.*'], clientCertificate };
    const [first, second] = [spawnOn(database.url, ONLY_A), spawnOn(database.url, ONLY_A)];
    let url = await waitUntilStarted(first);
    await waitUntilStarted(second);
    const before = await bed.createEndpoint({ url: receiver.url('/before'), ...common }, { url });
    const end = publishOn('rolled.on', () => url);

    const third = spawnOn(database.url, FROM_A_TO_B);
    url = await waitUntilStarted(third);
    await stop(first);
    const between = await bed.createEndpoint({ url: receiver.url('/between'), ...common }, { url });
    const fourth = spawnOn(database.url, FROM_A_TO_B);
    await waitUntilStarted(fourth);
    await stop(second);
    const after = await bed.createEndpoint({ url: receiver.url('/after'), ...common }, { url });

    expect(await expectRefusal(spawnOn(database.url, ONLY_B))).toMatch(
      /not the key.*POSTHORN_OLD_ENCRYPTION_KEYS until `npm run rotate-encryption-key`/,
    );
    const rotation = await rotate({ DATABASE_URL: database.url, ...FROM_A_TO_B });
    expect(rotation).toMatchObject({ code: 0, stderr: '' });
    expect(rotation.stdout).toMatch(
      /^0 of 3 values are encrypted again\.\n(.*\n)*Done: 3 values.*Remove POSTHORN_OLD_ENCRYPTION_KEYS/,
    );
    const values = await readSealed(database);
    expect(values).toHaveLength(9);
    expect(countOpenable(values, new Keyring(KEY_A))).toBe(0);
    expect(countOpenable(values, new Keyring(KEY_B))).toBe(9);
    expect(await expectRefusal(spawnOn(database.url, ONLY_A))).toMatch(/not the key.*has the old one, set the new one/);

    const fifth = spawnOn(database.url, ONLY_B);
    url = await waitUntilStarted(fifth);
    await stop(third);
    await stop(fourth);
    await bed.publish({ type: 'rolled.last' }, { url });
    const deliveryIds = await end();
    expect(deliveryIds.length).toBeGreaterThan(20);
    await vi.waitFor(async () => {
      const undelivered = await database.query(`select id from deliveries where status <> 'DELIVERED'`);
      expect(undelivered).toEqual([]);
    }, TAKEOVER);
    expect(await database.query(`select id from delivery_attempts where status = 'FAILED'`)).toEqual([]);
    for (const [path, { secret }] of Object.entries({ '/before': before, '/between': between, '/after': after })) {
      expect(receiver.to(path).length).toBeGreaterThan(0);
      for (const { body, headers } of receiver.to(path)) {
        expect(headers['x-key']).toBe('secret');
        new Webhook(secret).verify(body.toString(), headers as Record<string, string>);
      }
    }
  }, 120_000);

  it('a process that only knows the old key says so at a value of the new one, and leaves its delivery to others', async () => {
    const database = await createDatabase();
    const api = spawnOn(database.url, { ...ONLY_B, POSTHORN_ROLE: 'api' });
    const url = await waitUntilStarted(api);
    const old = spawnOn(database.url, { ...ONLY_A, POSTHORN_ROLE: 'worker' });
    await waitUntilStarted(old);
    await bed.createEndpoint({ url: receiver.url('/new'), eventTypes: ['new'] }, { url });
    const { deliveryIds } = await bed.publish({ type: 'new' }, { url });
    const line = await until(() => findLogLine(old.stdout(), 'dispatcher.delivery_failed'), 'its word');
    expect(line.error).toContain(`key ID ${new Keyring(KEY_B).currentKeyId}`);
    expect(line.error).toMatch(/POSTHORN_ENCRYPTION_KEY.*POSTHORN_OLD_ENCRYPTION_KEYS/);
    const query = 'query ($id: ID!) { delivery(id: $id) { status attemptCount } }';
    const read = () => bed.ask(query, { id: deliveryIds[0] }, { url });
    expect(await read()).toEqual({ status: 'PENDING', attemptCount: 0 });
    await stop(old);
    await waitUntilStarted(spawnOn(database.url, { ...ONLY_B, POSTHORN_ROLE: 'worker' }));
    await vi.waitFor(async () => expect(await read()).toEqual({ status: 'DELIVERED', attemptCount: 1 }), TAKEOVER);
    expect(receiver.to('/new')).toHaveLength(1);
  }, 90_000);
});

/** A database with so many secrets of one endpoint. */
async function createSecrets(count: number, seal: (text: string) => Buffer) {
  const database = await createDatabase();
  const pool = new pg.Pool({ connectionString: database.url, max: 2, application_name: 'test' });
  cleanUps.push(() => pool.end());
  await pool.query(`insert into organizations (id, name) values (gen_random_uuid(), 'x')`);
  await pool.query(`insert into environments (id, organization_id, name)
    select gen_random_uuid(), id, 'x' from organizations where name = 'x'`);
  await pool.query(`insert into endpoints
    (id, organization_id, environment_id, name, url, method, status, header_names, max_retries, delays_seconds, jitter, timeout_ms)
    select gen_random_uuid(), organization_id, id, 'x', 'http://x/', 'POST', 'ACTIVE', '{}', 0, '{1}', 0, 100
    from environments where name = 'x'`);
  await pool.query(
    `insert into endpoint_secrets (id, endpoint_id, sealed)
     select gen_random_uuid(), e.id, s.sealed from endpoints e, unnest($1::bytea[]) as s (sealed)`,
    [Array.from({ length: count }, (_, index) => seal(`secret ${index}`))],
  );
  return { database, pool };
}

describe('sealing anew', () => {
  const fromAToB = new Keyring(KEY_B, [KEY_A]);

  it('that is cut off after a batch goes on from there', async () => {
    const { database, pool } = await createSecrets(1_200, (text) => sealWithoutPlace(text, KEY_A));
    for await (const { sealed } of sealAnew(pool, fromAToB)) if (sealed > 0) break;
    expect(countOpenable(await readSealed(database), new Keyring(KEY_B))).toBe(500);
    const steps: number[] = [];
    for await (const { sealed, total } of sealAnew(pool, fromAToB)) steps.push(sealed, total);
    expect(steps).toEqual([0, 700, 500, 700, 700, 700]);
    const texts = (await readSealed(database)).map(({ sealed, place }) => new Keyring(KEY_B).open(sealed, place));
    expect(new Set(texts)).toEqual(new Set(Array.from({ length: 1_200 }, (_, index) => `secret ${index}`)));
  });

  it('leaves what somebody changes meanwhile as it is then, and seals that anew', async () => {
    const { database, pool } = await createSecrets(10, (text) => sealWithoutPlace(text, KEY_A));
    let hasChanged = false;
    const query = async (text: string, values: unknown[]) => {
      if (text.startsWith('update endpoint_secrets') && !hasChanged) {
        hasChanged = true;
        await pool.query('update endpoint_secrets set sealed = $1', [sealWithoutPlace('changed', KEY_A)]);
      }
      return pool.query(text, values);
    };
    for await (const _ of sealAnew({ query } as unknown as pg.Pool, fromAToB));
    const texts = (await readSealed(database)).map(({ sealed, place }) => new Keyring(KEY_B).open(sealed, place));
    expect(texts).toEqual(Array.from({ length: 10 }, () => 'changed'));
  });

  it('gives values that do not name their key one that does', async () => {
    const { database, pool } = await createSecrets(3, (text) => sealWithoutKeyId(text, KEY_A));
    expect(await expectRefusal(spawnOn(database.url, ONLY_B))).toMatch(/not the key.*before key IDs/);
    for await (const _ of sealAnew(pool, fromAToB));
    expect(countOpenable(await readSealed(database), new Keyring(KEY_B))).toBe(3);
  });

  it('binds values of version 0.1.0 to their rows, with the same key too', async () => {
    const { database, pool } = await createSecrets(3, (text) => sealWithoutPlace(text, KEY_A));
    const keyring = new Keyring(KEY_A);
    expect(countOpenable(await readSealed(database), keyring)).toBe(3);
    for await (const _ of sealAnew(pool, keyring));
    const values = await readSealed(database);
    expect(countOpenable(values, keyring)).toBe(3);
    const moved = values.map(({ sealed }, index) => ({ sealed, place: (values.at(index - 1) as Sealed).place }));
    expect(countOpenable(moved, keyring)).toBe(0);
    for await (const progress of sealAnew(pool, keyring)) {
      expect(progress).toEqual({ sealed: 0, total: 0, unreadable: [] });
    }
  });

  it('tells of values that no key opens, and does all others', async () => {
    const lost = Buffer.alloc(32, 3);
    let count = 0;
    const { database } = await createSecrets(600, (text) => sealWithoutPlace(text, count++ % 2 ? lost : KEY_A));
    const { code, stdout, stderr } = await rotate({ DATABASE_URL: database.url, ...FROM_A_TO_B });
    expect([code, stderr]).toEqual([1, expect.stringMatching(/^300 values could not be encrypted again[^\n]*\n$/)]);
    expect(stderr).toContain(`key ID ${new Keyring(lost).currentKeyId}`);
    expect(stdout).toContain('300 of 600 values are encrypted again.');
    expect(countOpenable(await readSealed(database), new Keyring(KEY_B))).toBe(300);
  });

  it('knows every sealed column of the database', async () => {
    const columns = await bed.database.query(
      `select table_name as table, column_name as column from information_schema.columns
       where table_schema = 'public' and data_type = 'bytea' and column_name like '%sealed%' order by 1, 2`,
    );
    const known = SEALED_COLUMNS.toSorted((one, other) => one.column.localeCompare(other.column));
    expect(columns).toHaveLength(known.length);
    expect(columns).toEqual(expect.arrayContaining([...known]));
  });
});

describe('an encrypted value that somebody moves to another endpoint', () => {
  it('is not used: nothing is sent, the log names its place, and the endpoint delivers again with its own value', async () => {
    const database = await createDatabase();
    const started = spawnOn(database.url, ONLY_A);
    const url = await waitUntilStarted(started);
    await bed.createEndpoint({ url: receiver.url('/victim'), headers: { 'x-key': 'secret-of-victim' } }, { url });
    const attacker = { url: receiver.url('/attacker'), headers: { 'x-key': 'own' }, eventTypes: ['moved'] };
    const { id } = await bed.createEndpoint(attacker, { url });
    const [own] = await database.query<{ id: string; headers_sealed: Buffer }>(
      `select id, headers_sealed from endpoints where url like '%/attacker'`,
    );
    await database.query(`update endpoints set headers_sealed =
      (select headers_sealed from endpoints where url like '%/victim') where url like '%/attacker'`);
    const { deliveryIds } = await bed.publish({ type: 'moved', endpointId: id }, { url });
    const line = await until(() => findLogLine(started.stdout(), 'dispatcher.delivery_failed'), 'the log to tell');
    expect(line.error).toContain(`endpoints.headers_sealed, row ${own?.id}`);
    expect(started.stdout() + started.stderr()).not.toContain('secret-of-victim');
    expect(receiver.to('/attacker')).toEqual([]);
    await database.query('update endpoints set headers_sealed = $1 where id = $2', [own?.headers_sealed, own?.id]);
    const query = 'query ($id: ID!) { delivery(id: $id) { status } }';
    const read = () => bed.ask(query, { id: deliveryIds[0] }, { url });
    await vi.waitFor(async () => expect(await read()).toEqual({ status: 'DELIVERED' }), TAKEOVER);
    expect(receiver.to('/attacker')[0]?.headers['x-key']).toBe('own');
  }, 90_000);
});

describe('the command', () => {
  const say = (lines: string[]) => (line: string) => void lines.push(line);
  const configOf = (url: string, waitMs = 0) =>
    readConfig({ POSTHORN_ROLE: 'worker', DATABASE_URL: url, POSTHORN_DATABASE_WAIT_MS: `${waitMs}`, ...FROM_A_TO_B });

  it('works in sessions like those of a process, whatever limits the database sets', async () => {
    const { database, pool } = await createSecrets(1, (text) => sealWithoutPlace(text, KEY_A));
    const name = new URL(database.url).pathname.slice(1);
    await database.query(`alter database ${name} set transaction_timeout = '500ms'`);
    await database.query(`alter database ${name} set statement_timeout = '1ms'`);
    const client = await pool.connect();
    cleanUps.push(async () => client.release());
    await client.query('begin; select from endpoint_secrets for update');
    const lines: string[] = [];
    const rotated = rotateEncryptionKey(configOf(database.url), say(lines));
    const waitsForLong = async () => {
      const rows = await database.query(
        `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'
           and clock_timestamp() - query_start > interval '700 ms'`,
      );
      return rows.length;
    };
    await Promise.race([rotated, expect.poll(waitsForLong, { timeout: 20_000 }).toBe(1)]);
    await client.query('commit');
    await rotated;
    expect(lines.at(-1)).toMatch(/^Done: 1 values/);
  }, 30_000);

  it('waits for the database as a start does, and says in one line if it stays away', async () => {
    const database = await createDatabase();
    const target = new URL(database.url);
    const port = await findFreePort();
    const url = Object.assign(new URL(database.url), { port: String(port) }).href;
    const lines: string[] = [];
    await expect(rotateEncryptionKey(configOf(url), say(lines))).rejects.toThrow(
      /^Postgres at DATABASE_URL can't be reached \([^\n]*POSTHORN_DATABASE_WAIT_MS[^\n]*$/,
    );
    expect(lines).toEqual([]);
    const rotated = rotateEncryptionKey(configOf(url, 60_000), say(lines));
    await expect.poll(() => lines).toEqual(['Waiting for the database.']);
    const server = createServer((socket) => {
      const onward = connect(Number(target.port), target.hostname);
      socket.pipe(onward).pipe(socket);
      for (const end of [socket, onward]) end.on('error', () => {});
    }).listen(port, '127.0.0.1');
    cleanUps.push(async () => server.close());
    await rotated;
    expect(lines.at(-1)).toMatch(/^Done: 0 values/);
  }, 30_000);
});

describe('the embedded default', () => {
  const spawnIn = (path: string) => spawnPosthorn({ POSTHORN_DATA_DIR: path });
  const readKeys = async (path: string) => JSON.parse(await readFile(join(path, 'keys.json'), 'utf8'));

  /** A Posthorn on a folder delivers to an endpoint that its first start made. */
  async function deliverFrom(path: string, secret?: string): Promise<string> {
    const started = spawnIn(path);
    const url = await waitUntilStarted(started);
    const key = (await readKeys(path)).rootKey;
    const made = secret ?? (await bed.createEndpoint({ url: receiver.url('/embedded') }, { url, key })).secret;
    const count = receiver.to('/embedded').length;
    await bed.publish({}, { url, key });
    const { body, headers } = (await receiver.waitFor(count + 1, '/embedded'))[count] ?? { body: '', headers: {} };
    new Webhook(made).verify(body.toString(), headers as Record<string, string>);
    await stop(started);
    return made;
  }

  it('gets a new key by the command, even if that was interrupted before, and the file keeps the old one as retired', async () => {
    const path = await mkdtemp(join(tmpdir(), 'posthorn-data-'));
    cleanUps.push(() => rm(path, { recursive: true, force: true }));
    const secret = await deliverFrom(path);
    const keys = await readKeys(path);
    // As a command leaves it that was cut off right after it made the key.
    const renewed = { ...keys, encryptionKey: B, oldEncryptionKeys: [keys.encryptionKey] };
    await writeFile(join(path, 'keys.json'), JSON.stringify(renewed));
    await deliverFrom(path, secret);
    const finished = await rotate({ POSTHORN_DATA_DIR: path });
    expect(finished).toMatchObject({ code: 0, stdout: expect.stringMatching(/Done: 1 values.*keys\.json/) });
    expect(await readKeys(path)).toEqual({ ...keys, encryptionKey: B, retiredEncryptionKeys: [keys.encryptionKey] });
    const again = await rotate({ POSTHORN_DATA_DIR: path });
    expect(again.code).toBe(0);
    const { encryptionKey, oldEncryptionKeys, retiredEncryptionKeys } = await readKeys(path);
    expect([B, keys.encryptionKey]).not.toContain(encryptionKey);
    expect(oldEncryptionKeys).toBeUndefined();
    expect(retiredEncryptionKeys).toEqual([B, keys.encryptionKey]);
    await deliverFrom(path, secret);
  }, 120_000);

  it.each([
    ['--help', 0],
    ['--version', 0],
    ['--hepl', 2],
    ['now', 2],
  ])('keeps its key if the command is called with %s', async (arg, code) => {
    const path = await mkdtemp(join(tmpdir(), 'posthorn-data-'));
    cleanUps.push(() => rm(path, { recursive: true, force: true }));
    await writeFile(join(path, 'keys.json'), 'untouched');
    expect(await rotate({ POSTHORN_DATA_DIR: path }, [arg])).toMatchObject({ code });
    expect(await readdir(path)).toEqual(['keys.json']);
    expect(await readFile(join(path, 'keys.json'), 'utf8')).toBe('untouched');
  });

  it('must be stopped for it', async () => {
    const path = await mkdtemp(join(tmpdir(), 'posthorn-data-'));
    cleanUps.push(() => rm(path, { recursive: true, force: true }));
    const started = spawnIn(path);
    await waitUntilStarted(started);
    const keys = await readKeys(path);
    const { code, stderr } = await rotate({ POSTHORN_DATA_DIR: path });
    expect([code, stderr]).toEqual([1, expect.stringMatching(/^Another Posthorn .*\n$/)]);
    expect(await readKeys(path)).toEqual(keys);
    await stop(started);
  }, 60_000);
});
