import { Badge, Button, Code, Group, Table, Text } from '@mantine/core';
import { IconKey, IconPlus } from '@tabler/icons-react';
import { useState } from 'react';
import { useQuery } from 'urql';
import { ConfirmModal } from '../elements/confirm-modal.tsx';
import { EmptyState, ErrorNotice, Loading, tell } from '../elements/notices.tsx';
import { Panel } from '../elements/panel.tsx';
import { Ago } from '../elements/time.tsx';
import { ApiKeysDocument, type ApiKeysQuery, RevokeApiKeyDocument } from '../generated/documents.ts';
import { perform } from '../graphql/perform.ts';
import { CreateKeyModal } from './create-key-modal.tsx';

const KEYS_SHOWN = 100;

type Environment = Extract<ApiKeysQuery['node'], { apiKeys: unknown }>;
type ApiKey = Environment['apiKeys']['edges'][number]['node'];

/** The API keys of an environment. */
export function ApiKeys({ environment }: { environment: { id: string; name: string } }) {
  const variables = { environmentId: environment.id, first: KEYS_SHOWN };
  const [{ data, error }, read] = useQuery({ query: ApiKeysDocument, variables });
  const [isCreating, setCreating] = useState(false);
  const [revoked, setRevoked] = useState<ApiKey | null>(null);
  const refresh = () => read({ requestPolicy: 'network-only' });
  const keys = data?.node && 'apiKeys' in data.node ? data.node.apiKeys.edges.map(({ node }) => node) : [];
  return (
    <Panel
      title={`API keys of ${environment.name}`}
      actions={
        <Button size="xs" leftSection={<IconPlus size={15} />} onClick={() => setCreating(true)}>
          Create a key
        </Button>
      }
    >
      {error && !data && <ErrorNotice error={error} onRetry={refresh} />}
      {!error && !data && <Loading />}
      {data && keys.length === 0 && (
        <EmptyState icon={IconKey} title="No API keys yet">
          Programs that publish events, and people who may look, need a key with just the scopes they use.
        </EmptyState>
      )}
      {keys.length > 0 && <KeyTable keys={keys} onRevoke={setRevoked} />}
      {isCreating && (
        <CreateKeyModal
          environmentId={environment.id}
          onClose={() => {
            setCreating(false);
            refresh();
          }}
        />
      )}
      {revoked && <RevokeModal apiKey={revoked} onDone={refresh} onClose={() => setRevoked(null)} />}
    </Panel>
  );
}

function KeyTable({ keys, onRevoke }: { keys: ApiKey[]; onRevoke: (key: ApiKey) => void }) {
  return (
    <Table.ScrollContainer minWidth={720}>
      <Table verticalSpacing="xs">
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Name</Table.Th>
            <Table.Th>Begins with</Table.Th>
            <Table.Th>Scopes</Table.Th>
            <Table.Th>Last used</Table.Th>
            <Table.Th>State</Table.Th>
            <Table.Th aria-label="Actions" />
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {keys.map((key) => (
            <Table.Tr key={key.id}>
              <Table.Td>
                <Text size="sm" fw={550}>
                  {key.name}
                </Text>
                <Text size="xs" c="dimmed">
                  made <Ago at={key.createdAt} />
                </Text>
              </Table.Td>
              <Table.Td>{key.prefix ? <Code>{key.prefix}…</Code> : '–'}</Table.Td>
              <Table.Td>
                <Group gap={4} maw={280}>
                  {key.scopes.map((scope) => (
                    <Badge key={scope} size="sm" variant="default" tt="none" fw={500}>
                      {scope}
                    </Badge>
                  ))}
                </Group>
              </Table.Td>
              <Table.Td>{key.lastUsedAt ? <Ago at={key.lastUsedAt} /> : 'never'}</Table.Td>
              <Table.Td>
                <KeyState apiKey={key} />
              </Table.Td>
              <Table.Td ta="right">
                {!hasEnded(key) && (
                  <Button
                    size="compact-xs"
                    variant="default"
                    onClick={() => onRevoke(key)}
                    aria-label={`Revoke ${key.name}`}
                  >
                    Revoke
                  </Button>
                )}
              </Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}

const isExpired = ({ expiresAt }: ApiKey) => expiresAt !== null && Date.parse(expiresAt) <= Date.now();
const hasEnded = (key: ApiKey) => key.revokedAt !== null || isExpired(key);

function KeyState({ apiKey }: { apiKey: ApiKey }) {
  const { revokedAt, expiresAt } = apiKey;
  if (revokedAt) {
    return (
      <Text size="sm" c="dimmed">
        revoked <Ago at={revokedAt} />
      </Text>
    );
  }
  if (!expiresAt) return <Text size="sm">good</Text>;
  return (
    <Text size="sm" c={isExpired(apiKey) ? 'dimmed' : undefined}>
      {isExpired(apiKey) ? 'expired ' : 'ends '}
      <Ago at={expiresAt} />
    </Text>
  );
}

function RevokeModal({ apiKey, onDone, onClose }: { apiKey: ApiKey; onDone: () => void; onClose: () => void }) {
  const revoke = async () => {
    const result = await perform(RevokeApiKeyDocument, { id: apiKey.id });
    if (!result.ok) return result.message;
    tell(`${apiKey.name} is revoked.`);
    onDone();
    return null;
  };
  return (
    <ConfirmModal title="Revoke this key?" verb="Revoke" onConfirm={revoke} onClose={onClose}>
      Whoever uses <b>{apiKey.name}</b> is locked out at once, with all sessions and browser tokens made with it. This
      can't be undone.
    </ConfirmModal>
  );
}
