import { Combobox, Kbd, TextInput, useCombobox } from '@mantine/core';
import { IconSearch } from '@tabler/icons-react';
import { useRef, useState } from 'react';
import { useLocation } from 'wouter';
import { tellFault } from '../elements/notices.tsx';
import { useKeys } from '../elements/use-keys.ts';
import { AttemptPlaceDocument } from '../generated/documents.ts';
import { client } from '../graphql/client.ts';

interface Place {
  label: string;
  path: string;
}

const ID_PAGES: Record<string, { what: string; path: string }> = {
  dlv: { what: 'Delivery', path: '/deliveries' },
  evt: { what: 'Event', path: '/events' },
  ep: { what: 'Endpoint', path: '/endpoints' },
  att: { what: 'Attempt', path: '/attempts' },
};

/** Where a text may lead: an ID to its page, anything else to lists. */
function findPlaces(text: string): Place[] {
  const query = text.trim();
  if (query === '') return [];
  const page = ID_PAGES[/^([a-z]+)_[0-9a-z]{26}$/.exec(query)?.[1] ?? ''];
  if (page) return [{ label: `${page.what} ${query}`, path: `${page.path}/${query}` }];
  const encoded = encodeURIComponent(query);
  return [
    { label: `Deliveries of event type “${query}”`, path: `/deliveries?type=${encoded}` },
    { label: `Deliveries with source key “${query}”`, path: `/deliveries?sourceKey=${encoded}` },
    { label: `Events of type “${query}”`, path: `/events?type=${encoded}` },
    { label: `Events with source key “${query}”`, path: `/events?sourceKey=${encoded}` },
    { label: `Endpoints named like “${query}”`, path: `/endpoints?name=${encoded}` },
  ];
}

/** An attempt is shown with its delivery. @returns null where there is none */
async function findAttempt(id: string): Promise<string | null> {
  const { data } = await client.query(AttemptPlaceDocument, { id }).toPromise();
  const attempt = data?.deliveryAttempt;
  return attempt ? `/deliveries/${attempt.delivery.id}?attempt=${id}` : null;
}

/** Finds anything by its ID, event type, source key or name; `/` leads here from everywhere. */
export function SearchBox() {
  const [text, setText] = useState('');
  const input = useRef<HTMLInputElement>(null);
  const combobox = useCombobox({ onDropdownClose: () => combobox.resetSelectedOption() });
  const [, navigate] = useLocation();
  const places = findPlaces(text);
  useKeys({ '/': () => input.current?.focus() });

  const go = async (path: string) => {
    const attemptId = /^\/attempts\/(.*)/.exec(path)?.[1];
    const target = attemptId ? await findAttempt(attemptId) : path;
    if (target === null) return tellFault('There is no attempt with this ID.');
    setText('');
    combobox.closeDropdown();
    input.current?.blur();
    navigate(target);
  };

  return (
    <Combobox store={combobox} onOptionSubmit={(path) => void go(path)} position="bottom-end" width={340}>
      <Combobox.Target>
        <TextInput
          ref={input}
          size="xs"
          aria-label="Search by ID, event type or source key"
          placeholder="Search"
          leftSection={<IconSearch size={14} />}
          rightSection={<Kbd size="xs">/</Kbd>}
          w={{ base: 110, xs: 160, md: 260 }}
          value={text}
          onChange={(event) => {
            setText(event.currentTarget.value);
            combobox.openDropdown();
            combobox.selectFirstOption();
          }}
          onFocus={() => combobox.openDropdown()}
          onBlur={() => combobox.closeDropdown()}
          onKeyDown={(event) => event.key === 'Escape' && input.current?.blur()}
        />
      </Combobox.Target>
      <Combobox.Dropdown hidden={places.length === 0}>
        <Combobox.Options>
          {places.map(({ label, path }) => (
            <Combobox.Option key={path} value={path}>
              {label}
            </Combobox.Option>
          ))}
        </Combobox.Options>
      </Combobox.Dropdown>
    </Combobox>
  );
}
