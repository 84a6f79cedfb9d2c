import { Button, Menu, Text } from '@mantine/core';
import { IconChevronDown } from '@tabler/icons-react';
import { useQuery } from 'urql';
import { OrganizationsDocument } from '../generated/documents.ts';
import { useViewer } from '../session/session.tsx';

const ORGANIZATIONS_SHOWN = 100;

/** Which environment the page shows. The operator may look at any. */
export function EnvironmentMenu() {
  const { kind, organization, environment } = useViewer();
  const name = `${organization?.name} / ${environment?.name}`;
  if (kind !== 'OPERATOR') {
    return (
      <Text size="sm" c="dimmed" className="cut" visibleFrom="md" maw={240} title={name}>
        {name}
      </Text>
    );
  }
  return (
    <Menu position="bottom-start" withArrow width={300}>
      <Menu.Target>
        <Button
          variant="default"
          size="compact-sm"
          rightSection={<IconChevronDown size={14} />}
          aria-label={`Environment: ${name}`}
          maw={{ base: 120, md: 260 }}
        >
          <span className="cut">{name}</span>
        </Button>
      </Menu.Target>
      <Menu.Dropdown mah={420} style={{ overflowY: 'auto' }}>
        <EnvironmentItems />
      </Menu.Dropdown>
    </Menu>
  );
}

function EnvironmentItems() {
  const { environment: shown } = useViewer();
  const [{ data, error }] = useQuery({ query: OrganizationsDocument, variables: { first: ORGANIZATIONS_SHOWN } });
  if (error) return <Menu.Label>The environments could not be loaded.</Menu.Label>;
  if (!data) return <Menu.Label>Loading…</Menu.Label>;
  return data.organizations.edges.map(({ node: { id, name, environments } }) => (
    <div key={id}>
      <Menu.Label>{name}</Menu.Label>
      {environments.map((environment) => (
        <Menu.Item
          key={environment.id}
          component="a"
          href={`/${environment.id}/`}
          fw={environment.id === shown?.id ? 700 : undefined}
          aria-current={environment.id === shown?.id}
        >
          {environment.name}
        </Menu.Item>
      ))}
    </div>
  ));
}
