import { IconCompassOff } from '@tabler/icons-react';
import { lazy, Suspense } from 'react';
import { Route, Switch } from 'wouter';
import { EmptyState, Loading } from '../elements/notices.tsx';
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
  return (
    <Shell>
      <Suspense fallback={<Loading />}>
        <Switch>
          <Route path="/" component={OverviewPage} />
          <Route path="/deliveries" component={DeliveriesPage} />
          <Route path="/deliveries/:deliveryId" component={DeliveryPage} />
          <Route path="/events" component={EventsPage} />
          <Route path="/events/:eventId" component={EventPage} />
          <Route path="/endpoints" component={EndpointsPage} />
          <Route path="/endpoints/:endpointId" component={EndpointPage} />
          <Route path="/settings" component={SettingsPage} />
          <Route component={NothingHere} />
        </Switch>
      </Suspense>
    </Shell>
  );
}

function NothingHere() {
  return (
    <EmptyState icon={IconCompassOff} title="There is no such page">
      Check the address, or choose a page from the menu.
    </EmptyState>
  );
}
