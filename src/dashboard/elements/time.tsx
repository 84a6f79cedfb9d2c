import dayjs from 'dayjs';
import duration from 'dayjs/plugin/duration.js';
import relativeTime from 'dayjs/plugin/relativeTime.js';
import updateLocale from 'dayjs/plugin/updateLocale.js';
import { useNow } from './clock.ts';

dayjs.extend(duration);
dayjs.extend(relativeTime, {
  thresholds: [
    { l: 's', r: 1 },
    { l: 'ss', r: 59, d: 'second' },
    { l: 'm', r: 1 },
    { l: 'mm', r: 59, d: 'minute' },
    { l: 'h', r: 1 },
    { l: 'hh', r: 23, d: 'hour' },
    { l: 'd', r: 1 },
    { l: 'dd', r: 29, d: 'day' },
    { l: 'M', r: 1 },
    { l: 'MM', r: 11, d: 'month' },
    { l: 'y', r: 1 },
    { l: 'yy', d: 'year' },
  ],
});
dayjs.extend(updateLocale);
dayjs.updateLocale('en', {
  relativeTime: {
    ...{ future: 'in %s', past: '%s ago', s: '1 s', ss: '%d s', m: '1 min', mm: '%d min', h: '1 h', hh: '%d h' },
    ...{ d: '1 day', dd: '%d days', M: '1 month', MM: '%d months', y: '1 year', yy: '%d years' },
  },
});

/** A time to the millisecond, with the zone of the reader. */
export const exactTime = (at: string): string => dayjs(at).format('YYYY-MM-DD HH:mm:ss.SSS Z');

/** How long ago, or in how long; the exact time stands behind it. */
export function Ago({ at }: { at: string }) {
  const now = useNow();
  // The server's clock may be ahead by a moment.
  const isJustNow = Math.abs(dayjs(at).diff(now)) < 2_000;
  return (
    <time dateTime={at} title={exactTime(at)} style={{ whiteSpace: 'nowrap' }}>
      {isJustNow ? 'just now' : dayjs(at).from(now)}
    </time>
  );
}

/** Counts down to a time. */
export function Countdown({ to }: { to: string }) {
  const now = useNow();
  const left = dayjs.duration(Math.max(0, dayjs(to).diff(now)));
  const days = Math.floor(left.asDays());
  const clock = left.format(left.asHours() >= 1 ? 'H:mm:ss' : 'm:ss');
  return (
    <time dateTime={to} title={exactTime(to)} style={{ whiteSpace: 'nowrap' }}>
      {left.asMilliseconds() === 0 ? 'due now' : days > 0 ? `in ${days} d ${left.format('H:mm:ss')}` : `in ${clock}`}
    </time>
  );
}

/** A length of time, as short as it can be said. @param ms milliseconds */
export function describeDuration(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1_000).toFixed(ms < 10_000 ? 1 : 0)} s`;
  const length = dayjs.duration(ms);
  if (ms < 3_600_000) return length.format('m [min] s [s]').replace(/ 0 s$/, '');
  if (ms < 86_400_000) return length.format('H [h] m [min]').replace(/ 0 min$/, '');
  return `${Math.floor(length.asDays())} d ${length.format('H [h]')}`.replace(/ 0 h$/, '');
}
