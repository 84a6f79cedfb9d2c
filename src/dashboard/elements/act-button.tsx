import { Button, type ButtonProps, Tooltip } from '@mantine/core';
import type { ReactNode } from 'react';

export interface ActButtonProps extends ButtonProps {
  onClick: () => void;
  /** Why it can't be done now; null: it can. */
  refusal: string | null;
  children: ReactNode;
}

/** A button that says why it can't be pressed, to who points at it and to who reads it by keyboard. */
export function ActButton({ refusal, onClick, children, ...button }: ActButtonProps) {
  const isRefused = refusal !== null;
  return (
    <Tooltip label={refusal} disabled={!isRefused} multiline maw={280}>
      <Button
        {...button}
        data-disabled={isRefused || undefined}
        aria-disabled={isRefused}
        aria-description={refusal ?? undefined}
        onClick={() => !isRefused && onClick()}
      >
        {children}
      </Button>
    </Tooltip>
  );
}
