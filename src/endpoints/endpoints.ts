import type { KeyObject } from 'node:crypto';
import type { EndpointStatus } from '../domain/delivery.ts';
import { newId } from '../domain/ids.ts';
import { RETRY_POLICY_DEFAULT } from '../domain/retry-policy.ts';
import { seal } from '../domain/sealing.ts';
import { makeSecret } from '../domain/signature.ts';
import type { TargetPolicy } from '../domain/target-policy.ts';
import type { Tenant } from '../domain/tenant.ts';
import { parseInput } from '../domain/validation.ts';
import { InvalidInputError, NotFoundError } from '../errors.ts';
import type { Prisma, PrismaClient } from '../generated/prisma/client.ts';
import type { EndpointChangeKind } from '../generated/prisma/enums.ts';
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

/** Secrets that sign at once: the current one and those in overlap. */
const SECRETS_MAX = 10;
const DISABLED_REASON_DEFAULT = 'Disabled by hand.';
const DISABLED_REASON_MAX_CHARS = 512;

export interface EndpointsOptions {
  prisma: PrismaClient;
  signals: Signals;
  encryptionKey: KeyObject;
  targetPolicy: TargetPolicy;
}

/** Makes, changes and ends endpoints. Every method works within one tenant. */
export class Endpoints {
  readonly #prisma: PrismaClient;
  readonly #signals: Signals;
  readonly #encryptionKey: KeyObject;
  readonly #targetPolicy: TargetPolicy;

  constructor({ prisma, signals, encryptionKey, targetPolicy }: EndpointsOptions) {
    this.#prisma = prisma;
    this.#signals = signals;
    this.#encryptionKey = encryptionKey;
    this.#targetPolicy = targetPolicy;
  }

