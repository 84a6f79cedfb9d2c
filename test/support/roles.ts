import { randomBytes } from 'node:crypto';
import type { TestDatabase } from './database.ts';

export interface RoleOptions {
  /** Statements with `{database}` and `{role}`, run before the work. */
  grants?: string[];
  /** The role may do everything. @default false */
  isOwner?: boolean;
  /** Connections that the role may have. @default any number */
  connectionLimit?: number;
}

export interface TestRole {
  name: string;
  /** The database, as this role. */
  url: string;
}

/** Lends a role of its own to some work. */
export async function withRole(
  database: TestDatabase,
  { grants = [], isOwner = false, connectionLimit = -1 }: RoleOptions,
  work: (role: TestRole) => Promise<void>,
): Promise<void> {
  const name = `role_${randomBytes(6).toString('hex')}`;
  const url = Object.assign(new URL(database.url), { username: name, password: 'test' });
  const kind = isOwner ? 'superuser' : 'nosuperuser';
  await database.query(`create role ${name} login ${kind} password 'test' connection limit ${connectionLimit}`);
  try {
    for (const grant of grants) {
      await database.query(grant.replaceAll('{role}', name).replaceAll('{database}', url.pathname.slice(1)));
    }
    await work({ name, url: url.href });
  } finally {
    await database.query(`drop owned by ${name} cascade`);
    await database.query(`drop role ${name}`);
  }
}
