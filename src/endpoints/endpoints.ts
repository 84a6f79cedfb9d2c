import { type ClientCertificate, summariseCertificate } from '../domain/client-certificate.ts';
import type { EndpointStatus } from '../domain/delivery.ts';
import { newId } from '../domain/ids.ts';
import { RETRY_POLICY_DEFAULT } from '../domain/retry-policy.ts';
import type { EncryptedPlace, Keyring } from '../domain/sealing.ts';
import { kindOfSecret, makeSecret, toPublicKey } from '../domain/signature.ts';
import type { TargetPolicy } from '../domain/target-policy.ts';
import type { Tenant } from '../domain/tenant.ts';
import { NAME_MAX_CHARS, parseInput } from '../domain/validation.ts';
import { InvalidInputError, NotFoundError } from '../errors.ts';
import type { Prisma, PrismaClient } from '../generated/prisma/client.ts';
import type { EndpointChangeKind } from '../generated/prisma/enums.ts';
import { CERTIFICATE_COLUMN, HEADERS_COLUMN, SECRET_COLUMN } from '../storage/sealed-columns.ts';
import type { Signals } from '../storage/signals.ts';
import {
  type CreateEndpointInput,
  createEndpointSchema,
  OVERLAP_SECONDS_DEFAULT,
  type RotateSecretInput,
  rotateSecretSchema,
  TIMEOUT_MS_DEFAULT,
  type UpdateEndpointInput,
  updateEndpointSchema,
} from './endpoint-input.ts';

/** Secrets that sign at once, of both kinds: the current one and those in overlap. */
export const SECRETS_MAX = 10;
const DISABLED_REASON_DEFAULT = 'Disabled by hand.';
export const DISABLED_REASON_MAX_CHARS = 512;

export interface EndpointsOptions {
  prisma: PrismaClient;
  signals: Signals;
  keyring: Keyring;
  targetPolicy: TargetPolicy;
}

/** Columns and relations to read of an endpoint: at least these. */
export interface EndpointSelect {
  id: true;
  deletedAt: true;
}

/** What was read of an endpoint: at least these columns. */
export interface EndpointRow {
  id: string;
  /** `null` if it was not deleted. */
  deletedAt: Date | null;
}

/**
 * Creates, changes and deletes endpoints. Every method works within one tenant and returns what `select` names of the
 * endpoint, read in the transaction of the change.
 */
export class Endpoints {
  readonly #prisma: PrismaClient;
  readonly #signals: Signals;
  readonly #keyring: Keyring;
  readonly #targetPolicy: TargetPolicy;

  constructor({ prisma, signals, keyring, targetPolicy }: EndpointsOptions) {
    this.#prisma = prisma;
    this.#signals = signals;
    this.#keyring = keyring;
    this.#targetPolicy = targetPolicy;
  }

