import { Checkbox, Kbd, Modal, Table } from '@mantine/core';
import { useDisclosure, useWindowEvent } from '@mantine/hooks';
import { useState } from 'react';
import { areKeysOn, switchKeys, useKeys } from '../elements/use-keys.ts';

const SHOW = 'posthorn.show-keyboard-help';

/** Opens the list of keys. */
export const showKeyboardHelp = () => window.dispatchEvent(new Event(SHOW));

const KEYS: [string[], string][] = [
  [['/'], 'Search'],
  [['j'], 'Next row'],
  [['k'], 'Previous row'],
  [['Enter'], 'Open the row'],
  [['x'], 'Select the row'],
  [['r'], 'Retry: the row, the selection, or the delivery shown'],
  [['Esc'], 'Close, or clear the selection'],
  [['?'], 'This list'],
];

/** The keys that do something, over all pages. */
export function KeyboardHelp() {
  const [isOpen, { open, close }] = useDisclosure();
  useWindowEvent(SHOW as keyof WindowEventMap, open);
  useKeys({ '?': open });
  return (
    <Modal opened={isOpen} onClose={close} title="Keyboard shortcuts">
      <Table>
        <Table.Tbody>
          {KEYS.map(([keys, meaning]) => (
            <Table.Tr key={meaning}>
              <Table.Td w={90}>
                {keys.map((key) => (
                  <Kbd key={key}>{key}</Kbd>
                ))}
              </Table.Td>
              <Table.Td>{meaning}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
      <KeySwitch />
    </Modal>
  );
}

function KeySwitch() {
  const [isOn, setOn] = useState(areKeysOn);
  return (
    <Checkbox
      mt="md"
      label="Keys of one letter are on"
      checked={isOn}
      onChange={({ currentTarget: { checked } }) => {
        switchKeys(checked);
        setOn(checked);
      }}
    />
  );
}
