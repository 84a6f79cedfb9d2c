import { IconMoodSad } from '@tabler/icons-react';
import { Component, type ReactNode } from 'react';
import { EmptyState } from './notices.tsx';

/** Keeps a fault of one page from taking the others with it. Give it a key, so that another page begins anew. */
export class ErrorBoundary extends Component<{ children: ReactNode }, { fault: Error | null }> {
  override state: { fault: Error | null } = { fault: null };

  static getDerivedStateFromError(fault: Error) {
    return { fault };
  }

  override render() {
    const { fault } = this.state;
    if (!fault) return this.props.children;
    return (
      <EmptyState icon={IconMoodSad} title="This page broke">
        {fault.message} Load it again; if it breaks again, it is a fault of Posthorn.
      </EmptyState>
    );
  }
}