  /** @returns the endpoint, and its secret, which nobody can read later. @throws {InvalidInputError} */
  async create(tenant: Tenant, input: CreateEndpointInput, select: EndpointSelect) {
    const given = parseInput(createEndpointSchema, input);
    this.#requireReachable(given.url);
    const secret = given.secret ?? makeSecret(given.signatureKind ?? 'HMAC_SHA256');
    const name = given.name ?? new URL(given.url).host.slice(0, NAME_MAX_CHARS);
    const eventTypes = given.eventTypes ?? ['*'];
    const id = newId();
    const create = this.#prisma.endpoint.create({
      select,
      data: {
        id,
        organization: { connect: { id: tenant.organizationId } },
        environment: { connect: { id: tenant.environmentId } },
        url: given.url,
        name,
        description: given.description ?? null,
        method: given.method ?? 'POST',
        status: 'ACTIVE',
        ...this.#sealHeaders(id, given.headers ?? {}),
        maxRetries: given.retryPolicy?.maxRetries ?? RETRY_POLICY_DEFAULT.maxRetries,
        delaysSeconds: given.retryPolicy?.delaysSeconds ?? RETRY_POLICY_DEFAULT.delaysSeconds,
        jitter: given.retryPolicy?.jitter ?? RETRY_POLICY_DEFAULT.jitter,
        timeoutMs: given.timeoutMs ?? TIMEOUT_MS_DEFAULT,
        rateLimitPerSecond: given.rateLimitPerSecond ?? null,
        ...this.#sealCertificate(id, given.clientCertificate ?? null),
        caCertificate: given.caCertificate ?? null,
        secrets: { create: this.#sealSecret(secret) },
        routes: {
          create: { id: newId(), name, eventTypes, environment: { connect: { id: tenant.environmentId } } },
        },
        // A rate is kept in a lane of the endpoint's own, from the first delivery on.
        ...(given.rateLimitPerSecond ? { lane: { create: {} } } : {}),
      },
    });
    const [endpoint] = await this.#prisma.$transaction([create, noteChange(this.#prisma, id, 'CREATED')]);
    this.#signals.send('posthorn_changes');
    return { endpoint, secret };
  }

  /**
   * Changes what is given and leaves the rest. Null takes away a description, headers, a rate limit or certificates.
   *
   * @throws {InvalidInputError}
   * @throws {NotFoundError}
   */
  async update(tenant: Tenant, input: UpdateEndpointInput, select: EndpointSelect) {
    const given = parseInput(updateEndpointSchema, input);
    if (given.url) this.#requireReachable(given.url);
    const { eventTypes, name } = given;
    const data = {
      url: given.url ?? undefined,
      name: name ?? undefined,
      description: given.description,
      method: given.method ?? undefined,
      ...(given.headers === undefined ? {} : this.#sealHeaders(input.endpointId, given.headers ?? {})),
      maxRetries: given.retryPolicy?.maxRetries ?? undefined,
      delaysSeconds: given.retryPolicy?.delaysSeconds ?? undefined,
      jitter: given.retryPolicy?.jitter ?? undefined,
      timeoutMs: given.timeoutMs ?? undefined,
      rateLimitPerSecond: given.rateLimitPerSecond,
      ...(given.clientCertificate === undefined
        ? {}
        : this.#sealCertificate(input.endpointId, given.clientCertificate)),
      caCertificate: given.caCertificate,
      ...(eventTypes ? { routes: { updateMany: { where: {}, data: { eventTypes } } } } : {}),
    };
    return this.#change(tenant, input.endpointId, {
      kind: 'UPDATED',
      select,
      data,
      opensLane: typeof given.rateLimitPerSecond === 'number',
      // Another address is no longer the one that failed.
      endsStreak: typeof given.url === 'string',
    });
  }

  /** Takes the endpoint away. Its deliveries and attempts stay readable; what still waits is skipped. */
  async delete(tenant: Tenant, endpointId: string, select: EndpointSelect) {
    const data = { deletedAt: new Date() };
    return this.#change(tenant, endpointId, { kind: 'DELETED', select, data, opensLane: true });
  }

  /** Deliveries are held from now on. A disabled endpoint stays disabled. @throws {NotFoundError} */
  async pause(tenant: Tenant, endpointId: string, select: EndpointSelect) {
    return this.#change(tenant, endpointId, {
      kind: 'PAUSED',
      select,
      from: ['ACTIVE'],
      data: { status: 'PAUSED' },
      opensLane: true,
    });
  }

  /** Deliveries that were held go out, oldest first. Only a paused endpoint is changed. @throws {NotFoundError} */
  async resume(tenant: Tenant, endpointId: string, select: EndpointSelect) {
    return this.#change(tenant, endpointId, {
      kind: 'RESUMED',
      select,
      from: ['PAUSED'],
      data: { status: 'ACTIVE' },
      opensLane: true,
    });
  }

  /** Deliveries are skipped from now on. @throws {InvalidInputError} @throws {NotFoundError} */
  async disable(tenant: Tenant, endpointId: string, { reason, select }: DisableOptions) {
    if (reason && (reason.length > DISABLED_REASON_MAX_CHARS || reason.includes('\0'))) {
      const message = `may have ${DISABLED_REASON_MAX_CHARS} characters at most, and no NUL.`;
      throw new InvalidInputError([{ path: ['reason'], message }]);
    }
    const data = {
      status: 'DISABLED',
      disabledReason: reason || DISABLED_REASON_DEFAULT,
      disabledAt: new Date(),
    } as const;
    return this.#change(tenant, endpointId, { kind: 'DISABLED', select, from: ['ACTIVE', 'PAUSED'], data });
  }

  /** Deliveries go out again. Those skipped meanwhile can be retried by hand. @throws {NotFoundError} */
  async enable(tenant: Tenant, endpointId: string, select: EndpointSelect) {
    const data = { status: 'ACTIVE', disabledReason: null, disabledAt: null } as const;
    return this.#change(tenant, endpointId, { kind: 'ENABLED', select, from: ['DISABLED'], data, endsStreak: true });
  }

  /**
   * Gives the endpoint a new secret, of the kind that the current one has where none is asked for. The old one goes on
   * signing beside it while they overlap.
   *
   * @returns the endpoint, and the new secret, which nobody can read later
   * @throws {InvalidInputError}
   * @throws {NotFoundError}
   */
  async rotateSecret(tenant: Tenant, { endpointId, ...input }: RotateSecretInput, select: EndpointSelect) {
    const given = parseInput(rotateSecretSchema, input);
    const rotated = await this.#prisma.$transaction(async (transaction) => {
      await lock(transaction, tenant, { endpointId });
      const now = new Date();
      const expiresAt = new Date(now.getTime() + (given.overlapSeconds ?? OVERLAP_SECONDS_DEFAULT) * 1_000);
      const valid = await transaction.endpointSecret.findMany({
        select: { kind: true, expiresAt: true },
        where: { endpointId, OR: [{ expiresAt: null }, { expiresAt: { gt: now } }] },
      });
      requireRoom(valid.map((old) => old.expiresAt ?? expiresAt).filter((end) => end > now));
      const currentKind = valid.find((old) => old.expiresAt === null)?.kind ?? 'HMAC_SHA256';
      const secret = given.secret ?? makeSecret(given.signatureKind ?? currentKind);
      const row = this.#sealSecret(secret);
      const secrets = {
        create: { ...row, createdAt: now },
        updateMany: { where: { expiresAt: null, id: { not: row.id } }, data: { expiresAt } },
        deleteMany: { expiresAt: { lt: now } },
      };
      const where = scope(tenant, endpointId);
      const endpoint = await transaction.endpoint.update({ select, where, data: { secrets, updatedAt: now } });
      await noteChange(transaction, endpointId, 'SECRET_ROTATED');
      return { endpoint, secret };
    });
    this.#signals.send('posthorn_changes');
    return rotated;
  }

  /** Says early what every attempt would fail with. What only a look-up tells is told by the attempts. */
  #requireReachable(url: string) {
    const message = this.#targetPolicy.findFault(new URL(url));
    if (message) throw new InvalidInputError([{ path: ['url'], message }]);
  }

  /** Writes a change, and what tells of it. @throws {NotFoundError} */
  async #change(tenant: Tenant, endpointId: string, { kind, select, data, from, ...reasons }: Change) {
    const changed = await this.#prisma.$transaction(async (transaction) => {
      const { status } = await lock(transaction, tenant, { endpointId, ...reasons });
      const where = scope(tenant, endpointId);
      if (from && !from.includes(status)) return transaction.endpoint.findUniqueOrThrow({ select, where });
      const updated = await transaction.endpoint.update({
        select,
        where,
        data: { ...data, updatedAt: new Date() },
      });
      await noteChange(transaction, endpointId, kind);
      return updated;
    });
    this.#signals.send('posthorn_changes');
    return changed;
  }

  #sealHeaders(id: string, headers: Record<string, string>) {
    const headerNames = Object.keys(headers);
    const place = { ...HEADERS_COLUMN, id };
    return { headerNames, headersSealed: headerNames.length > 0 ? this.#seal(JSON.stringify(headers), place) : null };
  }

  #sealCertificate(id: string, given: ClientCertificate | null) {
    const summary = given && summariseCertificate(given.certificate);
    return {
      clientCertificateSealed: given && this.#seal(JSON.stringify(given), { ...CERTIFICATE_COLUMN, id }),
      clientCertificateSubject: summary?.subject ?? null,
      clientCertificateFingerprint: summary?.fingerprint ?? null,
      clientCertificateExpiresAt: summary?.expiresAt ?? null,
    };
  }

  #sealSecret(secret: string) {
    const id = newId();
    const sealed = this.#seal(secret, { ...SECRET_COLUMN, id });
    return { id, kind: kindOfSecret(secret), sealed, publicKey: toPublicKey(secret) };
  }

  #seal = (text: string, place: EncryptedPlace) => this.#keyring.seal(text, place) as Uint8Array<ArrayBuffer>;
}

