import './styles.ts';
import { MantineProvider } from '@mantine/core';
import { Notifications } from '@mantine/notifications';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { Provider } from 'urql';
import { Router } from 'wouter';
import { client } from './graphql/client.ts';
import { Pages } from './layout/pages.tsx';
import { BASE_PATH } from './place.ts';
import { Session } from './session/session.tsx';
import { cssVariablesResolver, theme } from './theme.ts';

createRoot(document.getElementById('root') as HTMLElement).render(
  <StrictMode>
    <MantineProvider theme={theme} cssVariablesResolver={cssVariablesResolver} defaultColorScheme="auto">
      <Notifications position="bottom-right" limit={4} />
      <Provider value={client}>
        <Router base={BASE_PATH}>
          <Session>
            <Pages />
          </Session>
        </Router>
      </Provider>
    </MantineProvider>
  </StrictMode>,
);
