import { Button, Group } from '@mantine/core';

export interface FormButtonsProps {
  /** On the button that submits. */
  verb: string;
  isBusy: boolean;
  onBack: () => void;
}

/** The foot of a form in a dialog. */
export function FormButtons({ verb, isBusy, onBack }: FormButtonsProps) {
  return (
    <Group justify="flex-end" mt="md">
      <Button variant="default" onClick={onBack} disabled={isBusy}>
        Back
      </Button>
      <Button type="submit" loading={isBusy}>
        {verb}
      </Button>
    </Group>
  );
}
