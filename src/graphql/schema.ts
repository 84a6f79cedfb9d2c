import './scalars.ts';
import './errors.ts';
import './organization.ts';
import './environment.ts';
import './api-key.ts';
import './browser-token.ts';
import './viewer.ts';
import './endpoint.ts';
import './endpoint-mutations.ts';
import './event.ts';
import './event-mutations.ts';
import './delivery-attempt.ts';
import './delivery.ts';
import './delivery-mutations.ts';
import './found-delivery-mutations.ts';
import './live-cursor.ts';
import './delivery-changes.ts';
import './delivery-stats.ts';
import './endpoint-stats.ts';
import './endpoint-health.ts';
import './endpoint-changes.ts';
import { builder } from './builder.ts';

/** The executable schema. */
export const schema = builder.toSchema();
