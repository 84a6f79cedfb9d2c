import { Accordion, Group, Select, Stack, TagsInput, Textarea, TextInput } from '@mantine/core';
import type { UseFormReturnType } from '@mantine/form';
import type { EndpointValues } from './endpoint-values.ts';

export interface EndpointFieldsProps {
  form: UseFormReturnType<EndpointValues>;
  /** Names of headers that are set already; their values can't be read back. */
  headerNames: string[];
}

/** The fields of an endpoint, those that are seldom changed folded away. */
export function EndpointFields({ form, headerNames }: EndpointFieldsProps) {
  return (
    <Stack>
      <TextInput
        label="URL"
        description="Where deliveries go"
        placeholder="https://example.com/webhooks"
        required
        data-autofocus
        {...form.getInputProps('url')}
      />
      <TextInput label="Name" placeholder="As its host" {...form.getInputProps('name')} />
      <TagsInput
        label="Event types"
        description="In full, or invoice.* for all under invoice, or * for every type. Enter after each."
        splitChars={[',', ' ']}
        {...form.getInputProps('eventTypes')}
      />
      <TextInput label="Description" placeholder="None" {...form.getInputProps('description')} />
      <Accordion variant="contained" chevronPosition="left">
        <Accordion.Item value="sending">
          <Accordion.Control>Method, timeout, rate, headers</Accordion.Control>
          <Accordion.Panel>
            <Sending form={form} headerNames={headerNames} />
          </Accordion.Panel>
        </Accordion.Item>
        <Accordion.Item value="retries">
          <Accordion.Control>Retries</Accordion.Control>
          <Accordion.Panel>
            <Retries form={form} />
          </Accordion.Panel>
        </Accordion.Item>
      </Accordion>
    </Stack>
  );
}

function Sending({ form, headerNames }: EndpointFieldsProps) {
  return (
    <Stack>
      <Group grow align="flex-start">
        <Select
          label="Method"
          data={['POST', 'PUT', 'PATCH']}
          allowDeselect={false}
          {...form.getInputProps('method')}
        />
        <TextInput
          label="Timeout, ms"
          type="number"
          min={100}
          max={60_000}
          step={100}
          {...form.getInputProps('timeoutMs')}
        />
        <TextInput
          type="number"
          step="any"
          label="Attempts a second"
          placeholder="No limit"
          min={0.001}
          max={10_000}
          {...form.getInputProps('rateLimitPerSecond')}
        />
      </Group>
      <Textarea
        label="Headers of its own"
        description={
          headerNames.length > 0
            ? `Set now: ${headerNames.join(', ')}. Values can't be read back. What you write takes the place of all of them; left empty, they stay.`
            : 'One in a line. Values are stored encrypted and never read back.'
        }
        placeholder="Authorization: Bearer …"
        autosize
        minRows={2}
        {...form.getInputProps('headers')}
      />
    </Stack>
  );
}

function Retries({ form }: { form: UseFormReturnType<EndpointValues> }) {
  return (
    <Stack>
      <Group grow align="flex-start">
        <TextInput type="number" label="Automatic retries" min={0} max={50} {...form.getInputProps('maxRetries')} />
        <TextInput
          type="number"
          label="Jitter"
          description="Share of a delay, 0 to 1"
          min={0}
          max={1}
          step={0.1}
          {...form.getInputProps('jitter')}
        />
      </Group>
      <TextInput
        label="Delays"
        description="Seconds before each retry, separated by commas; the last one repeats"
        {...form.getInputProps('delaysSeconds')}
      />
    </Stack>
  );
}
