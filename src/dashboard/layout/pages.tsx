import { IconCompassOff, IconEyeOff } from '@tabler/icons-react';
import { lazy, Suspense } from 'react';
import { Link, Route, Switch, useLocation } from 'wouter';
import { ErrorBoundary } from '../elements/error-boundary.tsx';
import { EmptyState, Loading } from '../elements/notices.tsx';
import { useMay } from '../session/session.tsx';
import { Shell } from './shell.tsx';

const OverviewPage = lazy(() => import('../overview/overview-page.tsx'));
const DeliveriesPage = lazy(() => import('../deliveries/deliveries-page.tsx'));
const DeliveryPage = lazy(() => import('../deliveries/delivery-page.tsx'));
const EventsPage = lazy(() => import('../events/events-page.tsx'));
const EventPage = lazy(() => import('../events/event-page.tsx'));
const EndpointsPage = lazy(() => import('../endpoints/endpoints-page.tsx'));
const EndpointPage = lazy(() => import('../endpoints/endpoint-page.tsx'));
const SettingsPage = lazy(() => import('../settings/settings-page.tsx'));

/** Every page, by its path. */
export function Pages() {
  const [path] = useLocation();
  const mayRead = useMay('DELIVERIES_READ');
  return (
    <Shell>
      <ErrorBoundary key={path}>
        <Suspense fallback={<Loading />}>
          <Switch>
            <Route path="/settings" component={SettingsPage} />
            {!mayRead && <Route component={NotForThisKey} />}
            <Route path="/" component={OverviewPage} />
            <Route path="/deliveries" component={DeliveriesPage} />
            <Route path="/deliveries/:deliveryId" component={DeliveryPage} />
            <Route path="/events" component={EventsPage} />
            <Route path="/events/:eventId" component={EventPage} />
            <Route path="/endpoints" component={EndpointsPage} />
            <Route path="/endpoints/:endpointId" component={EndpointPage} />
            <Route component={NothingHere} />
          </Switch>
        </Suspense>
      </ErrorBoundary>
    </Shell>
  );
}

function NotForThisKey() {
  return (
    <EmptyState icon={IconEyeOff} title="Your key may not look here">
      It lacks the scope DELIVERIES_READ, which these pages need. Sign in with a key that has it
      {useMay('API_KEYS_MANAGE') && (
        <>
          , or make one in the <Link to="/settings">settings</Link>
        </>
      )}
      .
    </EmptyState>
  );
}

function NothingHere() {
  return (
    <EmptyState icon={IconCompassOff} title="There is no such page">
      Check the address, or choose a page from the menu.
    </EmptyState>
  );
}