  /** @returns the endpoint, and its secret, which nobody can read later. @throws {InvalidInputError} */
  async create(tenant: Tenant, input: CreateEndpointInput) {
    const given = parseInput(createEndpointSchema, input);
    this.#requireReachable(given.url);
    const secret = given.secret ?? makeSecret();
    const name = given.name ?? new URL(given.url).host;
    const eventTypes = given.eventTypes ?? ['*'];
    const id = newId();
    const create = this.#prisma.endpoint.create({
      data: {
        id,
        organization: { connect: { id: tenant.organizationId } },
        environment: { connect: { id: tenant.environmentId } },
        url: given.url,
        name,
        description: given.description ?? null,
        method: given.method ?? 'POST',
        status: 'ACTIVE',
        ...this.#sealHeaders(given.headers ?? {}),
        maxRetries: given.retryPolicy?.maxRetries ?? RETRY_POLICY_DEFAULT.maxRetries,
        delaysSeconds: given.retryPolicy?.delaysSeconds ?? RETRY_POLICY_DEFAULT.delaysSeconds,
        jitter: given.retryPolicy?.jitter ?? RETRY_POLICY_DEFAULT.jitter,
        timeoutMs: given.timeoutMs ?? TIMEOUT_MS_DEFAULT,
        rateLimitPerSecond: given.rateLimitPerSecond ?? null,
        secrets: { create: { id: newId(), sealed: this.#seal(secret) } },
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
   * Changes what is given and leaves the rest. Null takes away a description, headers or a rate limit.
   *
   * @throws {InvalidInputError}
   * @throws {NotFoundError}
   */
  async update(tenant: Tenant, input: UpdateEndpointInput) {
    const given = parseInput(updateEndpointSchema, input);
    if (given.url) this.#requireReachable(given.url);
    const { eventTypes, name } = given;
    const data = {
      url: given.url ?? undefined,
      name: name ?? undefined,
      description: given.description,
      method: given.method ?? undefined,
      ...(given.headers === undefined ? {} : this.#sealHeaders(given.headers ?? {})),
      maxRetries: given.retryPolicy?.maxRetries ?? undefined,
      delaysSeconds: given.retryPolicy?.delaysSeconds ?? undefined,
      jitter: given.retryPolicy?.jitter ?? undefined,
      timeoutMs: given.timeoutMs ?? undefined,
      rateLimitPerSecond: given.rateLimitPerSecond,
      ...(eventTypes ? { routes: { updateMany: { where: {}, data: { eventTypes } } } } : {}),
    };
    return this.#change(tenant, input.endpointId, {
      kind: 'UPDATED',
      data,
      opensLane: typeof given.rateLimitPerSecond === 'number',
      // Another address is no longer the one that failed.
      endsStreak: typeof given.url === 'string',
    });
  }

  /** Takes the endpoint away. Its deliveries and attempts stay readable; what still waits is skipped. */
  async delete(tenant: Tenant, endpointId: string) {
    return this.#change(tenant, endpointId, { kind: 'DELETED', data: { deletedAt: new Date() }, opensLane: true });
  }

  /** Deliveries are held from now on. A disabled endpoint stays disabled. @throws {NotFoundError} */
  async pause(tenant: Tenant, endpointId: string) {
    return this.#change(tenant, endpointId, {
      kind: 'PAUSED',
      from: ['ACTIVE'],
      data: { status: 'PAUSED' },
      opensLane: true,
    });
  }

  /** Deliveries that were held go out, oldest first. Only a paused endpoint is changed. @throws {NotFoundError} */
  async resume(tenant: Tenant, endpointId: string) {
    return this.#change(tenant, endpointId, {
      kind: 'RESUMED',
      from: ['PAUSED'],
      data: { status: 'ACTIVE' },
      opensLane: true,
    });
  }

  /** Deliveries are skipped from now on. @throws {InvalidInputError} @throws {NotFoundError} */
  async disable(tenant: Tenant, endpointId: string, reason?: string | null) {
    if (reason && (reason.length > DISABLED_REASON_MAX_CHARS || reason.includes('\0'))) {
      const message = `may have ${DISABLED_REASON_MAX_CHARS} characters at most, and no NUL.`;
      throw new InvalidInputError([{ path: ['reason'], message }]);
    }
    const data = {
      status: 'DISABLED',
      disabledReason: reason || DISABLED_REASON_DEFAULT,
      disabledAt: new Date(),
    } as const;
    return this.#change(tenant, endpointId, { kind: 'DISABLED', from: ['ACTIVE', 'PAUSED'], data });
  }

  /** Deliveries go out again. Those skipped meanwhile can be retried by hand. @throws {NotFoundError} */
  async enable(tenant: Tenant, endpointId: string) {
    const data = { status: 'ACTIVE', disabledReason: null, disabledAt: null } as const;
    return this.#change(tenant, endpointId, { kind: 'ENABLED', from: ['DISABLED'], data, endsStreak: true });
  }

  /**
   * Gives the endpoint a new secret. The old one goes on signing beside it while they overlap.
   *
   * @returns the endpoint, and the new secret, which nobody can read later
   * @throws {InvalidInputError}
   * @throws {NotFoundError}
   */
  async rotateSecret(tenant: Tenant, input: RotateSecretInput) {
    const given = parseInput(rotateSecretSchema, input);
    const secret = given.secret ?? makeSecret();
    const now = new Date();
    const expiresAt = new Date(now.getTime() + (given.overlapSeconds ?? OVERLAP_SECONDS_DEFAULT) * 1_000);
    await this.#requireRoomForSecret(tenant, input.endpointId, now);
    const id = newId();
    const data = {
      secrets: {
        create: { id, sealed: this.#seal(secret), createdAt: now },
        updateMany: { where: { expiresAt: null, id: { not: id } }, data: { expiresAt } },
        deleteMany: { expiresAt: { lt: now } },
      },
    };
    return { endpoint: await this.#change(tenant, input.endpointId, { kind: 'SECRET_ROTATED', data }), secret };
  }

  /** Says early what every attempt would fail with. What only a look-up tells is told by the attempts. */
  #requireReachable(url: string) {
    const message = this.#targetPolicy.findFault(new URL(url));
    if (message) throw new InvalidInputError([{ path: ['url'], message }]);
  }

  async #requireRoomForSecret({ environmentId }: Tenant, endpointId: string, now: Date) {
    const where = { endpointId, endpoint: { environmentId }, OR: [{ expiresAt: null }, { expiresAt: { gt: now } }] };
    if ((await this.#prisma.endpointSecret.count({ where })) < SECRETS_MAX) return;
    const message = `has ${SECRETS_MAX} secrets in overlap already, the most there can be. Wait for one to expire.`;
    throw new InvalidInputError([{ path: ['endpointId'], message }]);
  }

  /**
   * Writes a change, in a transaction that holds the endpoint's lane, so that it can't close while its endpoint gets a
   * reason to have one, and the endpoint's row, so that its status is still the one that was looked at.
   */
  async #change(tenant: Tenant, endpointId: string, { kind, data, from, opensLane = false, endsStreak }: Change) {
    const changed = await this.#prisma.$transaction(async (transaction) => {
      const where = scope(tenant, endpointId);
      if (!(await transaction.endpoint.findFirst({ where }))) throw notFound();
      if (opensLane) {
        await transaction.$executeRaw`insert into lanes (endpoint_id) values (${endpointId}::uuid)
          on conflict (endpoint_id) do update set opened_at = lanes.opened_at`;
      }
      if (endsStreak) await transaction.failureStreak.deleteMany({ where: { endpointId } });
      await transaction.$executeRaw`select 1 from endpoints where id = ${endpointId}::uuid for update`;
      const endpoint = await transaction.endpoint.findFirst({ where });
      if (!endpoint) throw notFound();
      if (from && !from.includes(endpoint.status)) return endpoint;
      const updated = await transaction.endpoint.update({ where, data: { ...data, updatedAt: new Date() } });
      await noteChange(transaction, endpointId, kind);
      return updated;
    });
    this.#signals.send('posthorn_changes');
    return changed;
  }

  #sealHeaders(headers: Record<string, string>) {
    const headerNames = Object.keys(headers);
    return { headerNames, headersSealed: headerNames.length > 0 ? this.#seal(JSON.stringify(headers)) : null };
  }

  #seal = (text: string) => seal(text, this.#encryptionKey) as Uint8Array<ArrayBuffer>;
}

/** What is written of an endpoint, and whether its deliveries go into a lane of its own by that. */
interface Change {
  kind: EndpointChangeKind;
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

const scope = ({ environmentId }: Tenant, id: string) => ({ id, environmentId, deletedAt: null });

const notFound = () => new NotFoundError('There is no endpoint with this ID.');
