import { Group, Modal, Select, Stack, Text, Textarea, TextInput } from '@mantine/core';
import { useForm } from '@mantine/form';
import { useState } from 'react';
import { useQuery } from 'urql';
import { useLocation } from 'wouter';
import { FormButtons } from '../elements/form-buttons.tsx';
import { tell, tellFault } from '../elements/notices.tsx';
import { EndpointChoicesDocument, PublishEventDocument } from '../generated/documents.ts';
import { perform } from '../graphql/perform.ts';
import { findJsonFault } from './event-body.ts';

const EXAMPLE = JSON.stringify({ hello: 'world' }, null, 2);

export interface PublishModalProps {
  /** Sends to this endpoint alone. */
  endpointId?: string;
  onClose: () => void;
}

interface PublishValues {
  type: string;
  body: string;
  sourceKey: string;
  idempotencyKey: string;
  endpointId: string | null;
}

/** Publishes an event by hand, to try things out. */
export function PublishModal({ endpointId, onClose }: PublishModalProps) {
  const [{ data }] = useQuery({ query: EndpointChoicesDocument });
  const [isBusy, setBusy] = useState(false);
  const [, navigate] = useLocation();
  const form = useForm<PublishValues>({
    initialValues: {
      type: 'test.event',
      body: EXAMPLE,
      sourceKey: '',
      idempotencyKey: '',
      endpointId: endpointId ?? null,
    },
    validate: {
      type: (type) => (type.trim() === '' ? 'Enter a type, for example invoice.paid.' : null),
      body: findJsonFault,
    },
  });

  const publish = form.onSubmit(async ({ type, body, sourceKey, idempotencyKey, endpointId: target }) => {
    setBusy(true);
    // To the letter: what was typed is what is sent.
    const input = {
      type,
      body,
      sourceKey: sourceKey || null,
      idempotencyKey: idempotencyKey || null,
      endpointId: target,
    };
    const result = await perform(PublishEventDocument, { input });
    setBusy(false);
    if (!result.ok) {
      form.setErrors(result.faults);
      if (Object.keys(result.faults).length === 0) tellFault(result.message);
      return;
    }
    const { event, duplicate } = result.payload;
    tell(duplicate ? 'It was published before: this is the earlier event.' : describeSent(event.endpointCount));
    onClose();
    navigate(`/events/${event.id}`);
  });

  const choices =
    data?.endpoints.edges.map(({ node }) => ({ value: node.id, label: `${node.name} (${node.url})` })) ?? [];
  return (
    <Modal opened onClose={onClose} title="Publish a test event" size="lg">
      <form onSubmit={publish} noValidate>
        <Stack>
          <TextInput
            label="Type"
            description="Words joined by dots"
            required
            data-autofocus
            {...form.getInputProps('type')}
          />
          <Textarea
            label="Payload"
            description="JSON, sent to the letter"
            required
            autosize
            minRows={6}
            maxRows={16}
            styles={{ input: { fontFamily: 'var(--mantine-font-family-monospace)', fontSize: 13 } }}
            {...form.getInputProps('body')}
          />
          <Select
            label="Endpoint"
            description="Left out: every endpoint that takes events of this type"
            placeholder="All that match"
            data={choices}
            searchable
            clearable
            nothingFoundMessage="Not among the newest 100"
            {...form.getInputProps('endpointId')}
          />
          <Group grow align="flex-start">
            <TextInput label="Source key" placeholder="None" {...form.getInputProps('sourceKey')} />
            <TextInput label="Idempotency key" placeholder="None" {...form.getInputProps('idempotencyKey')} />
          </Group>
          <Text size="xs" c="dimmed">
            It is a real event: its endpoints get it, signed, like any other.
          </Text>
          <FormButtons verb="Publish" isBusy={isBusy} onBack={onClose} />
        </Stack>
      </form>
    </Modal>
  );
}

const describeSent = (endpointCount: number): string =>
  endpointCount === 0
    ? 'Published. No endpoint takes events of this type.'
    : `Published to ${endpointCount} ${endpointCount === 1 ? 'endpoint' : 'endpoints'}.`;
