import { Title } from '@mantine/core';
import { useDocumentTitle } from '@mantine/hooks';

/** The title of a page, on it and on the browser's tab. */
export function PageTitle({ title }: { title: string }) {
  useDocumentTitle(`${title} · Posthorn`);
  return (
    <Title order={1} size="h3" style={{ overflowWrap: 'anywhere' }}>
      {title}
    </Title>
  );
}
