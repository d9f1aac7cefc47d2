/** Says which kernels are not offered on a machine that is shared. Loaded where there is such a kernel. */

import { Notification } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';

const TOLD_KEY = 'aiinfn:kernels-left-out';

/** Kernels that the server does not offer because others could listen to them, by their titles. */
export function readLeftOut(page: string): string[] {
  try {
    const known = JSON.parse(page) as { names?: unknown };
    return Array.isArray(known.names)
      ? known.names.filter((name): name is string => typeof name === 'string')
      : [];
  } catch {
    return [];
  }
}

/**
 * Tell it, once in this window: reloading the page is no news.
 *
 * @returns Whether it was told.
 */
export function tellLeftOut(names: string[], trans: TranslationBundle): boolean {
  const text = names.join(', ');
  if (!text || sessionStorage.getItem(TOLD_KEY) === text) {
    return false;
  }
  sessionStorage.setItem(TOLD_KEY, text);
  Notification.warning(
    trans.__(
      'Not offered here, as others on this machine could read its code and results: %1',
      text
    ),
    { autoClose: false }
  );
  return true;
}
