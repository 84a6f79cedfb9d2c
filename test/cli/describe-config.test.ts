import { expect, it } from 'vitest';
import { describeConfig } from '../../src/cli/describe-config.ts';
import { readConfig } from '../../src/config.ts';

it('the configuration for the log has every setting, and no secret', () => {
  const secrets = ['db-secret', 'query-secret', 'direct-secret', 'proxy-secret', 'r'.repeat(32)];
  const [encryptionKey, oldKey] = [1, 2].map((byte) => Buffer.alloc(32, byte).toString('base64'));
  const config = readConfig({
    DATABASE_URL: 'postgresql://posthorn:db-secret@db.example:5432/posthorn?sslpassword=query-secret&sslmode=require',
    POSTHORN_DIRECT_DATABASE_URL: 'postgresql://posthorn:direct-secret@db.example:5433/posthorn',
    POSTHORN_PROXY_URL: 'http://proxy-secret@proxy.example:3128',
    POSTHORN_ROOT_KEY: 'r'.repeat(32),
    POSTHORN_ENCRYPTION_KEY: encryptionKey,
    POSTHORN_OLD_ENCRYPTION_KEYS: oldKey,
    POSTHORN_CORS_ORIGINS: 'https://app.example.com',
  });
  const described = describeConfig(config);
  expect(Object.keys(described)).toEqual(Object.keys(config));
  expect(described).toMatchObject({
    databaseUrl: 'postgresql://posthorn@db.example:5432/posthorn?sslmode=require',
    directDatabaseUrl: 'postgresql://posthorn@db.example:5433/posthorn',
    proxyUrl: 'http://proxy.example:3128/',
    rootKey: '[set]',
    encryptionKey: '[set]',
    oldEncryptionKeys: '[set]',
    corsOrigins: ['https://app.example.com'],
    connectionsPerKeyMax: 2_000,
    port: 4000,
  });
  const text = JSON.stringify(described);
  for (const secret of [...secrets, encryptionKey, oldKey]) expect(text).not.toContain(secret);
});

it('keys that are generated are not called set', () => {
  expect(describeConfig(readConfig({}))).toMatchObject({ rootKey: null, encryptionKey: null, oldEncryptionKeys: [] });
});
