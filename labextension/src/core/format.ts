/** Times and durations in words, in the reader's language and time zone. */

import type { TranslationBundle } from '@jupyterlab/translation';

/** A duration with its two largest units, e.g. "3 min 20 s". */
export function duration(seconds: number, trans: TranslationBundle): string {
  const whole = Math.max(0, Math.round(seconds));
  const days = Math.floor(whole / 86400);
  const hours = Math.floor((whole % 86400) / 3600);
  const minutes = Math.floor((whole % 3600) / 60);
  const rest = whole % 60;
  if (days) {
    return hours ? trans.__('%1 d %2 h', days, hours) : trans._n('%1 day', '%1 days', days);
  }
  if (hours) {
    return minutes ? trans.__('%1 h %2 min', hours, minutes) : trans.__('%1 h', hours);
  }
  if (minutes) {
    return rest ? trans.__('%1 min %2 s', minutes, rest) : trans.__('%1 min', minutes);
  }
  return trans.__('%1 s', rest);
}

/** How long ago a moment was, e.g. "5 min ago". */
export function ago(moment: string, now: number, trans: TranslationBundle): string {
  const seconds = (now - Date.parse(moment)) / 1000;
  if (seconds < 45) {
    return trans.__('just now');
  }
  if (seconds < 3600) {
    return trans.__('%1 min ago', Math.max(1, Math.round(seconds / 60)));
  }
  if (seconds < 86400) {
    return trans.__('%1 h ago', Math.round(seconds / 3600));
  }
  return trans._n('%1 day ago', '%1 days ago', Math.round(seconds / 86400));
}

/** Made once: making one takes as long as drawing a row. */
let medium: Intl.DateTimeFormat | null = null;

/** A moment in the reader's own time zone and habit. */
export function absolute(moment: string): string {
  const date = new Date(moment);
  medium ??= new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' });
  return Number.isNaN(date.getTime()) ? moment : medium.format(date);
}

/** The time of the day, with the date when it is another day. */
export function clock(moment: string, now: number): string {
  const date = new Date(moment);
  const sameDay = date.toDateString() === new Date(now).toDateString();
  return sameDay
    ? date.toLocaleTimeString(undefined, { timeStyle: 'medium' })
    : date.toLocaleString(undefined, { dateStyle: 'short', timeStyle: 'short' });
}
