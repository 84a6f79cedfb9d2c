import { Button, Menu } from '@mantine/core';
import { IconBan, IconChevronDown, IconPlayerPause, IconPlayerPlay, IconSend, IconTrash } from '@tabler/icons-react';
import { useState } from 'react';
import { useLocation } from 'wouter';
import { ConfirmModal } from '../elements/confirm-modal.tsx';
import { tell, tellFault } from '../elements/notices.tsx';
import { PublishModal } from '../events/publish-modal.tsx';
import {
  DeleteEndpointDocument,
  DisableEndpointDocument,
  EnableEndpointDocument,
  type EndpointPartsFragment,
  PauseEndpointDocument,
  ResumeEndpointDocument,
} from '../generated/documents.ts';
import { type Performed, perform } from '../graphql/perform.ts';
import { useMay } from '../session/session.tsx';

type Question = 'test' | 'disable' | 'delete';

export interface EndpointActionsProps {
  endpoint: EndpointPartsFragment;
  onChanged: () => void;
}

/** What can be done with an endpoint. */
export function EndpointActions({ endpoint, onChanged }: EndpointActionsProps) {
  const { id, name, status } = endpoint;
  const mayManage = useMay('ENDPOINTS_MANAGE');
  const mayPublish = useMay('EVENTS_PUBLISH');
  const [asked, setAsked] = useState<Question | null>(null);
  const [isBusy, setBusy] = useState(false);

  const act = async (run: () => Promise<Performed<{ __typename: string }>>, done: string) => {
    setBusy(true);
    const result = await run();
    setBusy(false);
    if (!result.ok) return tellFault(result.message);
    tell(done);
    onChanged();
  };
  const pause = () => act(() => perform(PauseEndpointDocument, { id }), `${name} is paused. Its deliveries are held.`);
  const resume = () => act(() => perform(ResumeEndpointDocument, { id }), `${name} is resumed, and catches up.`);
  const enable = () => act(() => perform(EnableEndpointDocument, { id }), `${name} is enabled.`);
  return (
    <>
      {mayPublish && (
        <Button size="xs" leftSection={<IconSend size={15} />} onClick={() => setAsked('test')}>
          Send a test event
        </Button>
      )}
      {mayManage && (
        <>
          {status === 'ACTIVE' && (
            <Button
              size="xs"
              variant="default"
              leftSection={<IconPlayerPause size={15} />}
              loading={isBusy}
              onClick={() => void pause()}
            >
              Pause
            </Button>
          )}
          {status === 'PAUSED' && (
            <Button size="xs" leftSection={<IconPlayerPlay size={15} />} loading={isBusy} onClick={() => void resume()}>
              Resume
            </Button>
          )}
          {status === 'DISABLED' && (
            <Button size="xs" leftSection={<IconPlayerPlay size={15} />} loading={isBusy} onClick={() => void enable()}>
              Enable
            </Button>
          )}
          <Menu position="bottom-end" withArrow>
            <Menu.Target>
              <Button size="xs" variant="default" rightSection={<IconChevronDown size={14} />}>
                More
              </Button>
            </Menu.Target>
            <Menu.Dropdown>
              {status !== 'DISABLED' && (
                <Menu.Item leftSection={<IconBan size={16} />} onClick={() => setAsked('disable')}>
                  Disable…
                </Menu.Item>
              )}
              <Menu.Item leftSection={<IconTrash size={16} />} onClick={() => setAsked('delete')}>
                Delete…
              </Menu.Item>
            </Menu.Dropdown>
          </Menu>
        </>
      )}
      {asked === 'test' && <PublishModal endpointId={id} onClose={() => setAsked(null)} />}
      {asked === 'disable' && <DisableModal endpoint={endpoint} onChanged={onChanged} onClose={() => setAsked(null)} />}
      {asked === 'delete' && <DeleteModal endpoint={endpoint} onClose={() => setAsked(null)} />}
    </>
  );
}

function DisableModal({ endpoint, onChanged, onClose }: EndpointActionsProps & { onClose: () => void }) {
  const disable = async () => {
    const result = await perform(DisableEndpointDocument, { id: endpoint.id, reason: null });
    if (!result.ok) return result.message;
    tell(`${endpoint.name} is disabled.`);
    onChanged();
    return null;
  };
  return (
    <ConfirmModal title={`Disable ${endpoint.name}?`} verb="Disable" onConfirm={disable} onClose={onClose}>
      Its deliveries are skipped from now on, those that wait too. They stay visible, and can be retried once it is
      enabled. To keep them waiting instead, pause it.
    </ConfirmModal>
  );
}

function DeleteModal({ endpoint, onClose }: { endpoint: EndpointPartsFragment; onClose: () => void }) {
  const [, navigate] = useLocation();
  const remove = async () => {
    const result = await perform(DeleteEndpointDocument, { id: endpoint.id });
    if (!result.ok) return result.message;
    tell(`${endpoint.name} is deleted.`);
    navigate('/endpoints', { replace: true });
    return null;
  };
  return (
    <ConfirmModal
      title={`Delete ${endpoint.name}?`}
      verb="Delete"
      typed={endpoint.name}
      onConfirm={remove}
      onClose={onClose}
    >
      Nothing is sent to it any more, and its secrets are gone. What was delivered stays readable. This can't be undone.
    </ConfirmModal>
  );
}
