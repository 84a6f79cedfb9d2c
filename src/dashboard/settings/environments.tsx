import { Anchor, Badge, Button, Group, Stack, Table, Text } from '@mantine/core';
import { IconPlus } from '@tabler/icons-react';
import { useState } from 'react';
import { useQuery } from 'urql';
import { Id } from '../elements/copy.tsx';
import { ErrorNotice, Loading, tell } from '../elements/notices.tsx';
import { Panel } from '../elements/panel.tsx';
import { Ago } from '../elements/time.tsx';
import {
  CreateEnvironmentDocument,
  CreateOrganizationDocument,
  OrganizationsDocument,
  type OrganizationsQuery,
} from '../generated/documents.ts';
import { perform } from '../graphql/perform.ts';
import { useMay, useViewer } from '../session/session.tsx';
import { NameModal } from './name-modal.tsx';

const ORGANIZATIONS_SHOWN = 100;

type Organization = OrganizationsQuery['organizations']['edges'][number]['node'];

/** Organizations and their environments, as far as who looks may see them. */
export function Environments() {
  const { kind } = useViewer();
  const [{ data, error }, read] = useQuery({ query: OrganizationsDocument, variables: { first: ORGANIZATIONS_SHOWN } });
  const [isCreating, setCreating] = useState(false);
  const refresh = () => read({ requestPolicy: 'network-only' });
  const create = async (name: string) => {
    const result = await perform(CreateOrganizationDocument, { input: { name } });
    if (!result.ok) return result.faults.name ?? result.message;
    tell(`${name} is there, with an environment named production.`);
    refresh();
    return null;
  };
  return (
    <Panel
      title="Environments"
      actions={
        kind === 'OPERATOR' && (
          <Button size="xs" variant="default" leftSection={<IconPlus size={15} />} onClick={() => setCreating(true)}>
            Create an organization
          </Button>
        )
      }
    >
      {error && !data && <ErrorNotice error={error} onRetry={refresh} />}
      {!error && !data && <Loading />}
      <Stack>
        {data?.organizations.edges.map(({ node }) => (
          <OrganizationPart key={node.id} organization={node} onChanged={refresh} />
        ))}
      </Stack>
      {isCreating && <NameModal title="Create an organization" onName={create} onClose={() => setCreating(false)} />}
    </Panel>
  );
}

function OrganizationPart({ organization, onChanged }: { organization: Organization; onChanged: () => void }) {
  const { id, name, environments } = organization;
  const { kind, environment: shown } = useViewer();
  const mayManage = useMay('API_KEYS_MANAGE');
  const [isCreating, setCreating] = useState(false);
  const create = async (environmentName: string) => {
    const result = await perform(CreateEnvironmentDocument, { input: { organizationId: id, name: environmentName } });
    if (!result.ok) return result.faults.name ?? result.message;
    tell(`The environment ${environmentName} is there.`);
    onChanged();
    return null;
  };
  return (
    <div>
      <Group justify="space-between" mb={4}>
        <Text fw={600} size="sm">
          {name}
        </Text>
        {mayManage && (
          <Button
            size="compact-xs"
            variant="default"
            onClick={() => setCreating(true)}
            aria-label={`Create an environment in ${name}`}
          >
            Create an environment
          </Button>
        )}
      </Group>
      <Table.ScrollContainer minWidth={520}>
        <Table verticalSpacing="xs" aria-label={`Environments of ${name}`}>
          <Table.Tbody>
            {environments.map((environment) => (
              <Table.Tr key={environment.id}>
                <Table.Td>
                  {kind === 'OPERATOR' ? (
                    <Anchor href={`/${environment.id}/`} size="sm">
                      {environment.name}
                    </Anchor>
                  ) : (
                    environment.name
                  )}{' '}
                  {environment.id === shown?.id && (
                    <Badge size="sm" variant="default" tt="none">
                      shown now
                    </Badge>
                  )}
                </Table.Td>
                <Table.Td>
                  <Id id={environment.id} what="environment ID" />
                </Table.Td>
                <Table.Td ta="right">
                  made <Ago at={environment.createdAt} />
                </Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </Table.ScrollContainer>
      {isCreating && (
        <NameModal title={`Create an environment in ${name}`} onName={create} onClose={() => setCreating(false)} />
      )}
    </div>
  );
}
