import { Alert, Code, Group, ScrollArea, SimpleGrid, Stack, Table, Text, Title } from '@mantine/core';
import { IconAlertTriangle } from '@tabler/icons-react';
import type { ReactNode } from 'react';
import { Copy, Id } from '../elements/copy.tsx';
import { Body } from '../elements/json-view.tsx';
import { Panel } from '../elements/panel.tsx';
import { StatusBadge } from '../elements/status-badge.tsx';
import { describeDuration, exactTime } from '../elements/time.tsx';
import type { AttemptPartsFragment } from '../generated/documents.ts';
import { describeAttemptError, describeTrigger } from './attempt-words.ts';
import { makeCurlCommand } from './curl-command.ts';

/** Bytes of a response that are kept. */
const RESPONSE_BYTES_KEPT = 4_096;

export interface AttemptDetailProps {
  attempt: AttemptPartsFragment;
  /** The event's body, which is that of the request. */
  body: string;
}

/** What was sent, and what came back. */
export function AttemptDetail({ attempt, body }: AttemptDetailProps) {
  const { number, trigger, status, error, createdAt, durationMs } = attempt;
  return (
    <Panel
      title={
        <Group gap="xs" component="span">
          Attempt {number} <StatusBadge status={status} />
        </Group>
      }
      actions={
        <Text size="sm" c="dimmed">
          {describeTrigger(trigger)} · {exactTime(createdAt)}
          {durationMs !== null && ` · took ${describeDuration(durationMs)}`}
        </Text>
      }
    >
      <Stack>
        {error && (
          <Alert color="red" variant="outline" icon={<IconAlertTriangle />} title={describeAttemptError(error.code)}>
            {error.message}
          </Alert>
        )}
        <SimpleGrid cols={{ base: 1, md: 2 }} spacing="lg">
          <Request attempt={attempt} body={body} />
          <Response attempt={attempt} />
        </SimpleGrid>
        {trigger !== 'EXTERNAL' && <Repeat attempt={attempt} body={body} />}
        <Group gap="xs">
          <Text size="xs" c="dimmed">
            Attempt ID
          </Text>
          <Id id={attempt.id} what="attempt ID" />
        </Group>
      </Stack>
    </Panel>
  );
}

function Side({ title, children }: { title: string; children: ReactNode }) {
  return (
    <Stack gap="xs" style={{ minWidth: 0 }}>
      <Title order={3} size="h6">
        {title}
      </Title>
      {children}
    </Stack>
  );
}

function Request({ attempt, body }: AttemptDetailProps) {
  const { requestMethod, requestUrl, requestHeaders, requestBodySize } = attempt;
  return (
    <Side title="Request">
      <Group gap={6} wrap="nowrap">
        <Code fw={700} style={{ flexShrink: 0 }}>
          {requestMethod}
        </Code>
        <Code style={{ overflowWrap: 'anywhere' }}>{requestUrl}</Code>
        <Copy text={requestUrl} what="URL" />
      </Group>
      <Headers headers={requestHeaders as Record<string, string | null>} label="Request headers" />
      <Text size="xs" c="dimmed">
        Body, {requestBodySize.toLocaleString('en')} bytes
      </Text>
      <Body text={body} label="Request body" />
    </Side>
  );
}

function Response({ attempt }: { attempt: AttemptPartsFragment }) {
  const { responseStatus, responseHeaders, responseBody } = attempt;
  if (responseStatus === null && responseBody === null) {
    return (
      <Side title="Response">
        <Text size="sm" c="dimmed">
          {attempt.trigger === 'EXTERNAL' ? 'None was recorded.' : 'No response came.'}
        </Text>
      </Side>
    );
  }
  const bytes = new TextEncoder().encode(responseBody ?? '').length;
  return (
    <Side title="Response">
      <Group gap={6}>
        <Code fw={700}>{responseStatus ?? 'no status'}</Code>
      </Group>
      {responseHeaders !== null && (
        <Headers headers={responseHeaders as Record<string, string | string[] | null>} label="Response headers" />
      )}
      <Text size="xs" c="dimmed">
        Body
      </Text>
      <Body text={responseBody ?? ''} label="Response body" />
      {/* Cut between characters, so up to 3 bytes earlier. */}
      {bytes > RESPONSE_BYTES_KEPT - 4 && (
        <Text size="xs" c="dimmed" role="note">
          ✂ Cut here: the first {RESPONSE_BYTES_KEPT.toLocaleString('en')} bytes are kept.
        </Text>
      )}
    </Side>
  );
}

function Headers({ headers, label }: { headers: Record<string, string | string[] | null>; label: string }) {
  return (
    <ScrollArea.Autosize mah={220} type="auto" viewportProps={{ tabIndex: 0, role: 'region', 'aria-label': label }}>
      <Table fz="xs" verticalSpacing={3} layout="fixed" aria-label={label}>
        <Table.Tbody>
          {Object.entries(headers).map(([name, value]) => (
            <Table.Tr key={name}>
              <Table.Th w="38%" fw={500} c="dimmed" style={{ overflowWrap: 'anywhere' }}>
                {name}
              </Table.Th>
              <Table.Td ff="monospace" style={{ overflowWrap: 'anywhere' }}>
                {value === null ? <i>hidden: it may be a secret</i> : String(value)}
              </Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </ScrollArea.Autosize>
  );
}

function Repeat({ attempt, body }: AttemptDetailProps) {
  const command = makeCurlCommand(attempt, body);
  return (
    <Stack gap={4}>
      <Group gap="xs">
        <Title order={3} size="h6">
          Repeat it with curl
        </Title>
        {command && <Copy text={command} what="curl command" />}
      </Group>
      {command ? (
        <ScrollArea.Autosize
          mah={180}
          type="auto"
          viewportProps={{ tabIndex: 0, role: 'region', 'aria-label': 'curl command' }}
        >
          <Code block fz="xs">
            {command}
          </Code>
        </ScrollArea.Autosize>
      ) : (
        <Text size="sm">There are control characters in this request: no command line can hold them safely.</Text>
      )}
      <Text size="xs" c="dimmed">
        The signature and its time are those of this attempt: a receiver that checks their age refuses them after a
        while.
      </Text>
    </Stack>
  );
}
