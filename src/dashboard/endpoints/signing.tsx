import { Button, Code, Group, Modal, ScrollArea, Stack, Table, Tabs, Text, TextInput } from '@mantine/core';
import { IconRefresh } from '@tabler/icons-react';
import { useState } from 'react';
import { Copy } from '../elements/copy.tsx';
import { tellFault } from '../elements/notices.tsx';
import { Panel } from '../elements/panel.tsx';
import { SecretNotice, whileOpen } from '../elements/secret-notice.tsx';
import { Ago, exactTime } from '../elements/time.tsx';
import { type EndpointPartsFragment, RotateSecretDocument, type SignatureKind } from '../generated/documents.ts';
import { perform } from '../graphql/perform.ts';
import { useMay } from '../session/session.tsx';
import { SNIPPETS } from './verify-snippets.ts';

const OVERLAP_HOURS_DEFAULT = 24;
const OVERLAP_HOURS_MAX = 168;

export interface SigningProps {
  endpoint: EndpointPartsFragment;
  onRotated: () => void;
}

/** What signs an endpoint's deliveries, and how its owner verifies that. */
export function Signing({ endpoint, onRotated }: SigningProps) {
  const mayManage = useMay('ENDPOINTS_MANAGE');
  const [isRotating, setRotating] = useState(false);
  return (
    <Stack>
      <Panel
        title="Signing keys"
        actions={
          mayManage && (
            <Button
              size="xs"
              variant="default"
              leftSection={<IconRefresh size={15} />}
              onClick={() => setRotating(true)}
            >
              Rotate the secret
            </Button>
          )
        }
      >
        <KeyTable keys={endpoint.signingKeys} />
      </Panel>
      <Panel title="Verify signatures">
        <Snippets kind={endpoint.signingKeys[0]?.kind ?? 'HMAC_SHA256'} />
      </Panel>
      {isRotating && (
        <RotateModal
          endpointId={endpoint.id}
          onClose={(hasRotated) => {
            setRotating(false);
            if (hasRotated) onRotated();
          }}
        />
      )}
    </Stack>
  );
}

function KeyTable({ keys }: { keys: EndpointPartsFragment['signingKeys'] }) {
  return (
    <Table.ScrollContainer minWidth={480}>
      <Table verticalSpacing="xs">
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Kind</Table.Th>
            <Table.Th>Public key</Table.Th>
            <Table.Th>Made</Table.Th>
            <Table.Th>Signs</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {keys.map(({ id, kind, publicKey, createdAt, expiresAt }) => (
            <Table.Tr key={id}>
              <Table.Td>{kind === 'ED25519' ? 'Ed25519 (v1a)' : 'HMAC-SHA256 (v1)'}</Table.Td>
              <Table.Td>
                {publicKey ? (
                  <Group gap={2} wrap="nowrap">
                    <Code>{publicKey}</Code>
                    <Copy text={publicKey} what="public key" />
                  </Group>
                ) : (
                  '–'
                )}
              </Table.Td>
              <Table.Td>
                <Ago at={createdAt} />
              </Table.Td>
              <Table.Td>{expiresAt ? `until ${exactTime(expiresAt)}` : 'from now on'}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}

function Snippets({ kind }: { kind: SignatureKind }) {
  const snippets = SNIPPETS.filter(({ kinds }) => kinds.includes(kind));
  return (
    <Stack gap="xs">
      <Text size="sm" c="dimmed">
        Deliveries are signed by Standard Webhooks. Verify the body as it arrives, before it is parsed.
      </Text>
      <Tabs defaultValue={snippets[0]?.value} keepMounted={false}>
        <Tabs.List>
          {snippets.map(({ value, label }) => (
            <Tabs.Tab key={value} value={value}>
              {label}
            </Tabs.Tab>
          ))}
        </Tabs.List>
        {snippets.map(({ value, code }) => (
          <Tabs.Panel key={value} value={value} pt="xs">
            <Group justify="flex-end" mb={4}>
              <Copy text={code} what="code" />
            </Group>
            <ScrollArea.Autosize
              mah={420}
              type="auto"
              viewportProps={{ tabIndex: 0, role: 'region', 'aria-label': 'Code' }}
            >
              <Code block>{code}</Code>
            </ScrollArea.Autosize>
          </Tabs.Panel>
        ))}
      </Tabs>
    </Stack>
  );
}

function RotateModal({ endpointId, onClose }: { endpointId: string; onClose: (hasRotated: boolean) => void }) {
  const [hours, setHours] = useState<number | string>(OVERLAP_HOURS_DEFAULT);
  const [secret, setSecret] = useState<string | null>(null);
  const [isBusy, setBusy] = useState(false);
  const rotate = async () => {
    setBusy(true);
    const input = { endpointId, overlapSeconds: Math.round(Number(hours) * 3_600) };
    const result = await perform(RotateSecretDocument, { input });
    setBusy(false);
    if (result.ok) setSecret(result.payload.secret);
    else tellFault(Object.values(result.faults)[0] ?? result.message);
  };
  return (
    <Modal
      opened
      onClose={() => onClose(secret !== null)}
      title="Rotate the secret"
      {...whileOpen(isBusy || secret !== null)}
    >
      {secret !== null ? (
        <Stack>
          <SecretNotice secret={secret} what="new signing secret" />
          <Group justify="flex-end">
            <Button onClick={() => onClose(true)}>Done</Button>
          </Group>
        </Stack>
      ) : (
        <Stack>
          <Text size="sm">
            A new secret signs from now on. The old one goes on signing beside it for as long as you say, so that the
            receiver can change over without losing anything.
          </Text>
          <TextInput
            type="number"
            label="Hours that the old one signs on"
            min={0}
            max={OVERLAP_HOURS_MAX}
            value={hours}
            onChange={(event) => setHours(event.currentTarget.value)}
            data-autofocus
          />
          <Group justify="flex-end">
            <Button variant="default" onClick={() => onClose(false)}>
              Back
            </Button>
            <Button loading={isBusy} onClick={() => void rotate()}>
              Rotate
            </Button>
          </Group>
        </Stack>
      )}
    </Modal>
  );
}
