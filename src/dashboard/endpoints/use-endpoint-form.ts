import { useForm } from '@mantine/form';
import { type EndpointValues, findDelaysFault, findHeaderFault } from './endpoint-values.ts';

/** The form of an endpoint. The server has the last word on what is right. */
export const useEndpointForm = (initialValues: EndpointValues) =>
  useForm<EndpointValues>({
    initialValues,
    validate: {
      url: (url) => (URL.canParse(url.trim()) ? null : 'Enter a URL, for example https://example.com/webhooks.'),
      headers: findHeaderFault,
      delaysSeconds: findDelaysFault,
    },
  });