interface DisableOptions {
  /** For people. Defaults to `Disabled by hand.` */
  reason?: string | null;
  select: EndpointSelect;
}

/** What is written of an endpoint, and whether its deliveries go into a lane of its own by that. */
interface Change {
  kind: EndpointChangeKind;
  /** What to return of the endpoint. */
  select: EndpointSelect;
  data: Prisma.EndpointUpdateInput;
  /** Statuses that the change is for; in any other the endpoint stays as it is. @default every status */
  from?: EndpointStatus[];
  /** @default false */
  opensLane?: boolean;
  /** What failed so far counts no more. @default false */
  endsStreak?: boolean;
}

/** Puts on record what was done to an endpoint, with its status as the transaction has it then. */
const noteChange = (client: Pick<PrismaClient, '$executeRaw'>, endpointId: string, kind: EndpointChangeKind) =>
  client.$executeRaw`
    insert into endpoint_changes (environment_id, endpoint_id, kind, status, reason, changed_at)
    select environment_id, id, ${kind}::endpoint_change_kind, status, disabled_reason, ${new Date()}
    from endpoints where id = ${endpointId}::uuid`;

/**
 * Holds the endpoint's row, so that it is still as it was looked at when it is changed, and its lane, so that it can't
 * close while its endpoint gets a reason to have one.
 *
 * @throws {NotFoundError}
 */
