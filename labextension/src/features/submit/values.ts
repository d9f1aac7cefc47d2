/** What people type, as values: arguments, labels, durations. No React. */

import type { TranslationBundle } from '@jupyterlab/translation';

/**
 * Split a command line into arguments, with the quotes of a shell but none of its expansions.
 *
 * @returns The arguments, or null when a quote is not closed.
 */
export function splitArguments(line: string): string[] | null {
  const result: string[] = [];
  let current: string | null = null;
  let quote = '';
  for (let i = 0; i < line.length; i++) {
    const character = line[i];
    if (quote) {
      if (character === quote) {
        quote = '';
      } else if (character === '\\' && quote === '"' && /["\\]/.test(line[i + 1] ?? '')) {
        current += line[++i];
      } else {
        current += character;
      }
    } else if (character === '"' || character === "'") {
      quote = character;
      current ??= '';
    } else if (character === '\\' && i + 1 < line.length) {
      current = (current ?? '') + line[++i];
    } else if (/\s/.test(character)) {
      if (current !== null) {
        result.push(current);
        current = null;
      }
    } else {
      current = (current ?? '') + character;
    }
  }
  if (quote) {
    return null;
  }
  if (current !== null) {
    result.push(current);
  }
  return result;
}

/** A label, as the platform takes it (`aiinfn_hub/vkd/services/validation.py`): letters and digits of any language count. */
const LABEL = /^[\p{L}\p{N}][\p{L}\p{N}_.:+/-]{0,39}$/u;
/** Labels that a job may have. */
const MOST_LABELS = 10;

/**
 * Read labels with commas or blanks between them, as the platform keeps them: in small letters, each once.
 *
 * @returns The labels, or a sentence why there are none.
 */
export function parseLabels(
  typed: string,
  trans: TranslationBundle
): { labels: string[]; error?: undefined } | { labels?: undefined; error: string } {
  const words = typed.split(/[\s,]+/).filter(Boolean);
  const labels = [...new Set(words.map(word => word.normalize().toLowerCase().normalize()))];
  const wrong = labels.find(label => !LABEL.test(label));
  if (wrong !== undefined) {
    return {
      error: trans.__(
        '“%1” cannot be a label. A label is one word of at most 40 letters, digits and - _ . : / +, and begins with a letter or digit.',
        [...wrong].slice(0, 40).join('')
      )
    };
  }
  return labels.length > MOST_LABELS
    ? { error: trans.__('A job has at most %1 labels. Leave some out.', MOST_LABELS) }
    : { labels };
}

/** Units of a time limit, in seconds. */
export const UNITS = { minutes: 60, hours: 3600, days: 86400 } as const;

export type Unit = keyof typeof UNITS;

/** A number of seconds in the largest unit that divides it. */
export function inUnit(seconds: number): { amount: string; unit: Unit } {
  const unit = (['days', 'hours'] as const).find(name => seconds % UNITS[name] === 0) ?? 'minutes';
  // "1 day" and "24 hours" are the same; people think of a day's job in hours.
  const shown = unit === 'days' && seconds <= UNITS.days ? 'hours' : unit;
  return { amount: String(Math.round((seconds / UNITS[shown]) * 100) / 100), unit: shown };
}

/** Seconds of an amount as typed, with a comma or a point; null if it is no positive number. */
export function seconds(amount: string, unit: Unit): number | null {
  const typed = amount.trim().replace(',', '.');
  const value = Math.round(Number(typed) * UNITS[unit]);
  return typed && Number.isFinite(value) && value > 0 ? value : null;
}
