/** How much time is left, in words. Needed at start-up, so it needs nothing itself. */

import type { TranslationBundle } from '@jupyterlab/translation';

const MINUTE = 60_000;

/** Hours and minutes, rounded up: "2 h 10 min"; of less than a minute, seconds. */
export function span(milliseconds: number, trans: TranslationBundle): string {
  if (milliseconds < MINUTE) {
    return trans.__('%1 s', Math.max(0, Math.ceil(milliseconds / 1000)));
  }
  const whole = Math.ceil(milliseconds / MINUTE);
  const hours = Math.floor(whole / 60);
  const minutes = whole % 60;
  if (!hours) {
    return trans.__('%1 min', minutes);
  }
  return minutes ? trans.__('%1 h %2 min', hours, minutes) : trans.__('%1 h', hours);
}

/** What the status bar says. */
export function timeLeft(milliseconds: number, trans: TranslationBundle): string {
  if (milliseconds <= 0) {
    return trans.__('Session is ending');
  }
  return milliseconds < MINUTE
    ? trans.__('Less than 1 min left')
    : trans.__('%1 left', span(milliseconds, trans));
}

/** A moment as people say it: the time, with the day where it is not today. */
export function clock(moment: number): string {
  const date = new Date(moment);
  const today = date.toDateString() === new Date().toDateString();
  return date.toLocaleTimeString(undefined, {
    hour: '2-digit',
    minute: '2-digit',
    ...(today ? {} : { weekday: 'short' })
  });
}