async function lock(
  transaction: Prisma.TransactionClient,
  tenant: Tenant,
  { endpointId, opensLane, endsStreak }: Pick<Change, 'opensLane' | 'endsStreak'> & { endpointId: string },
) {
  const where = scope(tenant, endpointId);
  const select = { status: true };
  if (!(await transaction.endpoint.findFirst({ select, where }))) throw notFound();
  if (opensLane) {
    await transaction.$executeRaw`insert into lanes (endpoint_id) values (${endpointId}::uuid)
      on conflict (endpoint_id) do update set opened_at = lanes.opened_at`;
  }
  if (endsStreak) await transaction.failureStreak.deleteMany({ where: { endpointId } });
  await transaction.$executeRaw`select 1 from endpoints where id = ${endpointId}::uuid for update`;
  const endpoint = await transaction.endpoint.findFirst({ select, where });
  if (!endpoint) throw notFound();
  return endpoint;
}

/** @param ends when those secrets end that go on signing beside a new one. @throws {InvalidInputError} */
function requireRoom(ends: Date[]) {
  if (ends.length < SECRETS_MAX) return;
  const first = new Date(Math.min(...ends.map((end) => end.getTime())));
  const message =
    `has ${SECRETS_MAX} secrets that sign already, the most there can be. Wait until ${first.toISOString()}, when one ` +
    'of them expires, or rotate with overlapSeconds 0, which ends the current one at once.';
  throw new InvalidInputError([{ path: ['endpointId'], message }]);
}

const scope = ({ environmentId }: Tenant, id: string) => ({ id, environmentId, deletedAt: null });

const notFound = () => new NotFoundError('There is no endpoint with this ID.');
