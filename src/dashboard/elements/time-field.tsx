import { TextInput, type TextInputProps } from '@mantine/core';
import dayjs from 'dayjs';

export interface TimeFieldProps extends Omit<TextInputProps, 'value' | 'onChange' | 'type'> {
  /** RFC 3339; null or left out: none. */
  value?: string | null;
  onChange?: (value: string | null) => void;
}

/** A time, chosen with the browser's own picker, in the zone of the reader. */
export function TimeField({ value, onChange, ...input }: TimeFieldProps) {
  return (
    <TextInput
      {...input}
      type="datetime-local"
      value={value ? dayjs(value).format('YYYY-MM-DDTHH:mm') : ''}
      onChange={({ currentTarget: { value: typed } }) => onChange?.(typed === '' ? null : dayjs(typed).toISOString())}
    />
  );
}
