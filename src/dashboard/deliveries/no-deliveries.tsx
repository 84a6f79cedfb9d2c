import { IconInbox } from '@tabler/icons-react';
import type { ReactNode } from 'react';
import { EmptyState } from '../elements/notices.tsx';

/** Stands in place of a list of deliveries that has none. */
export const NoDeliveries = ({ children }: { children: ReactNode }) => (
  <EmptyState icon={IconInbox} title="No deliveries">
    {children}
  </EmptyState>
);
