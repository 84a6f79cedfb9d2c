import { useHotkeys } from '@mantine/hooks';

const STORED = 'posthorn.single-keys';

/** Keys of one letter can get in the way of who speaks to a computer, or holds keys down: they can be switched off. */
export const areKeysOn = (): boolean => localStorage.getItem(STORED) !== 'off';

export function switchKeys(isOn: boolean): void {
  if (isOn) localStorage.removeItem(STORED);
  else localStorage.setItem(STORED, 'off');
}

/** Fields that letters are typed into. A box that is ticked is none. */
const TYPED_INTO = 'textarea, select, [contenteditable], input:not([type=checkbox]):not([type=radio])';
/** What does something of its own on Enter. */
const ACTS = 'a, button, [role=menuitem], [role=option], [role=tab]';

/** What keys do on a page, while nothing stands in front of it. A key that is held down counts once. */
export function useKeys(keys: Record<string, () => void>): void {
  const guard = (key: string, act: () => void) => (event: KeyboardEvent) => {
    const target = event.target as HTMLElement;
    if (event.repeat || target.closest(TYPED_INTO) || document.querySelector('[role=dialog], [role=menu]')) return;
    if (key === 'Enter' && target.closest(ACTS)) return;
    if (key.length === 1 && !areKeysOn()) return;
    if (key !== 'Escape') event.preventDefault();
    act();
  };
  useHotkeys(
    // Where `?` takes Shift depends on the keyboard.
    Object.entries(keys).flatMap(([key, act]) =>
      (key === '?' ? [key, `shift+${key}`] : [key]).map(
        (pressed) =>
          [pressed, guard(key, act), { preventDefault: false }] as [string, (event: KeyboardEvent) => void, object],
      ),
    ),
    [],
  );
}
